"""The stripe between a master and memories that are not ours (cocotbext-axi)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import repeat
from random import Random
from typing import Any

import cocotb
from cocotbext.axi import AxiBus, AxiMaster, AxiResp, AxiSlave, MemoryRegion

from ..harness.bench import Bench, bench_parameters, bench_random

TRANSFERS = 150
LATENCIES = {"araddr": 1, "rdata": 2}


class Memory(MemoryRegion):
    """A port's memory, which refuses some addresses and notes which were asked for."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.refused = range(0)
        self.low, self.high = size, 0

    def _check(self, address: int, size: int) -> None:
        self.low, self.high = min(self.low, address), max(self.high, address + size)
        if address in self.refused:
            raise OSError("refused")

    async def _read(self, address: int, length: int, **arguments: Any) -> bytes:
        self._check(address, length)
        return await super()._read(address, length, **arguments)

    async def _write(self, address: int, data: bytes, **arguments: Any) -> None:
        self._check(address, len(data))
        await super()._write(address, data, **arguments)


class System:
    """A master at the bus, a memory at every port, and what the bytes should be."""

    def __init__(self, dut: Any, stall: float) -> None:
        bus = bench_parameters()["bus"]
        self.ports, self.region = bus["ports"], 1 << bus["port_address_bits"]
        self.beat, self.longest = bus["data_bits"] // 8, bus["burst_beats"]
        self.part = self.beat // self.ports
        self.master = AxiMaster(AxiBus.from_prefix(dut, "bus"), dut.clk, dut.rst, max_burst_len=self.longest)
        self.memories = [Memory(self.ports * self.region) for _ in range(self.ports)]
        slaves = [
            AxiSlave(AxiBus.from_prefix(dut, f"port_{index}"), dut.clk, dut.rst, target=memory)
            for index, memory in enumerate(self.memories)
        ]
        for interface in (self.master, *slaves):
            for half in (interface.read_if, interface.write_if):
                half.log.setLevel(logging.WARNING)
        for index, slave in enumerate(slaves):
            for name in ("aw", "w", "b", "ar", "r"):
                half = slave.read_if if name in ("ar", "r") else slave.write_if
                channel = getattr(half, f"{name}_channel")
                channel.set_pause_generator(pauses(bench_random(f"{index} {name}"), stall))
        self.bytes = bytearray(self.ports * self.region)

    def striped(self, index: int) -> bytes:
        """What a port's region should hold."""
        beats = range(0, len(self.bytes), self.beat)
        return b"".join(self.bytes[at + index * self.part :][: self.part] for at in beats)

    async def write(self, address: int, data: bytes) -> AxiResp:
        return (await self.master.write(address, data)).resp

    def place(self, random: Random) -> tuple[int, int]:
        """A stretch from a beat on, within a region; it may end within a beat and need several bursts."""
        start = random.randrange(len(self.bytes) // self.beat)
        longest = min(len(self.bytes) - start * self.beat, 3 * self.longest * self.beat)
        return start * self.beat, random.randint(1, longest)


def pauses(random: Random, share: float) -> Iterator[bool]:
    """`share` of the cycles, at random."""
    return (random.random() < share for _ in repeat(None))


@cocotb.test()
async def spreads_and_joins(dut: Any) -> None:
    """Writes land where they belong, strobes too; reads under way at once come back whole, each with its own id."""
    bench = await Bench.start(dut, limit=400_000)
    system, random = System(dut, bench_parameters()["stall"]), bench.random
    for _ in range(TRANSFERS):
        address, size = system.place(random)
        data = random.randbytes(size)
        assert await system.write(address, data) == AxiResp.OKAY
        system.bytes[address : address + size] = data
    for index, memory in enumerate(system.memories):
        start = index * system.region
        assert memory.mem[start : start + system.region] == system.striped(index)
        assert start <= memory.low and memory.high <= start + system.region
    places = [system.place(random) for _ in range(TRANSFERS)]
    reads = [
        cocotb.start_soon(system.master.read(at, -(-size // system.beat) * system.beat, arid=random.randrange(2)))
        for at, size in places
    ]
    for (at, size), read in zip(places, reads, strict=True):
        found = await read
        assert found.resp == AxiResp.OKAY
        assert found.data[:size] == system.bytes[at : at + size]


@cocotb.test()
async def tells_an_error_of_any_port(dut: Any) -> None:
    """The burst with the beat that one port refuses ends with an error, its neighbours do not."""
    bench = await Bench.start(dut, limit=100_000)
    system = System(dut, bench_parameters()["stall"])
    burst = system.beat * system.longest
    for index, memory in enumerate(system.memories):
        for wrong in range(3):
            beat = wrong * system.longest + bench.random.randrange(system.longest)
            address = index * system.region + beat * system.part
            memory.refused = range(address, address + system.part)
            for at in range(3):
                expected = AxiResp.SLVERR if at == wrong else AxiResp.OKAY
                assert await system.write(at * burst, bytes(burst)) == expected
                assert (await system.master.read(at * burst, burst)).resp == expected
        memory.refused = range(0)


@cocotb.test()
async def takes_the_cycles_that_it_says(dut: Any) -> None:
    """A burst of reads, beat after beat: an address leaves a cycle after it came, a beat two."""
    bench = await Bench.start(dut, limit=10_000)
    system = System(dut, 0.0)
    read = cocotb.start_soon(system.master.read(0, system.longest * system.beat))
    seen: dict[str, list[int]] = {name: [] for name in ("bus_ar", "port_0_ar", "port_0_r", "bus_r")}
    while not read.done():
        await bench.cycles(1)
        for name, cycles in seen.items():
            if int(getattr(dut, f"{name}valid").value) and int(getattr(dut, f"{name}ready").value):
                cycles.append(bench.cycle)
    assert seen["port_0_ar"] == [seen["bus_ar"][0] + LATENCIES["araddr"]]
    assert seen["bus_r"] == [cycle + LATENCIES["rdata"] for cycle in seen["port_0_r"]]
    assert len(seen["bus_r"]) == system.longest
