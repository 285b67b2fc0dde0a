"""STORE_ROWS of two writers at one port, into a memory that is not ours."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import cocotb
from cocotbext.axi import AxiSlaveWrite, AxiWriteBus

from celosia.arch.config import derive
from celosia.arch.isa import Opcode, Status
from celosia.hdl.interfaces import COMMAND, FAULT

from ...harness.bench import Bench, bench_parameters, bench_random
from ...harness.layouts import unpack
from .commands import Rows
from .configs import CONFIGS

PORTS = ("awid", "awaddr", "awlen", "awsize", "awburst", "awvalid", "awready", "bid", "bvalid", "bready")
PORTS += ("wstrb", "wvalid")
BASES = 0x1240_0040, 0x5000_0000


class Memory:
    """The target of the AXI subordinate: keeps every byte that is written; refuses writes to some addresses."""

    def __init__(self) -> None:
        self.bytes: dict[int, int] = {}
        self.refused = range(0)

    async def write(self, address: int, data: bytes, **_: object) -> None:
        """Called once for each run of strobed bytes."""
        if address in self.refused:
            raise OSError("refused")
        self.bytes.update((address + i, byte) for i, byte in enumerate(data))


class Writer:
    """One of the writers with its scratchpad, and what it says; a stream to the bench, so that it sees every cycle."""

    def __init__(self, dut: Any, bench: Bench, index: int, stall: float) -> None:
        self.config = CONFIGS[bench_parameters()["config"]]
        self.bench, self.index = bench, index
        self.commands = bench.source(f"i_{index}", shape=COMMAND, stall=stall)
        ports = ["done", "bytes", "fault_valid", "fault", "drained", "clear", "region"]
        self.ports = {name: getattr(dut, f"{name}_{index}") for name in ports}
        self.ports |= {name: getattr(dut, f"spm_{index}__{name}") for name in ("en", "address", "data")}
        self.random = bench_random(f"scratchpad {index}")
        bits = 32 * self.config.vector.lanes
        self.scratchpad = [self.random.getrandbits(bits) for _ in range(self.config.vector.scratchpad_words)]
        self.done = self.bytes = 0
        self.faults: list[Any] = []
        self.ports["clear"].value = 0
        self.ports["region"].value = 0
        bench._streams.append(self)

    def drive(self) -> None:
        """Nothing to drive."""

    def sample(self) -> None:
        """Values before the edge; the scratchpad answers after it, and only if it is asked."""
        value = {name: int(port.value) for name, port in self.ports.items() if name not in ("data", "region", "clear")}
        self.done += value["done"]
        self.bytes += value["bytes"]
        if value["fault_valid"]:
            self.faults.append(unpack(FAULT, value["fault"]))
        noise = self.random.getrandbits(32 * self.config.vector.lanes)
        self.ports["data"].value = self.scratchpad[value["address"]] if value["en"] else noise

    def expected(self, rows: Rows, count: int | None = None) -> dict[int, int]:
        """The bytes of the first `count` rows."""
        size, lanes = 4 * rows.n, self.config.vector.lanes
        data = b"".join(self.scratchpad[word].to_bytes(4 * lanes, "little") for word in rows.words(lanes))
        return {
            BASES[self.index] + rows.offset(row) + i: data[row * size + i]
            for row in range(rows.rows if count is None else count)
            for i in range(size)
        }

    def send(self, rows: Rows, bytes_: int | None = None) -> None:
        """Give a command."""
        self.ports["region"].value = BASES[self.index] | (rows.bytes if bytes_ is None else bytes_) << 48
        self.commands.send([rows.command()])

    async def run(self, rows: Rows, bytes_: int | None = None) -> None:
        """Give a command and wait until it ends."""
        before = self.done, len(self.faults)
        self.send(rows, bytes_)
        await self.bench.until(lambda: (self.done, len(self.faults)) != before)

    async def clear(self) -> None:
        """What the sequencer does."""
        self.ports["clear"].value = 1
        await self.bench.cycles(2)
        await self.bench.until(lambda: int(self.ports["drained"].value) == 1)
        self.ports["clear"].value = 0
        await self.bench.cycles(1)


class Port:
    """Checks AXI's rules for bursts, and remembers them."""

    def __init__(self, dut: Any, bench: Bench) -> None:
        self.dut, self.config = dut, CONFIGS[bench_parameters()["config"]]
        self.bursts: list[tuple[int, int]] = []
        self.held: tuple[int, ...] | None = None
        self.awaited = {0: 0, 1: 0}
        bench._streams.append(self)

    def drive(self) -> None:
        """Nothing to drive."""

    def sample(self) -> None:
        """Values before the edge."""
        value = {name: int(getattr(self.dut, f"m_axi_{name}").value) for name in PORTS}
        strobes = (1 << derive(self.config).bus_bytes) - 1
        assert not value["wvalid"] or value["wstrb"] == strobes
        if value["bvalid"]:
            assert value["bready"]
            self.awaited[value["bid"]] -= 1
        burst = tuple(value[name] for name in ("awid", "awaddr", "awlen", "awsize", "awburst"))
        if not value["awvalid"]:
            assert self.held is None, "awvalid fell"
            return
        assert self.held in (None, burst), "burst changed before it was accepted"
        self.held = burst
        if value["awready"]:
            self.held = None
            self._check(*burst)

    def _check(self, id_: int, address: int, length: int, size: int, kind: int) -> None:
        beat = derive(self.config).bus_bytes
        assert 1 << size == beat and kind == 1 and address % beat == 0
        assert length + 1 <= self.config.bus.burst_beats
        assert address // 4096 == (address + (length + 1) * beat - 1) // 4096, f"burst at {address:#x} crosses 4 KiB"
        self.awaited[id_] += 1
        assert self.awaited[id_] <= self.config.bus.outstanding
        self.bursts.append((id_, address))


def _pauses(random: Random, stall: float) -> Iterator[bool]:
    while True:
        yield random.random() < stall


def _until_data(dut: Any) -> Iterator[bool]:
    """A pause of the address channel while no data is offered (AXI4, A3.3.1)."""
    while True:
        yield not int(dut.m_axi_wvalid.value)


async def start(dut: Any) -> tuple[Bench, list[Writer], Memory, Port]:
    stall = bench_parameters()["stall"]
    bench = await Bench.start(dut, limit=200_000)
    writers = [Writer(dut, bench, index, stall) for index in range(2)]
    memory = Memory()
    slave = AxiSlaveWrite(AxiWriteBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, target=memory)
    slave.log.setLevel("ERROR")
    if stall:
        for name in ("w", "b"):
            getattr(slave, f"{name}_channel").set_pause_generator(_pauses(bench_random(name), stall))
        slave.aw_channel.set_pause_generator(_until_data(dut))
    return bench, writers, memory, Port(dut, bench)


@cocotb.test()
async def stores_rows(dut: Any) -> None:
    """One writer alone, then both at once."""
    bench, writers, memory, _ = await start(dut)
    config = writers[0].config
    total = [0, 0]
    shapes: list[dict[str, int]] = [{"n": 32, "rows": 1, "token": 0}, {"token": 1000}, {}, {}, {}, {}, {}]
    for number, fields in enumerate(shapes):
        memory.bytes.clear()
        active = writers if number > 1 else [writers[number]]
        expected: dict[int, int] = {}
        for writer in active:
            rows = Rows.choose(bench.random, config, Opcode.STORE_ROWS, **fields)
            writer.done = 0
            writer.send(rows)
            expected |= writer.expected(rows)
            total[writer.index] += rows.rows * rows.n * 4
        await bench.until(lambda active=active: all(writer.done for writer in active))
        assert memory.bytes == expected
        await bench.cycles(3)
        assert [writer.bytes for writer in writers] == total
        assert all(writer.faults == [] for writer in writers)


@cocotb.test()
async def reports_and_starts_clean(dut: Any) -> None:
    """A row outside, an error response, a clear in the middle, while the other writer goes on; then a whole one."""
    bench, (writer, other), memory, port = await start(dut)
    config = writer.config

    async def whole() -> None:
        rows = Rows.choose(bench.random, config, Opcode.STORE_ROWS)
        memory.bytes.clear()
        await writer.run(rows)
        assert memory.bytes == writer.expected(rows) and writer.faults == []

    for _ in range(4):
        rows = Rows.choose(bench.random, config, Opcode.STORE_ROWS, rows=config.vector.chunk, token=3)
        outside = bench.random.randrange(rows.rows)
        memory.bytes.clear()
        await writer.run(rows, rows.offset(outside) + 4 * rows.n - 1)
        assert writer.faults.pop() == {"status": Status.ROWS_RANGE, "address": 3 + outside}
        assert memory.bytes == writer.expected(rows, outside)
        await writer.clear()
    await whole()

    for _ in range(4):
        rows = Rows.choose(bench.random, config, Opcode.STORE_ROWS, rows=config.vector.chunk, n=64)
        port.bursts.clear()
        await writer.run(rows)
        assert writer.faults == []
        _, address = bench.random.choice(port.bursts)
        memory.refused = range(address, address + 1)
        done = writer.done
        busy = Rows.choose(bench.random, config, Opcode.STORE_ROWS)
        other.done = 0
        other.send(busy)
        await writer.run(rows)
        assert writer.faults.pop() == {"status": Status.BUS_WRITE, "address": address}
        assert writer.done == done
        await bench.until(lambda: other.done == 1)
        assert other.expected(busy).items() <= memory.bytes.items()
        memory.refused = range(0)
        await writer.clear()
    await whole()

    for cycles in (1, 3, 20, 40, 70, 130):
        rows = Rows.choose(bench.random, config, Opcode.STORE_ROWS, rows=config.vector.chunk, n=64)
        done = writer.done
        writer.send(rows)
        await bench.until(lambda: writer.commands.idle)
        await bench.cycles(cycles)
        if not int(writer.ports["drained"].value):
            await writer.clear()
            assert port.awaited[0] == 0
            assert (writer.done, writer.faults) in ((done, []), (done + 1, []))
    await whole()


@cocotb.test()
async def sends_without_gaps(dut: Any) -> None:
    """A beat a cycle where the scratchpad's words are as wide, beside a few cycles at the start and for a response."""
    bench, (writer, _), _, _ = await start(dut)
    config = writer.config
    beat, lanes = derive(config).bus_bytes, config.vector.lanes
    rows = Rows.choose(bench.random, config, Opcode.STORE_ROWS, rows=2, n=512, token=0)
    start_ = bench.cycle
    await writer.run(rows)
    cycles = max(rows.rows * rows.n * 4 // beat, rows.rows * rows.n // lanes)
    if not bench_parameters()["stall"]:
        # cocotbext-axi's subordinate takes the next burst's data some cycles after that of the one before.
        assert bench.cycle - start_ < cycles + 12 * (rows.rows * rows.n * 4 // beat // config.bus.burst_beats + 4)
