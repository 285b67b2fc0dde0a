"""The stream unit runs programs against the plan: what it reads, in which order and when, and what it hands out."""

from __future__ import annotations

from dataclasses import asdict
from random import Random
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from celosia.arch.config import AcceleratorConfig, derive
from celosia.arch.isa import Instruction, Opcode, Status
from celosia.hdl.control.passes import JOB
from celosia.hdl.interfaces import FAULT, Interfaces
from celosia.hdl.stream.reader import longest_burst
from tests.harness.bench import Bench, bench_parameters, bench_random
from tests.harness.layouts import unpack

from .configs import CONFIGS
from .memory import ReadMemory
from .plan import Job, Plan, Planner
from .programs import IMAGE_BYTES, random_job, random_program, throughput_program

IMAGE_BASE = 0x8000_0000
KV_BASE = IMAGE_BASE + IMAGE_BYTES
PAGES = 16


class Surroundings:
    """Program memory, block table, memory and sequencer of a stream unit."""

    def __init__(self, dut: Any, bench: Bench, config: AcceleratorConfig, *, stall: float, latency: int) -> None:
        self.dut, self.bench, self.config = dut, bench, config
        self.random = bench_random("surroundings")
        contents = bench_random("contents").randbytes(2 * IMAGE_BYTES)
        self.contents = contents
        self.program: list[Instruction] = []
        self.table: list[int | None] = []
        self.plan = Plan()
        self.cursor: list[tuple[int, int | None]] = []
        self.lazy = False
        self.memory = ReadMemory(
            dut,
            data=contents,
            origin=IMAGE_BASE,
            bus_bytes=derive(config).bus_bytes,
            burst_beats=longest_burst(config),
            outstanding=config.bus.outstanding,
            random=bench_random("memory"),
            stall=stall,
            latency=latency,
            on_burst=self._check_burst,
        )
        sinks = {name: bench.sink(f"o_{name}", stall=stall) for name in ("payload", "beat", "exponents")}
        self.sinks = {"tile": bench.sink("o_tile", shape=Interfaces(config).raw_tile, stall=stall), **sinks}
        self.source = bench.source("i", shape=JOB)
        dut.image_base.value, dut.kv_base.value = IMAGE_BASE, KV_BASE
        dut.clear.value = dut.appended.value = 0
        dut.auxiliary__o_address__valid.value = dut.auxiliary__i_beat__ready.value = 0
        self.appended = self.patience = 0
        self.faults: list[dict[str, int]] = []
        cocotb.start_soon(self._run())

    def start(self, program: list[Instruction], job: Job, *, lazy: bool = False) -> None:
        """Give the unit a job and expect its plan.

        lazy: no APPEND completes before a page that needs it is next, so that waiting for more would be forever.
        """
        self.program, self.lazy = program, lazy
        self.plan = Planner(
            self.config, read=self._read, image_base=IMAGE_BASE, kv_base=KV_BASE, table=self.table
        ).plan(program, job)
        bus = derive(self.config).bus_bytes
        self.cursor = [(r.address + i * bus, r.gate) for r in self.plan.regions for i in range(r.beats)]
        self.appended = self.dut.appended.value = 0
        for sink in self.sinks.values():
            sink.received = []
        self.source.send([asdict(job)])

    def map_pages(self, page_bytes: int) -> None:
        """Map random pages of the cache that lie in the memory."""
        self.table = self.random.sample(range(IMAGE_BYTES // page_bytes), 4)

    async def finish(self) -> None:
        """Wait until everything planned came out, and compare it."""
        expected = self.plan.items
        await self.bench.until(
            lambda: (
                (self.lazy or self.appended == len(self.plan.appends))
                and all(len(sink.received) >= len(expected[name]) for name, sink in self.sinks.items())
            )
        )
        await self.bench.cycles(50)
        assert not self.cursor, f"{len(self.cursor)} beats were never read"
        assert self.faults == []
        self.compare()

    def compare(self) -> None:
        """What came out so far is what was planned."""
        for name, sink in self.sinks.items():
            for index, got in enumerate(sink.received):
                assert index < len(self.plan.items[name]), f"{name} {index}: more than planned"
                wanted = self.plan.items[name][index]
                if name == "tile":
                    payload_bits, scale_bits = wanted[2:]
                    scales = sum(word << (32 * i) for i, word in enumerate(got["scales"]))
                    got = (got["payload"] & ((1 << payload_bits) - 1), scales & ((1 << scale_bits) - 1))
                else:
                    got = (got,)
                assert got == wanted[: len(got)], f"{name} {index} of {len(sink.received)} differs"

    def _read(self, address: int, length: int) -> bytes:
        start = address - IMAGE_BASE
        assert 0 <= start <= len(self.contents) - length
        return self.contents[start : start + length]

    def _check_burst(self, _: int, address: int, beats: int) -> None:
        bus = derive(self.config).bus_bytes
        assert len(self.cursor) >= beats, f"burst at {address:#x} past the end of the plan"
        for index in range(beats):
            wanted, gate = self.cursor[index]
            assert address + index * bus == wanted, f"read {address + index * bus:#x} instead of {wanted:#x}"
            if gate is not None:
                assert self.appended >= gate, f"page read after {self.appended} APPENDs, needs {gate}"
        del self.cursor[:beats]

    async def _run(self) -> None:
        """Memories that answer after a cycle, and a sequencer that follows what was handed out."""
        dut, edge = self.dut, RisingEdge(self.dut.clk)
        while True:
            await edge
            if int(dut.fault_valid.value):
                self.faults.append(unpack(FAULT, int(dut.fault.value)))
            address, index = int(dut.program__address.value), int(dut.lookup__index.value)
            noise = self.random.getrandbits(256)
            if int(dut.program__en.value) and address < len(self.program):
                noise = int.from_bytes(self.program[address].encode(), "little")
            dut.program__data.value = noise
            page = self.table[index] if index < len(self.table) else None
            dut.lookup__page.value = self.random.getrandbits(16) if page is None else page
            dut.lookup__mapped.value = int(page is not None)
            self._advance()

    def _advance(self) -> None:
        if self.appended == len(self.plan.appends) or self.bench.cycle < self.patience:
            return
        if self.lazy and next((gate for _, gate in self.cursor if gate is not None), 0) <= self.appended:
            return
        before = self.plan.appends[self.appended]
        if any(len(self.sinks[name].received) < count for name, count in before.items()):
            return
        # Writes may take so long that the unit has to wait for them.
        self.patience = self.bench.cycle + self.random.choice([0, 0, 5, 20 if self.lazy else 4000])
        self.appended += 1
        self.dut.appended.value = self.appended

    async def clear(self) -> None:
        """Clear the unit as the sequencer does: until it is drained."""
        stalls = [sink.stall for sink in self.sinks.values()]
        for sink in self.sinks.values():
            sink.stall = 0.0  # a payload on offer would be withdrawn, which a sink does not forgive
        await self.bench.cycles(2)
        self.dut.clear.value = 1
        await self.bench.cycles(2)
        await self.bench.until(lambda: int(self.dut.drained.value) == 1)
        assert self.memory.in_flight == 0
        self.dut.clear.value = 0
        for sink, stall in zip(self.sinks.values(), stalls, strict=True):
            sink.stall = stall
        self.plan, self.cursor, self.faults = Plan(), [], []
        self.appended = self.dut.appended.value = 0


async def surroundings(dut: Any, limit: int = 400_000) -> tuple[Surroundings, Random]:
    parameters = bench_parameters()
    config = CONFIGS[parameters["config"]]
    bench = await Bench.start(dut, limit=limit)
    around = Surroundings(dut, bench, config, stall=parameters["stall"], latency=parameters["latency"])
    return around, bench.random


@cocotb.test()
async def runs_programs(dut: Any) -> None:
    around, random = await surroundings(dut)
    for index in range(6):
        program, page_bytes = random_program(around.config, random)
        around.map_pages(page_bytes)
        around.start(program, random_job(around.config, random), lazy=index % 2 == 1)
        await around.finish()
        await around.clear()


@cocotb.test()
async def uses_every_bus_cycle(dut: Any) -> None:
    """With an ideal memory and a consumer that is always ready, 98 % of the cycles carry a beat."""
    parameters = bench_parameters()
    if parameters["stall"]:
        return
    around, _ = await surroundings(dut)
    around.start(throughput_program(around.config), Job(sequence=0, position=0, count=1, steps=0))
    await around.finish()
    beats = around.memory.beats
    cycles = beats[-1] - beats[0] + 1
    cocotb.log.info("%d beats of %d regions in %d cycles", len(beats), len(around.plan.regions), cycles)
    assert len(around.plan.regions) >= 30
    assert len(beats) >= 0.98 * cycles, f"{len(beats)} beats in {cycles} cycles"


@cocotb.test()
async def stops_and_starts_clean(dut: Any) -> None:
    """A clear at any time drops everything, and what comes next is right."""
    around, random = await surroundings(dut)
    for _ in range(6):
        program, page_bytes = random_program(around.config, random)
        around.map_pages(page_bytes)
        around.start(program, random_job(around.config, random))
        await around.bench.cycles(random.randrange(1, 1500))
        around.compare()
        await around.clear()
        await around.bench.cycles(random.choice([1, 30]))
    around.start(throughput_program(around.config)[-3:], Job(sequence=0, position=0, count=1, steps=0))
    await around.finish()


@cocotb.test()
async def forgets_in_one_cycle(dut: Any) -> None:
    """Where nothing is in flight, as in the cycle behind a region's last beat, `clear` is as short as can be."""
    around, _ = await surroundings(dut)
    load = Instruction(Opcode.LOAD, n=32, base=0)
    short = 0
    for sink in around.sinks.values():
        sink.stall = 0.0
    for wait in range(1, 60):
        around.start([load, Instruction(Opcode.END)], Job(sequence=0, position=0, count=1, steps=0))
        await around.bench.cycles(wait)
        dut.clear.value = 1
        await ReadOnly()
        drained = int(dut.drained.value) == 1
        await around.bench.cycles(1)
        if drained:
            dut.clear.value = 0
            short += 1
            await around.bench.cycles(3)
            assert int(dut.promised.value) == 0, f"{wait} cycles behind the start"
        await around.clear()
    assert short >= 10


@cocotb.test()
async def reports_an_unmapped_page(dut: Any) -> None:
    """By its first position, or by the pass's own if that is on the page."""
    around, random = await surroundings(dut)
    for position, reported in ((64, 32), (40, 40)):
        program, page_bytes = random_program(around.config, random)
        around.map_pages(page_bytes)
        around.start(program, Job(sequence=0, position=position, count=1, steps=0))
        around.table[1] = None
        await around.bench.until(lambda: bool(around.faults))
        assert around.faults == [{"status": Status.PAGE_UNMAPPED, "address": reported}]
        await around.clear()


@cocotb.test()
async def reports_a_bus_error(dut: Any) -> None:
    """The address is that of the burst; all bursts come back before the unit says that it is drained."""
    around, random = await surroundings(dut)
    bus = derive(around.config).bus_bytes
    for base in (0, 4096 - bus):
        bursts: list[int] = []
        check = around.memory.on_burst

        def note(id_: int, address: int, beats: int, bursts: list[int] = bursts, check: Any = check) -> None:
            check(id_, address, beats)
            bursts.append(address)

        around.memory.on_burst = note
        bad = IMAGE_BASE + base + random.randrange(40) * bus
        around.memory.errors = frozenset([bad])
        load = Instruction(Opcode.LOAD, n=50 * bus // 4, base=base)
        around.start([load, Instruction(Opcode.END)], Job(sequence=0, position=0, count=1, steps=0))
        await around.bench.until(lambda: bool(around.faults))
        expected = max(address for address in bursts if address <= bad)
        assert around.faults == [{"status": Status.BUS_READ, "address": expected}]
        await around.clear()
        around.memory.on_burst, around.memory.errors = check, frozenset()
