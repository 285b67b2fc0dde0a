"""Unpacker: every kind of fp16, every stored element, all enabled formats, changing from tile to tile."""

from __future__ import annotations

from random import Random
from typing import Any

import cocotb

from celosia.arch.formats import WEIGHT_FORMATS, WeightFormat
from tests.harness.bench import Bench, bench_parameters

from .configs import interfaces
from .reference import BLOCK, Stored, half_value, pack_raw, random_stored

MANTISSAS = (0, 1, 0x155, 0x1FF, 0x200, 0x3FF)
HALVES = [sign << 15 | exponent << 10 | m for sign in (0, 1) for exponent in range(31) for m in MANTISSAS]


def tiles(random: Random, weight_format: WeightFormat, channels: int) -> list[list[Stored]]:
    """Tiles that between them hold every corner as d and as m, and every stored element in every lane."""
    blocks = [random_stored(random, weight_format) for _ in range(2 * channels)]
    low, high = (-128, 127) if weight_format.bits == 8 else (0, 15)
    for i, half in enumerate(HALVES):
        elements = [low + (i + lane) % (high - low + 1) for lane in range(BLOCK)]
        blocks.append(Stored(elements, half, HALVES[-i] if weight_format.has_minimum else 0))
    return [blocks[i : i + channels] for i in range(0, len(blocks) - channels + 1, channels)]


@cocotb.test()
async def unpacks(dut: Any) -> None:
    parameters = bench_parameters()
    layouts = interfaces(parameters)
    bench = await Bench.start(dut)
    source = bench.source("i", shape=layouts.raw_tile, stall=parameters["stall"])
    sink = bench.sink("o", shape=layouts.tile, stall=parameters["stall"])
    for name in parameters["formats"]:
        weight_format = WEIGHT_FORMATS[name]
        dut.format.value = weight_format.code
        sent = tiles(bench.random, weight_format, layouts.channels)
        start = bench.cycle
        source.send(pack_raw(blocks, weight_format) for blocks in sent)
        received = await bench.receive(sink, len(sent))
        if not parameters["stall"]:
            assert bench.cycle - start <= len(sent) + 2, "one tile a cycle at full speed"
        for blocks, tile in zip(sent, received, strict=True):
            for channel, stored in enumerate(blocks):
                check(channel, stored, tile, weight_format)


def check(channel: int, stored: Stored, tile: Any, weight_format: WeightFormat) -> None:
    """Weights as they are defined; scales as values, whatever their split into significand and exponent."""
    assert tile["weights"][channel] == [element - weight_format.offset for element in stored.elements]
    d = value(tile, channel, "significand", "exponent", "scale_negative")
    assert d == half_value(stored.d)[0], f"d = {stored.d:#06x}"
    m = value(tile, channel, "minimum_significand", "minimum_exponent", "minimum_negative")
    assert m == half_value(stored.m)[0], f"m = {stored.m:#06x}"


def value(tile: Any, channel: int, significand: str, exponent: str, negative: str) -> int:
    """A tile's scale in units of 2^-24."""
    magnitude = tile[significand][channel]
    power = tile[exponent][channel] + 24
    assert power >= 0 or magnitude == 0
    return (-1 if tile[negative][channel] else 1) * magnitude << max(power, 0)
