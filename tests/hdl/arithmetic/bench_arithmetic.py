"""The bench of all arithmetic blocks: every output of every cycle, stalled or not, against the expected result."""

from __future__ import annotations

from typing import Any

import cocotb
from amaranth.hdl import Shape
from amaranth.lib.wiring import In, Out
from cocotb.triggers import RisingEdge

from tests.harness.bench import bench_parameters, bench_random, start_clock

from .cases import Case, all_cases
from .wrapper import ports


def _pack(shapes: dict[str, Shape], values: tuple[int, ...]) -> int:
    word, low = 0, 0
    for shape, value in zip(shapes.values(), values, strict=True):
        word |= (value & (1 << shape.width) - 1) << low
        low += shape.width
    return word


class _Driver:
    """Stimulus and expectation of one block, packed as its ports are."""

    def __init__(self, dut: Any, name: str, case: Case, random_vectors: int) -> None:
        random = bench_random(name)
        self.name = name
        self.inputs = [*case.directed, *(case.draw(random) for _ in range(random_vectors))]
        self.latency = case.component.latency
        self.port_i, self.port_o = getattr(dut, f"{name}_i"), getattr(dut, f"{name}_o")
        shapes = ports(case.component, In)
        self.words = [_pack(shapes, values) for values in self.inputs]
        shapes = ports(case.component, Out)
        self.expected = [_pack(shapes, case.expect(*values)) for values in self.inputs]

    def check(self, advanced: int) -> None:
        """Before an edge, after `advanced` edges on which the pipeline moved."""
        index = advanced - self.latency
        if 0 <= index < len(self.expected):
            got, want = int(self.port_o.value), self.expected[index]
            values = " ".join(f"{value:#x}" for value in self.inputs[index])
            assert got == want, f"{self.name}: vector {index} ({values}) gives {got:#x}, not {want:#x}"


@cocotb.test()
async def all_blocks(dut: Any) -> None:
    parameters = bench_parameters()
    stall = parameters["stall"]
    cases = all_cases()
    random = bench_random("stalls")
    drivers = [_Driver(dut, name, case, parameters["random_vectors"]) for name, case in cases.items()]
    last = max(len(driver.words) + driver.latency for driver in drivers)
    dut.en.value = 0
    await start_clock(dut)
    edge = RisingEdge(dut.clk)
    advanced = 0
    while advanced < last:
        en = int(random.random() >= stall)
        dut.en.value = en
        for driver in drivers:
            # What stands at the inputs of a stalled pipeline is noise.
            index = advanced if en else random.randrange(len(driver.words))
            if index < len(driver.words):
                driver.port_i.value = driver.words[index]
        await edge
        # These are the values before the edge.
        for driver in drivers:
            driver.check(advanced)
        advanced += en
