"""Rows of a random table against their definition (docs/numerics.md, 9), read from the bytes of its layout."""

from __future__ import annotations

import struct
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from celosia.arch.config import AcceleratorConfig, derive
from celosia.arch.formats import BLOCK, WeightFormat
from celosia.arch.isa import Instruction, Opcode, Status
from celosia.arch.layout import MatmulLayout
from celosia.hdl.interfaces import AUXILIARY_READ, COMMAND, FAULT
from tests.harness.bench import Bench, bench_parameters, bench_random
from tests.harness.layouts import unpack

from .stream.configs import CONFIGS

IMAGE_BASE = 0x9000_0040
TABLE = 0x1_2340


class Surroundings:
    """Image, token memory and scratchpad of an embedding."""

    def __init__(self, dut: Any, bench: Bench, config: AcceleratorConfig, stall: float) -> None:
        self.dut, self.bench, self.config = dut, bench, config
        self.tokens: dict[int, int] = {}
        self.image = b""
        self.written: dict[int, int] = {}
        self.faults: list[Any] = []
        self.done = 0
        self.addresses = bench.sink("memory__o_address", shape=AUXILIARY_READ, stall=stall)
        self.beats = bench.source("memory__i_beat", stall=stall)
        self.commands = bench.source("i", shape=COMMAND)
        dut.image_base.value = IMAGE_BASE
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, edge, random = self.dut, RisingEdge(self.dut.clk), bench_random("tokens")
        bus = derive(self.config).bus_bytes
        while True:
            await edge
            if int(dut.spm__en.value):
                assert int(dut.spm__mask.value) == (1 << self.config.vector.lanes) - 1
                address = int(dut.spm__address.value)
                assert address not in self.written, f"scratchpad word {address} written twice"
                self.written[address] = int(dut.spm__data.value)
            if int(dut.fault_valid.value):
                self.faults.append(unpack(FAULT, int(dut.fault.value)))
            self.done += int(dut.done.value)
            noise = random.getrandbits(32)
            dut.tokens__data.value = (
                self.tokens.get(int(dut.tokens__address.value), noise) if int(dut.tokens__en.value) else noise
            )
            for read in self.addresses.received:
                start = read["address"] - IMAGE_BASE - TABLE
                assert start % bus == 0 and 0 <= start < len(self.image) and read["beats"] == 1, f"read of {read}"
                self.beats.send([int.from_bytes(self.image[start : start + bus], "little")])
            self.addresses.received = []

    async def embed(self, f: WeightFormat, vocabulary: int, blocks: int, tokens: list[int], first: int) -> int:
        """Run one EMBED; returns its cycles."""
        random = self.bench.random
        layout = MatmulLayout(self.config, f, vocabulary, blocks)
        words = np.frombuffer(random.randbytes(layout.bytes), dtype="<u2").copy()
        words[(words & 0x7C00) == 0x7C00] ^= 0x4000  # no scale is infinite or not a number
        words[random.randrange(5) :: 7] &= 0x83FF  # and some are subnormal
        self.image, self.written, self.done, self.faults = words.tobytes(), {}, 0, []
        self.tokens = {first + index: token for index, token in enumerate(tokens)}
        destination = random.randrange(100)
        instruction = Instruction(Opcode.EMBED, format=f.code, dst=destination, n=vocabulary, k=blocks, base=TABLE)
        context = {"layer": 0, "rows": len(tokens), "position": 0, "sequence": 0, "token": first, "chunk": 0}
        start = self.bench.cycle
        self.commands.send([{"instruction": vars(instruction), **context}])
        await self.bench.until(lambda: self.done > 0 or bool(self.faults))
        cycles = self.bench.cycle - start
        if self.faults:
            return cycles
        expected = {}
        for row, token in enumerate(tokens):
            values = self._row(layout, token).view("<u4").reshape(-1, self.config.vector.lanes)
            for index, lanes in enumerate(values.tolist()):
                word = sum(lane << (32 * i) for i, lane in enumerate(lanes))
                expected[destination + row * len(values) + index] = word
        assert self.written == expected
        await self.bench.cycles(5)
        assert self.done == 1 and self.beats.idle
        return cycles

    def _row(self, layout: MatmulLayout, token: int) -> np.ndarray:
        f = layout.weight_format
        group, channel = divmod(token, self.config.array.channels)
        values = []
        for block in range(layout.blocks):
            tile = layout.tile_index(group, block)
            start = layout.payload_offset(tile) + channel * f.payload_bytes
            payload = np.frombuffer(self.image[start : start + f.payload_bytes], dtype=np.uint8)
            if f.bits == 4:
                q = np.stack([payload & 15, payload >> 4], axis=1).reshape(-1).astype(np.float64) - f.offset
            else:
                q = payload.view(np.int8).astype(np.float64)
            start = layout.scale_offset(tile) + channel * f.scale_bytes
            scales = struct.unpack("<2e" if f.has_minimum else "<e", self.image[start : start + f.scale_bytes])
            value = (q * scales[0]).astype(np.float32)
            if f.has_minimum:
                value = (value.astype(np.float64) + scales[1]).astype(np.float32)
            values.append(value + np.float32(0))
        return np.concatenate(values)


async def surroundings(dut: Any) -> Surroundings:
    parameters = bench_parameters()
    bench = await Bench.start(dut, limit=200_000)
    return Surroundings(dut, bench, CONFIGS[parameters["config"]], parameters["stall"])


@cocotb.test()
async def dequantizes_rows(dut: Any) -> None:
    around = await surroundings(dut)
    random, config = around.bench.random, around.config
    stall = bench_parameters()["stall"]
    for f in derive(config).formats:
        for vocabulary in (1, config.array.channels * 8, random.randrange(70, 200)):
            rows, blocks = random.randint(1, 4), random.randint(1, 6)
            tokens = [random.randrange(vocabulary) for _ in range(rows - 1)] + [vocabulary - 1]
            cycles = await around.embed(f, vocabulary, blocks, tokens, random.randrange(1 << 12))
            parts = max(1, f.payload_bytes // derive(config).bus_bytes)
            # Collecting and writing a block, and between rows the latency of the unit and of the memory.
            per_block = 1 + parts + BLOCK // config.vector.lanes + 3
            if not stall:
                assert cycles <= rows * (blocks * per_block + 20) + 20, f"{cycles} cycles for {rows} x {blocks}"


@cocotb.test()
async def refuses_tokens_out_of_range(dut: Any) -> None:
    around = await surroundings(dut)
    f = derive(around.config).formats[0]
    for token in (50, 1 << 20, (1 << 31) + 3):
        await around.embed(f, 50, 2, [3, token], 0)
        assert around.faults == [{"status": Status.TOKEN_RANGE, "address": token}]
        await around.bench.cycles(60)
        assert around.done == 0
    await around.embed(f, 50, 2, [49], 7)
    assert around.faults == []
