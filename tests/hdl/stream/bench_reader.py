"""The reader with both kinds of reads, against a hostile memory and against cocotbext-axi's."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiRamRead, AxiReadBus

from celosia.arch.config import derive
from celosia.arch.isa import Status
from celosia.hdl.interfaces import AUXILIARY_BURST, AUXILIARY_READ, FAULT
from celosia.hdl.stream.reader import REGION, longest_burst
from tests.harness.bench import Bench, bench_parameters, bench_random
from tests.harness.layouts import unpack

from .configs import CONFIGS
from .memory import ReadMemory

ORIGIN = 0x4000_0000
SIZE = 1 << 16
CAPACITY = 100
IN_TRANSIT = 4


class Reading:
    """A consumer with room for `CAPACITY` beats, and what was asked for and came."""

    def __init__(self, dut: Any, bench: Bench, *, stall: float, slow: float = 0.0) -> None:
        config = CONFIGS[bench_parameters()["config"]]
        self.dut, self.bench, self.bus = dut, bench, derive(config).bus_bytes
        self.data = bench_random("contents").randbytes(SIZE)
        self.regions = bench.source("i", shape=REGION, stall=stall)
        self.asked = bench.source("auxiliary__o_address", shape=AUXILIARY_READ, stall=stall)
        self.answers = bench.sink("auxiliary__i_beat", stall=stall)
        self.expected: list[int] = []
        self.beats: list[int] = []
        self.held = 0
        self.slow = slow
        self.faults: list[Any] = []
        dut.space.value, dut.scale_space.value, dut.clear.value = 0, 1000, 0
        cocotb.start_soon(self._run())

    def word(self, address: int) -> int:
        """The beat at a bus address."""
        return int.from_bytes(self.data[address - ORIGIN :][: self.bus], "little")

    def region(self, beats: int, scales: int = 0) -> None:
        """Ask for a random region of a number of beats."""
        address = ORIGIN + self.bench.random.randrange(SIZE // self.bus - beats) * self.bus
        self.regions.send([{"address": address, "beats": beats, "scales": scales}])
        self.expected += [self.word(address + i * self.bus) for i in range(beats)]

    def auxiliary(self, count: int, longest: int = AUXILIARY_BURST) -> list[int]:
        """Ask `count` times for some beats in a row, half of the times for one; returns them."""
        random, wanted = self.bench.random, []
        for _ in range(count):
            beats = random.choice([1, random.randint(1, longest)])
            page, most = random.randrange(SIZE // 4096), 4096 // self.bus
            address = ORIGIN + page * 4096 + random.randrange(most - beats + 1) * self.bus
            self.asked.send([{"address": address, "beats": beats}])
            wanted += [self.word(address + i * self.bus) for i in range(beats)]
        return wanted

    async def _run(self) -> None:
        dut, edge, random = self.dut, RisingEdge(self.dut.clk), bench_random("consumer")
        while True:
            await edge
            if int(dut.beat_valid.value):
                self.beats.append(int(dut.beat.value))
                self.held += 1
                assert self.held <= CAPACITY, "more beats than there was room for"
            if self.held and random.random() >= self.slow:
                self.held -= 1
            dut.space.value = CAPACITY - IN_TRANSIT - self.held
            if int(dut.fault_valid.value):
                self.faults.append(unpack(FAULT, int(dut.fault.value)))


def memory(dut: Any, reading: Reading, **options: Any) -> ReadMemory:
    config = CONFIGS[bench_parameters()["config"]]
    return ReadMemory(
        dut,
        data=reading.data,
        origin=ORIGIN,
        bus_bytes=reading.bus,
        burst_beats=longest_burst(config),
        outstanding=config.bus.outstanding,
        random=bench_random("memory"),
        **options,
    )


@cocotb.test()
async def reads_regions_and_beats(dut: Any) -> None:
    bench = await Bench.start(dut, limit=100_000)
    reading = Reading(dut, bench, stall=0.3, slow=0.8)
    memory(dut, reading, stall=0.3, latency=10)
    wanted = []
    for _ in range(30):
        reading.region(bench.random.choice([1, 2, 17, 600 // reading.bus, 4096 // reading.bus]))
        wanted += reading.auxiliary(bench.random.randrange(20))
    assert await bench.receive(reading.answers, len(wanted)) == wanted
    await bench.until(lambda: len(reading.beats) >= len(reading.expected))
    assert reading.beats == reading.expected
    assert reading.faults == []
    await bench.cycles(50)
    assert int(dut.drained.value) == 1


@cocotb.test()
async def is_right_by_another_memory(dut: Any) -> None:
    """cocotbext-axi's memory answers the same."""
    bench = await Bench.start(dut, limit=100_000)
    reading = Reading(dut, bench, stall=0.1)
    ram = AxiRamRead(AxiReadBus.from_prefix(dut, "axi_"), dut.clk, size=1 << 40)
    ram.write(ORIGIN, reading.data)
    pauses = bench_random("pauses")
    ram.r_channel.set_pause_generator(iter(lambda: pauses.random() < 0.2, 2))
    wanted = []
    for _ in range(20):
        reading.region(bench.random.randrange(1, 100))
        wanted += reading.auxiliary(5)
    assert await bench.receive(reading.answers, len(wanted)) == wanted
    await bench.until(lambda: len(reading.beats) >= len(reading.expected))
    assert reading.beats == reading.expected


@cocotb.test()
async def keeps_scales_in_bounds(dut: Any) -> None:
    """No more bursts in flight than there is room for their scales."""
    bench = await Bench.start(dut, limit=100_000)
    reading = Reading(dut, bench, stall=0.0)
    most = 0

    def count(*_: int) -> None:
        nonlocal most
        most = max(most, len(answering.queues[0]))

    answering = memory(dut, reading, latency=40, on_burst=count)
    dut.scale_space.value = 7
    reading.region(4096 // reading.bus, scales=3)
    reading.region(200, scales=3)
    await bench.until(lambda: len(reading.beats) >= len(reading.expected))
    assert reading.beats == reading.expected
    assert most == 2


@cocotb.test()
async def drains_and_starts_clean(dut: Any) -> None:
    """A clear with bursts in flight drops their data, stream and auxiliary."""
    bench = await Bench.start(dut, limit=100_000)
    reading = Reading(dut, bench, stall=0.0)
    answering = memory(dut, reading, stall=0.2, latency=20)
    for _ in range(15):
        reading.region(300)
        reading.auxiliary(12, 3)  # all of it has room in the reader
        # Answers stay in the reader: a clear takes them away, which a sink would not forgive.
        sink, reading.answers.sample = reading.answers.sample, lambda: None
        reading.answers.stall = 0.999
        await bench.until(lambda: reading.asked.idle)
        await bench.cycles(bench.random.randrange(1, 200))
        dut.clear.value = 1
        await bench.cycles(2)
        await bench.until(lambda: int(dut.drained.value) == 1)
        assert answering.in_flight == 0
        dut.clear.value = 0
        await bench.cycles(2)
        reading.answers.sample, reading.answers.stall = sink, 0.0
        reading.beats, reading.expected = [], []
        reading.region(40)
        wanted = reading.auxiliary(3)
        assert await bench.receive(reading.answers, len(wanted)) == wanted
        await bench.until(lambda: len(reading.beats) >= 40)
        assert reading.beats == reading.expected
        await bench.cycles(100)


@cocotb.test()
async def reports_errors_of_both(dut: Any) -> None:
    bench = await Bench.start(dut, limit=100_000)
    reading = Reading(dut, bench, stall=0.0)
    answering = memory(dut, reading, stall=0.2, latency=20)
    beats = longest_burst(CONFIGS[bench_parameters()["config"]])
    stream, single = ORIGIN + 4096 * 2, ORIGIN + 4096 * 9
    for bad, reported in ((stream + (beats + 1) * reading.bus, stream + beats * reading.bus), (single, single)):
        answering.errors = frozenset([bad])
        reading.regions.send([{"address": stream, "beats": 4 * beats, "scales": 0}])
        reading.asked.send([{"address": single + i * reading.bus, "beats": 1} for i in (3, 2, 0, 1)])
        await bench.receive(reading.answers, 4)
        await bench.cycles(500)
        assert reading.faults == [{"status": Status.BUS_READ, "address": reported}]
        reading.faults = []
    answering.errors = frozenset([single + 2 * reading.bus])
    reading.asked.send([{"address": single, "beats": 4}, {"address": single, "beats": 1}])
    await bench.receive(reading.answers, 5)
    await bench.cycles(5)
    assert reading.faults == [{"status": Status.BUS_READ, "address": single}], "a burst is named by its first beat"


@cocotb.test()
async def auxiliary_bursts_hide_the_latency(dut: Any) -> None:
    """48 beats and more are in flight, so that 40 cycles of latency cost nothing but once."""
    bench = await Bench.start(dut, limit=10_000)
    reading = Reading(dut, bench, stall=0.0)
    memory(dut, reading, latency=40)
    reads = [{"address": ORIGIN + i * AUXILIARY_BURST * reading.bus, "beats": AUXILIARY_BURST} for i in range(30)]
    start = bench.cycle
    reading.asked.send(reads)
    await bench.receive(reading.answers, 30 * AUXILIARY_BURST)
    assert bench.cycle - start < 30 * AUXILIARY_BURST + 60
