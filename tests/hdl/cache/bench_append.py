"""APPENDs through tail buffer and page writer into a memory that is not ours; block-table lookups."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import cocotb
from cocotbext.axi import AxiSlaveWrite, AxiWriteBus

from celosia.arch.config import AcceleratorConfig, derive
from celosia.arch.formats import BLOCK
from celosia.arch.isa import FIELDS, Geometry, Instruction, Opcode, Status
from celosia.arch.layout import CacheLayout
from celosia.hdl.cache.tail_buffer import tail_shapes
from celosia.hdl.interfaces import COMMAND, FAULT, Interfaces

from ...harness.bench import Bench, bench_parameters
from ...harness.layouts import unpack

KV_BASE = 0x1_2340_0040
LAYERS = 3


class Memory:
    """The target of the AXI subordinate: keeps every byte that is written; refuses writes to one address."""

    def __init__(self) -> None:
        self.bytes: dict[int, int] = {}
        self.refused: range = range(0)

    async def write(self, address: int, data: bytes, **_: object) -> None:
        """Called once for each run of strobed bytes."""
        if address in self.refused:
            raise OSError("refused")
        self.bytes.update((address + i, byte) for i, byte in enumerate(data))


class Monitor:
    """Checks AXI's rules for bursts and counts what the unit reports."""

    def __init__(self, bench: Bench, config: AcceleratorConfig) -> None:
        self.dut, self.config = bench.dut, config
        self.bursts: list[int] = []
        self.complete = self.bytes = 0
        self.faults: list[dict[str, int]] = []
        self.held: tuple[int, int] | None = None
        bench._streams.append(self)

    def drive(self) -> None:
        """Nothing to drive."""

    def sample(self) -> None:
        """Values before the edge."""
        dut = self.dut
        self.complete += int(dut.append_complete.value)
        self.bytes += int(dut.bytes.value)
        if int(dut.fault_valid.value):
            self.faults.append(unpack(FAULT, int(dut.fault.value)))
        if int(dut.m_axi_awvalid.value):
            burst = int(dut.m_axi_awaddr.value), int(dut.m_axi_awlen.value)
            assert self.held in (None, burst), "burst changed before it was accepted"
            self.held = burst
            if int(dut.m_axi_awready.value):
                self.held = None
                self._check(*burst)
        else:
            assert self.held is None, "awvalid fell"

    def _check(self, address: int, length: int) -> None:
        size = derive(self.config).bus_bytes
        assert address % size == 0
        assert length + 1 <= self.config.bus.burst_beats
        assert address // 4096 == (address + (length + 1) * size - 1) // 4096, f"burst at {address:#x} crosses 4 KiB"
        self.bursts.append(address)


def config_of(parameters: dict[str, Any]) -> AcceleratorConfig:
    """The config of this bench."""
    return AcceleratorConfig.from_dict(parameters["config"])


class Append:
    """One random APPEND and the bytes that it must write."""

    def __init__(self, config: AcceleratorConfig, random: Random, fields: dict[str, int], page: int) -> None:
        self.heads, self.blocks = fields["kv_heads"], fields["head_blocks"]
        self.rows, self.position = fields["rows"], fields["position"]
        self.layout = CacheLayout(config, self.heads, self.blocks, LAYERS)
        self.layer = random.randrange(LAYERS)
        self.sequence = fields["sequence"]
        self.chunk = random.randrange(config.vector.chunks)
        self.base = KV_BASE + page * self.layout.page_bytes + self.layer * self.layout.layer_bytes
        self.kv_blocks: list[dict[str, Any]] = []
        self.expected: dict[int, int] = {}
        for row in range(self.rows):
            for value in (0, 1):
                for head in range(self.heads):
                    for block in range(self.blocks):
                        q = [random.randint(-127, 127) for _ in range(BLOCK)]
                        exponent = random.randint(-127, 127)
                        self.kv_blocks.append(
                            {"value": value, "row": row, "head": head, "block": block, "q": q, "exponent": exponent}
                        )
                        at = self._bytes(value, row, head, block, q, exponent)
                        self.expected.update((address, byte & 0xFF) for address, byte in at)

    def _bytes(
        self, value: int, row: int, head: int, block: int, q: list[int], exponent: int
    ) -> Iterator[tuple[int, int]]:
        at = self.position % BLOCK + row
        start = self.base + head * self.layout.head_bytes
        yield start + (value * self.blocks + block) * BLOCK + at, exponent
        payload = start + self.layout.exponent_bytes + value * self.layout.payload_bytes + block * BLOCK * BLOCK
        for i, element in enumerate(q):
            yield payload + (i * BLOCK + at if value else at * BLOCK + i), element

    def command(self) -> dict[str, Any]:
        """The COMMAND payload."""
        aux = Geometry(self.heads, 1, self.blocks, 0, self.blocks * BLOCK).encode()
        instruction = Instruction(Opcode.APPEND, base=self.layout.page_bytes, stride=self.layout.layer_bytes, aux=aux)
        return dict.fromkeys(COMMAND.members, 0) | {
            "instruction": {name: int(getattr(instruction, name)) for name in FIELDS},
            "layer": self.layer,
            "rows": self.rows,
            "position": self.position,
            "sequence": self.sequence,
            "chunk": self.chunk,
        }

    def tail(self, interfaces: Interfaces) -> dict[str, dict[int, dict[int, int]]]:
        """What the tail buffer must have: bytes by port, address and place in the word (see `TailBuffer`)."""
        channels = interfaces.channels
        found: dict[str, dict[int, dict[int, int]]] = {"words": {}, "exponents": {}}
        top = dict(zip(("words", "exponents"), tail_shapes(interfaces), strict=True))

        def put(port: str, value: int, address: int, place: int, byte: int) -> None:
            word = found[port].setdefault(address | value << (top[port] - 1), {})
            word[place] = byte & 0xFF

        for kv in self.kv_blocks:
            value, index = kv["value"], kv["head"] * self.blocks + kv["block"]
            at = self.position % BLOCK + kv["row"]
            put("exponents", value, index, at, kv["exponent"])
            for dim, element in enumerate(kv["q"]):
                row, column = (dim, at) if value else (at, dim)
                tile, channel = divmod(row, channels)
                put("words", value, index * (BLOCK // channels) + tile, channel * BLOCK + column, element)
        return found


async def check_tail(bench: Bench, interfaces: Interfaces, append: Append) -> None:
    """What an APPEND left in the tail buffer, as the merger sees it."""
    dut = bench.dut
    dut.merger_chunk.value = append.chunk
    for name, words in append.tail(interfaces).items():
        getattr(dut, f"{name}__en").value = 1
        for address, expected in words.items():
            getattr(dut, f"{name}__address").value = address
            await bench.cycles(2)
            data = int(getattr(dut, f"{name}__data").value)
            got = {place: data >> 8 * place & 0xFF for place in expected}
            assert got == expected, f"chunk {append.chunk}, {name}, address {address}"
        getattr(dut, f"{name}__en").value = 0


async def _start(dut: Any, parameters: dict[str, Any]) -> tuple[Bench, dict[str, Any], Memory, Monitor]:
    config = config_of(parameters)
    interfaces = Interfaces(config)
    for name in ("clear", "write", "control", "status_sequence", "lookup__sequence", "lookup__index", "merger_chunk"):
        getattr(dut, name).value = 0
    dut.kv_base.value = KV_BASE
    bench = await Bench.start(dut, limit=200_000)
    ports = {
        "i": bench.source("i", shape=COMMAND, stall=parameters["stall"]),
        "i_kv": bench.source("i_kv", shape=interfaces.kv_block, stall=parameters["stall"]),
    }
    memory = Memory()
    slave = AxiSlaveWrite(AxiWriteBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, target=memory)
    slave.log.setLevel("ERROR")
    if parameters["stall"]:
        for channel in (slave.aw_channel, slave.w_channel, slave.b_channel):
            channel.set_pause_generator(_pauses(bench, parameters["stall"]))
        # AXI4, A3.3.1: a subordinate may wait for WVALID before AWREADY.
        slave.aw_channel.set_pause_generator(_until_data(dut))
    return bench, ports, memory, Monitor(bench, config)


def _pauses(bench: Bench, stall: float) -> Iterator[bool]:
    random = Random(bench.random.getrandbits(32))
    while True:
        yield random.random() < stall


def _until_data(dut: Any) -> Iterator[bool]:
    """A pause of the address channel while no data is offered."""
    while True:
        yield not int(dut.m_axi_wvalid.value)


async def _table(bench: Bench, **values: int) -> None:
    """One write or control pulse of the host."""
    for name, value in values.items():
        getattr(bench.dut, name).value = value
    await bench.cycles(1)
    bench.dut.write.value = 0
    bench.dut.control.value = 0
    await bench.cycles(1)


async def _open(bench: Bench, sequence: int, pages: list[int]) -> None:
    await _table(bench, control=1, control_open=1, write_sequence=sequence)
    for index, page in enumerate(pages):
        await _table(bench, write=1, write_sequence=sequence, write_index=index, write_page=page)


async def _clear(bench: Bench) -> None:
    bench.dut.clear.value = 1
    await bench.cycles(2)
    await bench.until(lambda: int(bench.dut.drained.value) == 1)
    bench.dut.clear.value = 0
    await bench.cycles(1)


@cocotb.test()
async def appends(dut: Any) -> None:
    parameters = bench_parameters()
    config = config_of(parameters)
    bench, ports, memory, monitor = await _start(dut, parameters)
    pages = {s: bench.random.sample(range(config.cache.pages), 3) for s in range(config.cache.sequences)}
    for sequence, own in pages.items():
        await _open(bench, sequence, own)
    for name in ("words", "exponents"):
        getattr(dut, f"{name}__en").value = 0
    total = 0
    latest: dict[int, Append] = {}
    for count, fields in enumerate(parameters["appends"], 1):
        append = Append(config, bench.random, fields, pages[fields["sequence"]][fields["position"] // BLOCK])
        memory.bytes.clear()
        ports["i"].send([append.command()])
        ports["i_kv"].send(append.kv_blocks)
        await bench.until(lambda count=count: monitor.complete == count or bool(monitor.faults))
        assert monitor.faults == []
        assert memory.bytes.keys() == append.expected.keys(), f"{fields}: bytes written that are not the chunk's"
        wrong = [hex(a) for a, byte in append.expected.items() if memory.bytes[a] != byte]
        assert not wrong, f"{fields}: {len(wrong)} bytes differ, first at {wrong[0]}"
        total += len(append.expected)
        latest[append.chunk] = append
        for other in latest.values():
            await check_tail(bench, Interfaces(config), other)
    assert len(latest) == config.vector.chunks
    await bench.cycles(2)
    assert monitor.bytes == total
    assert ports["i_kv"].idle


@cocotb.test()
async def faults_and_restarts(dut: Any) -> None:
    parameters = bench_parameters()
    config = config_of(parameters)
    bench, ports, memory, monitor = await _start(dut, parameters)
    await _open(bench, 0, [3, 1])

    async def run(append: Append) -> None:
        ports["i"].send([append.command()])
        ports["i_kv"].send(append.kv_blocks)
        before = monitor.complete, len(monitor.faults)
        await bench.until(lambda: (monitor.complete, len(monitor.faults)) != before)

    fields = {"kv_heads": 2, "head_blocks": 1, "rows": 2, "position": 37, "sequence": 0}
    good = Append(config, bench.random, fields, 1)
    await run(good)
    address = bench.random.choice(monitor.bursts)
    memory.refused = range(address, address + config.bus.burst_beats * derive(config).bus_bytes)
    monitor.bursts.clear()
    await run(good)
    assert monitor.faults.pop() == {"status": Status.BUS_WRITE, "address": address}
    assert monitor.complete == 1
    await bench.until(lambda: int(dut.drained.value) == 1)
    await _clear(bench)
    memory.refused = range(0)

    range_end = config.cache.pages_per_sequence * BLOCK
    for position, sequence, status in (
        (64, 0, Status.PAGE_UNMAPPED),
        (range_end, 0, Status.PAGE_UNMAPPED),
        (5, max(1, config.cache.sequences - 1), Status.PAGE_UNMAPPED),
    ):
        bad = Append(config, bench.random, fields | {"position": position, "sequence": sequence}, 0)
        ports["i"].send([bad.command()])
        await bench.until(lambda: bool(monitor.faults))
        assert monitor.faults.pop() == {"status": status, "address": position}
        await _clear(bench)

    # Cleared in the middle: nothing is reported, and the next append is whole.
    for cycles in (20, 60, 100):
        ports["i"].send([good.command()])
        ports["i_kv"].send(good.kv_blocks)
        await bench.until(lambda: ports["i_kv"].idle)
        await bench.cycles(cycles)
        if int(dut.drained.value):
            continue
        complete = monitor.complete
        await _clear(bench)
        assert (monitor.complete, monitor.faults) == (complete, [])
    memory.bytes.clear()
    await run(good)
    assert memory.bytes == good.expected


@cocotb.test()
async def looks_up(dut: Any) -> None:
    parameters = bench_parameters()
    config = config_of(parameters)
    cache = config.cache
    bench, *_ = await _start(dut, parameters)
    tables: dict[int, list[int]] = {}
    seen = set()

    async def lookup(sequence: int, index: int) -> None:
        dut.lookup__sequence.value, dut.lookup__index.value, dut.status_sequence.value = sequence, index, sequence
        await bench.cycles(1)
        dut.lookup__sequence.value, dut.lookup__index.value = 0x3F, 0x7FFF
        await bench.cycles(1)
        assert int(dut.sequence_open.value) == (sequence in tables), sequence
        pages = tables.get(sequence, [])
        mapped = index < len(pages) and pages[index] < cache.pages
        assert int(dut.lookup__mapped.value) == mapped, f"sequence {sequence}, index {index}"
        assert not mapped or int(dut.lookup__page.value) == pages[index]
        seen.add(mapped)

    for _ in range(300):
        sequence = bench.random.randrange(cache.sequences + 1)
        action = bench.random.random()
        if action < 0.15:
            opens = bench.random.random() < 0.7
            await _table(bench, control=1, control_open=int(opens), write_sequence=sequence)
            tables.pop(sequence, None)
            if opens and sequence < cache.sequences:
                tables[sequence] = []
        elif action < 0.6:
            pages = tables.get(sequence, [])
            index, page = (
                bench.random.choice((len(pages), max(0, len(pages) - 1))),
                bench.random.randrange(cache.pages + 3),
            )
            await _table(bench, write=1, write_sequence=sequence, write_index=index, write_page=page)
            if sequence in tables and index < cache.pages_per_sequence:
                pages[index : index + 1] = [page]
        for index in (0, bench.random.randrange(cache.pages_per_sequence + 2), cache.pages_per_sequence - 1):
            await lookup(sequence, index)
    assert seen == {True, False}
