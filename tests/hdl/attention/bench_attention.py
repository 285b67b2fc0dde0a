"""Whole ATTENDs through the attention unit, with an exact model of the engine, against golden."""

from __future__ import annotations

from typing import Any

import cocotb

from celosia.hdl.interfaces import COMMAND, Interfaces

from ...harness.bench import Bench, bench_parameters
from .engine_model import EngineModel
from .problem import Problem, Shape, small_config

POISON = 0xDEAD_BEEF


class _Scratchpad:
    """What the design writes, element by element."""

    def __init__(self, bench: Bench, lanes: int) -> None:
        self.dut, self.lanes = bench.dut, lanes
        self.elements: dict[int, int] = {}
        self.done = 0
        bench._streams.append(self)

    def drive(self) -> None:
        """Nothing to drive."""

    def sample(self) -> None:
        """Take writes and the pulse of `done`, which may come with the last one."""
        if int(self.dut.spm__en.value):
            assert not self.done, "written after done"
            address, mask = int(self.dut.spm__address.value), int(self.dut.spm__mask.value)
            word = int(self.dut.spm__data.value)
            for lane in range(self.lanes):
                if mask >> lane & 1:
                    self.elements[address * self.lanes + lane] = word >> 32 * lane & 0xFFFF_FFFF
        self.done += int(self.dut.done.value)


async def _attend(bench: Bench, problem: Problem, ports: dict[str, Any], engine: EngineModel, spm: _Scratchpad) -> int:
    """Run one ATTEND; returns its cycles."""
    payload, exponents = problem.stream()
    bench.dut.position.value = problem.shape.position % 32
    bench.dut.head_blocks.value = problem.blocks
    bench.dut.settled.value = 0
    engine.activations = problem.activation_words()
    spm.elements, spm.done = {}, 0
    ports["i_payload"].send(payload)
    ports["i_exponents"].send(exponents)
    start = bench.cycle
    ports["i"].send([problem.command()])
    # The chunk's own keys and values come when it is on its way.
    await bench.cycles(bench.random.choice([0, 5, 200]))
    ports["i_kv"].send(problem.tail_blocks())
    await bench.until(lambda: ports["i_kv"].idle)
    bench.dut.settled.value = 1
    await bench.until(lambda: spm.done > 0)
    assert spm.done == 1
    cycles = bench.cycle - start
    # The stream holds exactly what the instruction consumes.
    assert ports["i_payload"].idle, ports["i_payload"]
    assert ports["i_exponents"].idle, ports["i_exponents"]
    expected = problem.expected()
    wrong = {k: (hex(spm.elements.get(k, POISON)), hex(v)) for k, v in expected.items() if spm.elements.get(k) != v}
    assert not wrong, (
        f"{problem.shape}: {len(wrong)} of {len(expected)} elements differ, first {next(iter(wrong.items()))}"
    )
    assert spm.elements.keys() == expected.keys(), f"{problem.shape}: elements written that belong to nobody"
    return cycles


@cocotb.test()
async def attends(dut: Any) -> None:
    parameters = bench_parameters()
    config = small_config(**parameters["config"])
    interfaces = Interfaces(config)
    stall = parameters["stall"]
    bench = await Bench.start(dut, limit=400_000)
    dut.clear.value = 0
    dut.writer_words__en.value = 0
    dut.writer_exponents__en.value = 0
    ports = {
        "i": bench.source("i", shape=COMMAND, stall=stall),
        "i_kv": bench.source("i_kv", shape=interfaces.kv_block, stall=stall),
        "i_payload": bench.source("i_payload", shape=None, stall=stall),
        "i_exponents": bench.source("i_exponents", shape=None, stall=stall),
    }
    engine = EngineModel(bench, interfaces, stall=stall, latency=parameters["latency"])
    spm = _Scratchpad(bench, config.vector.lanes)
    for fields in parameters["shapes"]:
        shape = Shape(**fields)
        cycles = await _attend(bench, Problem(config, shape, bench.random), ports, engine, spm)
        dut._log.info(f"{shape}: {cycles} cycles")
