"""LOAD_ROWS against its definition: what is read, what is written, what becomes of float32 from outside."""

from __future__ import annotations

import struct
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from celosia.arch.config import derive
from celosia.arch.isa import Opcode, Status
from celosia.hdl.interfaces import AUXILIARY_BURST, AUXILIARY_READ, COMMAND, FAULT
from tests.harness.bench import Bench, bench_parameters, bench_random
from tests.harness.layouts import unpack

from .commands import Rows
from .configs import CONFIGS

BASE = 0x1_2340_0040
LARGEST = struct.unpack("<I", struct.pack("<f", (2.0 - 2.0**-23) * 2.0**127))[0]


def machine_float(bits: int) -> int:
    """docs/numerics.md, 11, by the value of the float32."""
    (value,) = struct.unpack("<f", struct.pack("<I", bits))
    if value != value or abs(value) == float("inf"):
        return LARGEST | bits & 1 << 31
    return 0 if abs(value) < 2.0**-126 else bits


class Surroundings:
    """Memory with random floats, edges among them, and a scratchpad."""

    def __init__(self, dut: Any, bench: Bench, stall: float) -> None:
        self.dut, self.bench = dut, bench
        self.config = CONFIGS[bench_parameters()["config"]]
        self.commands = bench.source("i", shape=COMMAND)
        self.reads = bench.sink("memory__o_address", shape=AUXILIARY_READ, stall=stall)
        self.beats = bench.source("memory__i_beat", stall=stall)
        self.random = bench_random("floats")
        self.memory: dict[int, int] = {}
        self.read: list[int] = []
        self.written: dict[tuple[int, int], int] = {}
        self.faults: list[Any] = []
        self.done = 0
        dut.region.value = 0
        cocotb.start_soon(self._run())

    def float_at(self, address: int) -> int:
        """Bits of the float32 there, the same every time."""
        if address not in self.memory:
            edge = self.random.choice([0, 1, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FFFFFFF])
            sign = self.random.choice([0, 1 << 31])
            self.memory[address] = self.random.choice([edge | sign, self.random.getrandbits(32)])
        return self.memory[address]

    async def _run(self) -> None:
        dut, edge, lanes = self.dut, RisingEdge(self.dut.clk), self.config.vector.lanes
        beat = derive(self.config).bus_bytes
        while True:
            await edge
            if int(dut.spm__en.value):
                mask, data = int(dut.spm__mask.value), int(dut.spm__data.value)
                for lane in range(lanes):
                    if mask >> lane & 1:
                        place = int(dut.spm__address.value), lane
                        assert place not in self.written, f"{place} is written twice"
                        self.written[place] = data >> 32 * lane & 0xFFFFFFFF
            if int(dut.fault_valid.value):
                self.faults.append(unpack(FAULT, int(dut.fault.value)))
            self.done += int(dut.done.value)
            for read in self.reads.received:
                address, size = read["address"], read["beats"] * beat
                assert address % beat == 0 and 1 <= read["beats"] <= min(AUXILIARY_BURST, self.config.bus.burst_beats)
                assert address // 4096 == (address + size - 1) // 4096, f"{read} crosses 4 KiB"
                self.read += range(address, address + size, 4)
                for at in range(address, address + size, beat):
                    self.beats.send([sum(self.float_at(at + 4 * i) << 32 * i for i in range(beat // 4))])
            self.reads.received = []

    async def load(self, rows: Rows, bytes_: int) -> int:
        """Run a command; returns its cycles."""
        self.written, self.read, self.done, self.faults = {}, [], 0, []
        self.dut.region.value = BASE | bytes_ << 48
        self.commands.send([rows.command()])
        start = self.bench.cycle
        await self.bench.until(lambda: self.done > 0 or bool(self.faults))
        return self.bench.cycle - start

    def check(self, rows: Rows) -> None:
        """Everything that was to be written, nothing else, and no more reads than that takes."""
        lanes = self.config.vector.lanes
        addresses = [BASE + rows.offset(row) + 4 * i for row in range(rows.rows) for i in range(rows.n)]
        places = [(word, lane) for word in rows.words(lanes) for lane in range(lanes)]
        assert self.read == addresses
        assert self.written == {p: machine_float(self.float_at(a)) for p, a in zip(places, addresses, strict=True)}
        assert (self.done, self.faults) == (1, []) and self.beats.idle


async def surroundings(dut: Any) -> Surroundings:
    bench = await Bench.start(dut, limit=200_000)
    return Surroundings(dut, bench, bench_parameters()["stall"])


@cocotb.test()
async def loads_rows(dut: Any) -> None:
    around = await surroundings(dut)
    config, random = around.config, around.bench.random
    beat, lanes = derive(config).bus_bytes, config.vector.lanes
    shapes: list[dict[str, int]] = [{"n": 32, "rows": 1, "token": 0}, {"token": (1 << 20) - 32}, {}, {}, {}, {}]
    for fields in shapes:
        rows = Rows.choose(random, config, Opcode.LOAD_ROWS, **fields)
        cycles = await around.load(rows, rows.bytes)
        around.check(rows)
        steps = rows.rows * rows.n // min(lanes, beat // 4)
        if not bench_parameters()["stall"]:
            bursts = rows.rows * (4 * rows.n // beat // min(AUXILIARY_BURST, config.bus.burst_beats) + 2)
            assert cycles <= max(steps, 4 * bursts) + 6 * rows.rows + 45
        await around.bench.cycles(5)


@cocotb.test()
async def stops_at_the_row_that_is_outside(dut: Any) -> None:
    """A byte too few for row k: the rows before it are read, it is not, and its number is told. Then from anew."""
    around = await surroundings(dut)
    config, random = around.config, around.bench.random
    for _ in range(6):
        rows = Rows.choose(random, config, Opcode.LOAD_ROWS, rows=config.vector.chunk)
        outside = random.randrange(rows.rows)
        await around.load(rows, rows.offset(outside) + 4 * rows.n - 1)
        await around.bench.cycles(60)
        assert around.faults == [{"status": Status.ROWS_RANGE, "address": rows.token + outside}]
        assert around.done == 0
        before = [BASE + rows.offset(row) + 4 * i for row in range(outside) for i in range(rows.n)]
        assert around.read == before
        await around.bench.until(lambda: around.beats.idle)
        dut.rst.value = 1
        await around.bench.cycles(2)
        dut.rst.value = 0
        await around.bench.cycles(2)
    rows = Rows.choose(random, config, Opcode.LOAD_ROWS)
    await around.load(rows, rows.bytes)
    around.check(rows)
