"""The doorbell: what is refused and with which address, what is held, and that an early halt is not lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from celosia.arch.formats import BLOCK
from celosia.arch.isa import Status
from celosia.hdl.control.start import SETTINGS
from celosia.hdl.interfaces import FAULT
from tests.harness.bench import Bench, bench_parameters, bench_random
from tests.harness.layouts import pack, unpack

Fault = tuple[Status, int]


@dataclass
class Surroundings:
    """Registers that never rest, the block table of one sequence, the program loader; records what the starter does."""

    dut: Any
    sequence: int = 0
    open: bool = True
    missing: set[int] = field(default_factory=set)
    program_fault: Fault | None = None
    loads: int = 0
    looked_up: set[int] = field(default_factory=set)
    starts: list[int] = field(default_factory=list)
    faults: list[tuple[int, Fault]] = field(default_factory=list)
    halts: list[int] = field(default_factory=list)

    async def run(self, bench: Bench) -> None:
        """Step everything once a cycle."""
        dut, random, edge = self.dut, bench_random("surroundings"), RisingEdge(self.dut.clk)
        answer_in = 0
        while True:
            await edge
            dut.settings.value = random.getrandbits(SETTINGS.size)
            dut.sequence_open.value = int(self.open)
            index = int(dut.lookup__index.value)
            if int(dut.busy.value):
                self.looked_up.add(index)
                wrong = int(dut.lookup__sequence.value) != self.sequence
                dut.lookup__mapped.value = int(index not in self.missing and not wrong)
            dut.lookup__page.value = random.getrandbits(16)
            if int(dut.load.value):
                self.loads += 1
                answer_in = random.randrange(2, 20)
            answer_in = max(answer_in - 1, 0)
            ends = answer_in == 1
            dut.loaded.value = int(ends and self.program_fault is None)
            dut.fault_in.value = int(ends and self.program_fault is not None)
            status, address = self.program_fault or (random.getrandbits(8), random.getrandbits(48))
            dut.fault_in_value.value = pack(FAULT, {"status": status, "address": address})
            if int(dut.start.value):
                self.starts.append(bench.cycle)
            if int(dut.halted.value):
                self.halts.append(bench.cycle)
            if int(dut.fault_valid.value):
                fault = unpack(FAULT, int(dut.fault.value))
                self.faults.append((bench.cycle, (Status(fault["status"]), fault["address"])))


def expected_fault(around: Surroundings, job: dict[str, int], context: int) -> Fault | None:
    """docs/isa.md, Errors: what is refused before anything runs."""
    last = job["position"] + job["count"] + max(job["steps"] - 1, 0) - 1
    if not around.open:
        return Status.SEQUENCE_CLOSED, job["sequence"]
    if job["count"] == 0:
        return Status.POSITION_RANGE, job["position"]
    if last >= context:
        return Status.POSITION_RANGE, max(job["position"], context)
    unmapped = [index for index in range(last // BLOCK + 1) if index in around.missing]
    return (Status.PAGE_UNMAPPED, unmapped[0] * BLOCK) if unmapped else None


async def begin(dut: Any) -> tuple[Bench, Surroundings]:
    """Everything idle."""
    for name in ("doorbell", "settings", "halt", "sequence_open", "loaded", "fault_in", "fault_in_value"):
        getattr(dut, name).value = 0
    dut.lookup__mapped.value = dut.lookup__page.value = 0
    bench = await Bench.start(dut, limit=60_000)
    around = Surroundings(dut)
    cocotb.start_soon(around.run(bench))
    return bench, around


async def ring(bench: Bench, around: Surroundings, job: dict[str, int], halt_after: int | None = None) -> None:
    """One job from the doorbell to the start, with settings of its own."""
    random, dut = bench.random, around.dut
    settings: dict[str, Any] = {name: random.getrandbits(48) for name in ("image_base", "kv_base", "program_base")}
    settings["rows"] = {"base": random.getrandbits(48), "bytes": random.getrandbits(48)}
    settings |= {"length": random.getrandbits(8), "job": job, "end_of_text": random.getrandbits(31), "end_enable": 1}
    around.loads, around.starts, around.faults, around.halts = 0, [], [], []
    around.looked_up, around.sequence = set(), job["sequence"]
    await bench.cycles(2)
    dut.settings.value, dut.doorbell.value = pack(SETTINGS, settings), 1
    await bench.cycles(1)
    dut.doorbell.value = 0
    if halt_after is not None:
        await bench.cycles(halt_after + 1)
        dut.halt.value = 1
        await bench.cycles(1)
        dut.halt.value = 0
    await bench.until(lambda: bool(around.starts))
    await bench.cycles(4)
    assert not int(dut.busy.value)
    assert unpack(SETTINGS, int(dut.held.value)) == settings, "what is written later is for the next job"


def random_job(random: Any, context: int) -> dict[str, int]:
    """Mostly legal, often at a border."""
    position, count, steps = random.randrange(context), 0, random.getrandbits(20)
    if random.random() < 0.1:
        position = random.choice([context - 1, context, context + 1, random.getrandbits(20)])
    room = max(context - position, 1)
    if random.random() < 0.95:
        count = random.choice([1, random.randrange(1, room + 1), room, room + (random.random() < 0.2)])
    if random.random() < 0.95:
        rest = max(room - count, 0)
        steps = random.choice([0, 1, rest, rest + 1, random.randrange(rest + 2), rest + 1 + (random.random() < 0.2)])
    job = {"position": position, "count": count, "steps": steps}
    return job | {"sequence": random.getrandbits(6), "chunk": random.getrandbits(6)}


@cocotb.test()
async def refuses_by_the_rules(dut: Any) -> None:
    bench, around = await begin(dut)
    random, pages = bench.random, bench_parameters()["pages"]
    context = pages * BLOCK
    seen: dict[str, int] = {}
    for _ in range(500):
        around.open = random.random() < 0.9
        around.missing = {index for index in range(pages + 1) if random.random() < random.choice([0, 0.3])}
        around.program_fault = (Status.BUS_READ, random.getrandbits(48)) if random.random() < 0.2 else None
        job = random_job(random, context)
        await ring(bench, around, job)
        refused = expected_fault(around, job, context)
        fault = refused or around.program_fault
        assert around.loads == (refused is None), job
        assert around.faults == ([(around.starts[0] + 1, fault)] if fault else []), job
        assert len(around.starts) == 1 and around.halts == []
        seen[fault[0].name if fault else "OK"] = seen.get(fault[0].name if fault else "OK", 0) + 1
    assert len(seen) == 5 and min(seen.values()) > 10, seen


@cocotb.test()
async def looks_up_a_page_a_cycle(dut: Any) -> None:
    bench, around = await begin(dut)
    pages = bench_parameters()["pages"]
    took = []
    for used in (1, pages):
        around.missing = {used - 1}
        start = bench.cycle
        await ring(bench, around, {"sequence": 1, "position": 0, "count": used * BLOCK, "steps": 1, "chunk": 0})
        assert set(range(used)) <= around.looked_up
        took.append(around.starts[0] - start)
    assert took[1] - took[0] == pages - 1


@cocotb.test()
async def a_halt_before_the_start_is_passed_on(dut: Any) -> None:
    """At any moment from the doorbell on; in the cycle of the report the sequencer sees the pulse itself."""
    bench, around = await begin(dut)
    job = {"sequence": 1, "position": 0, "count": 1, "steps": 1, "chunk": 0}
    for cycles in range(6):
        await ring(bench, around, job, halt_after=cycles)
        assert around.halts == [around.starts[0] + 1], cycles
        await ring(bench, around, job)
        assert around.halts == [], "it is for one job"
