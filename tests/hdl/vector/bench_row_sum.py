"""RowSum against the golden sum: rows of all lengths, words at many paces, an addition after each row."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from celosia.arch.formats import BLOCK
from celosia.golden.numerics import add, block_sum
from celosia.hdl.arithmetic.add import FloatAdd
from tests.harness.bench import bench_parameters, bench_random, start_clock

from ..arithmetic.bench_block_sum import pace
from ..arithmetic.cases import any_float


def _totals(floats: np.ndarray) -> list[tuple[int, int]]:
    """Sum of the blocks so far, and whether the addition of the last one was saturated."""
    total, totals = np.float32(0), []
    for block in block_sum(floats.reshape(-1, BLOCK)):
        # From halfway between the largest number and the one that would follow it.
        saturated = abs(float(total) + float(block)) >= 2.0**128 - 2.0**103
        total = add(total, block)
        totals.append((int(total.view(np.uint32)), int(saturated)))
    return totals


async def _until(dut: Any, name: str) -> int:
    """The result in the cycle of a valid bit."""
    for _ in range(200):
        await RisingEdge(dut.clk)
        if getattr(dut, name).value:
            return int(dut.o.value)
    raise AssertionError(f"no {name}")


@cocotb.test()
async def rows(dut: Any) -> None:
    """The sum after every block, and that of two other floats behind the row; saturation is told of both."""
    lanes = bench_parameters()["lanes"]
    random = bench_random("rows")
    comes = pace(bench_random("pace"))
    for name in ("start", "valid", "add_valid"):
        getattr(dut, name).value = 0
    await start_clock(dut)
    edge = RisingEdge(dut.clk)
    for _ in range(bench_parameters()["rows"]):
        words = np.array([any_float(random) for _ in range(BLOCK * random.randint(1, 9))], np.uint32)
        dut.start.value = 1
        await edge
        dut.start.value = 0
        inputs = words.reshape(-1, lanes).tolist()
        got: list[tuple[int, int]] = []
        index = since = idle = 0
        while idle < 60:
            ends = index % (BLOCK // lanes) == BLOCK // lanes - 1
            here = index < len(inputs) and next(comes) and not (ends and since < FloatAdd.latency)
            dut.valid.value = here
            if here:
                dut.i.value = sum(element << 32 * lane for lane, element in enumerate(inputs[index]))
            index += here
            since = 1 if here and ends else since + 1
            idle += index == len(inputs)
            await edge
            if dut.summed.value:
                got.append((int(dut.o.value), int(dut.overflow.value)))
            else:
                assert not dut.overflow.value
        assert got == _totals(words.view(np.float32))
        a, b = (np.array(any_float(random), np.uint32) for _ in range(2))
        dut.a.value, dut.b.value, dut.add_valid.value = int(a), int(b), 1
        await edge
        dut.a.value, dut.b.value, dut.add_valid.value = any_float(random), any_float(random), 0
        assert await _until(dut, "added") == int(add(a.view(np.float32), b.view(np.float32)).view(np.uint32))
