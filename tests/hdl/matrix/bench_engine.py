"""Engine against exact integers: products of all formats, probabilities, hazards, saturation, clear."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import cocotb

from celosia.arch.formats import WEIGHT_FORMATS
from celosia.hdl.interfaces import Interfaces
from celosia.hdl.matrix import Engine as MatrixEngine
from tests.harness.bench import Bench, bench_parameters
from tests.harness.layouts import pack
from tests.harness.streams import Sink, Source

from .configs import interfaces
from .reference import BLOCK, Model, Tile, Word, random_stored, random_word, tile_of
from .wrappers import load_layout, words

ADDRESSES = 48


@dataclass
class Engine:
    """The design, its model, and what it is expected to answer.

    Attributes
    ----------
    memories : activations and probabilities by address, each a list of R words.
    """

    bench: Bench
    layouts: Interfaces
    i: Source
    i_tile: Source
    i_load: Source
    o: Sink
    model: Model
    memories: tuple[dict[int, list[Word]], dict[int, list[Word]]]
    expected: list[Any] = field(default_factory=list)
    tile: Tile | None = None

    @classmethod
    async def start(cls, dut: Any) -> Engine:
        parameters = bench_parameters()
        layouts = interfaces(parameters)
        bench = await Bench.start(dut, limit=60_000)
        stall = parameters["stall"]
        return cls(
            bench,
            layouts,
            bench.source("i", shape=layouts.micro_op, stall=stall),
            bench.source("i_tile", shape=layouts.tile, stall=stall),
            bench.source("i_load", shape=load_layout(layouts)),
            bench.sink("o", shape=layouts.result, stall=stall),
            Model(layouts.rows, layouts.channels),
            ({}, {}),
        )

    @property
    def random(self) -> Random:
        return self.bench.random

    async def load(self, exponents: tuple[int, int], shifts: tuple[int, ...] = (0,)) -> None:
        """Fills both memories with random blocks; shifts for the probabilities."""
        bits = self.layouts.config.array.activation_bits
        for code, memory in enumerate(self.memories):
            for address in range(ADDRESSES):
                memory[address] = [
                    random_word(self.random, bits, exponents=exponents, shift=self.random.choice(shifts) if code else 0)
                    for _ in range(self.layouts.rows)
                ]
                word = pack(words(self.layouts), memory[address])
                self.i_load.send([{"memory": code, "address": address, "word": word}])
        await self.bench.until(lambda: self.i_load.idle)

    def stored_tile(self) -> Tile:
        """A random tile of one of the enabled formats."""
        weight_format = WEIGHT_FORMATS[self.random.choice(bench_parameters()["formats"])]
        return tile_of_format(
            [random_stored(self.random, weight_format) for _ in range(self.layouts.channels)], weight_format
        )

    def operate(
        self,
        index: int,
        *,
        tile: Tile | None = None,
        first: bool = False,
        last: bool = False,
        probabilities: bool = False,
        address: int | None = None,
    ) -> None:
        """Queues a micro-op (and its tile, if it takes one) and tells the model."""
        if tile is not None:
            self.i_tile.send([tile])
            self.tile = tile
        address = self.random.randrange(ADDRESSES) if address is None else address
        tag = {
            "kind": self.random.randrange(3),
            "slot": self.random.randrange(3),
            "row_group": self.random.randrange(1024),
            "group": self.random.getrandbits(20),
            "end": self.random.getrandbits(1),
        }
        op = {
            "take_tile": int(tile is not None),
            "probabilities": int(probabilities),
            "chunk": self.random.getrandbits(1),
            "address": address,
            "accumulator": index,
            "first": int(first),
            "last": int(last),
            "tag": tag,
        }
        self.i.send([op])
        values = self.model.accumulate(index, first, self.tile, self.memories[probabilities][address])
        if last:
            self.expected.append({"tag": tag, "values": values})

    async def check(self) -> None:
        """Waits for all results and compares them."""
        received = await self.bench.receive(self.o, len(self.expected))
        for number, (got, expected) in enumerate(zip(received, self.expected, strict=True)):
            assert got == expected, f"result {number}: {got} instead of {expected}"
        self.expected.clear()
        await self.bench.cycles(4)
        assert not self.o.received, "a result that nobody asked for"


def tile_of_format(blocks: list[Any], weight_format: Any) -> Tile:
    """The reference's tile, its significands split as fp16 does it: 11 bits and an exponent."""
    tile = tile_of(blocks, weight_format)
    for kind in ("", "minimum_"):
        for channel, significand in enumerate(tile[f"{kind}significand"]):
            shift = max(0, significand.bit_length() - 11)
            tile[f"{kind}significand"][channel] = significand >> shift
            tile[f"{kind}exponent"][channel] += shift
    return tile


def cache_tile(engine: Engine, exponents: tuple[int, int]) -> Tile:
    """A tile of keys or values: significand 1, any exponent, no minimum."""
    channels, random = engine.layouts.channels, engine.random
    return {
        "weights": [[random.randint(-127, 127) for _ in range(BLOCK)] for _ in range(channels)],
        "significand": [1] * channels,
        "exponent": [random.randint(*exponents) for _ in range(channels)],
        "scale_negative": [0] * channels,
        "minimum_significand": [0] * channels,
        "minimum_exponent": [random.randint(-512, 511) for _ in range(channels)],
        "minimum_negative": [0] * channels,
    }


def product(engine: Engine, *, groups: int, row_groups: int, blocks: int) -> int:
    """Queues the micro-ops of one superblock as MATMUL orders them; returns how many."""
    for block in range(blocks):
        for group in range(groups):
            for row_group in range(row_groups):
                tile = engine.stored_tile() if row_group == 0 else None
                index = group * row_groups + row_group
                engine.operate(index, tile=tile, first=block == 0, last=block == blocks - 1)
    return blocks * groups * row_groups


@cocotb.test()
async def products(dut: Any) -> None:
    """All formats, mixed; short and long K; one to eight groups, so that the adder is waited for and is not."""
    engine = await Engine.start(dut)
    await engine.load((-12, -4))
    for groups, row_groups, blocks in [(8, 2, 5), (1, 1, 20), (2, 1, 7), (8, 1, 1), (3, 2, 3), (5, 1, 2), (1, 1, 1)]:
        product(engine, groups=groups, row_groups=row_groups, blocks=blocks)
    await engine.check()
    assert not engine.model.overflow
    assert not int(dut.overflowed.value), "overflow without cause"


@cocotb.test()
async def full_speed(dut: Any) -> None:
    """As many accumulators in turn as the adder has cycles never wait; fewer wait for each other and no longer."""
    engine = await Engine.start(dut)
    await engine.load((-12, -4))
    component = MatrixEngine(engine.layouts)
    distance, latency = component.hazard_distance, component.latency
    for groups in (8, 4, 1, min(distance, engine.layouts.derived.accumulators)):
        start = engine.bench.cycle
        count = product(engine, groups=groups, row_groups=1, blocks=10)
        await engine.check()
        cycles = engine.bench.cycle - start
        if not bench_parameters()["stall"]:
            least = 9 * max(groups, distance) + groups
            assert 0 <= cycles - latency - least <= 10, f"{count} micro-ops took {cycles} cycles"


@cocotb.test()
async def waits_for_room(dut: Any) -> None:
    """Results that hardly anybody takes: the engine stops before the queue overruns, and loses none."""
    engine = await Engine.start(dut)
    await engine.load((-12, -4))
    engine.o.stall = 0.98
    for _ in range(6):
        product(engine, groups=8, row_groups=1, blocks=1)
    await engine.check()


@cocotb.test()
async def probabilities(dut: Any) -> None:
    """Accumulators are scaled down by every shift, flushed by 255, and both halves of the index are used."""
    engine = await Engine.start(dut)
    await engine.load((-40, 3), shifts=(0, 0, 1, 2, 7, 100, 254, 255))
    size = len(engine.layouts.accumulator)
    for index in range(size):
        engine.operate(index, tile=cache_tile(engine, (-30, 0)), first=True)
    for _ in range(200):
        tile = cache_tile(engine, (-30, 0)) if engine.random.random() < 0.5 else None
        wide = engine.random.random() < 0.5
        index = engine.random.randrange(size) if wide else engine.random.choice((0, 1, size - 1))
        engine.operate(index, tile=tile, last=engine.random.random() < 0.4, probabilities=engine.random.random() < 0.7)
    await engine.check()


@cocotb.test()
async def extremes(dut: Any) -> None:
    """Exponents from end to end: products and sums that are flushed, and ones that are saturated."""
    engine = await Engine.start(dut)
    await engine.load((-127, 127), shifts=(0, 1, 30, 255))
    for step in range(160):
        tile = engine.stored_tile() if step % 2 else cache_tile(engine, (-127, 127))
        engine.operate(step % 11, tile=tile, first=step < 11 or step % 7 == 0, last=True, probabilities=step % 3 == 0)
    await engine.check()
    assert engine.model.overflow
    assert int(dut.overflowed.value)


@cocotb.test()
async def clear_forgets(dut: Any) -> None:
    """After a clear in the middle of everything the engine answers as if nothing had been asked."""
    engine = await Engine.start(dut)
    await engine.load((-12, -4))
    for _ in range(3):
        queued = product(engine, groups=8, row_groups=1, blocks=3)
        await engine.bench.until(lambda: engine.i.idle and engine.i_tile.idle)
        assert queued
        dut.clear.value = 1
        await engine.bench.cycles(2)
        dut.clear.value = 0
        await engine.bench.cycles(2)
        engine.o.received.clear()
        engine.o._held = None
        engine.expected.clear()
        product(engine, groups=2, row_groups=1, blocks=2)
        await engine.check()
