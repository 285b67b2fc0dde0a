"""Quantizer against exact fractions: every exponent, every threshold of rounding, blocks with and without gaps."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import cocotb
from amaranth.lib import data

from celosia.hdl.vector.quantizer import Quantizer
from tests.harness.bench import Bench, bench_parameters
from tests.harness.layouts import pack, unpack

BLOCK = 32


def exact(word: int) -> Fraction:
    """Value of a machine float."""
    exponent = word >> 23 & 0xFF
    if exponent == 0:
        return Fraction(0)
    magnitude = Fraction((1 << 23) + (word & 0x7FFFFF)) * Fraction(2) ** (exponent - 150)
    return -magnitude if word >> 31 else magnitude


def nearest(value: Fraction) -> int:
    """rne, which is what Python's round of a fraction is."""
    return round(value)


def expected_block(words: list[int], bits: int) -> dict[str, Any]:
    """Section 3 of docs/numerics.md, by search: no logarithm, no table."""
    values = [exact(word) for word in words]
    largest = max(abs(value) for value in values)
    exponent = next(e for e in range(-127, 128) if nearest(largest / Fraction(2) ** e) <= (1 << (bits - 1)) - 1)
    q = [nearest(value / Fraction(2) ** exponent) for value in values]
    return {"q": q, "exponent": exponent, "total": sum(q)}


def word_of(sign: int, exponent: int, mantissa: int) -> int:
    return sign << 31 | exponent << 23 | mantissa


def blocks(random: Any) -> list[list[int]]:
    """Directed blocks, then random ones."""
    made = [[0] * BLOCK, [word_of(1, 254, 0x7FFFFF)] * BLOCK, [word_of(0, 1, 0)] + [0] * 31]
    for bits in (8, 9):
        # The largest element just below, at and above the mantissa that rounds up; its neighbours at every half.
        edge = (1 << 23) - (1 << (24 - bits - 1))
        for mantissa in (edge - 1, edge, edge + 1, 0x7FFFFF, 0, 1, (1 << 23) - (1 << (24 - bits))):
            exponent = random.randint(1, 254)
            made.append([word_of(random.getrandbits(1), exponent, mantissa)] + [0] * 31)
        for step in range(64):
            exponent = random.randint(12, 250)
            halves = [
                word_of(
                    random.getrandbits(1),
                    exponent - random.randint(0, 9),
                    (random.getrandbits(8) << 15) + random.choice((-1, 0, 1)) & 0x7FFFFF,
                )
                for _ in range(BLOCK - 1)
            ]
            made.append([word_of(step & 1, exponent, random.getrandbits(23)), *halves])
    for exponent in range(1, 255):
        made.append(
            [
                word_of(random.getrandbits(1), max(1, exponent - int(random.expovariate(0.3))), random.getrandbits(23))
                for _ in range(BLOCK)
            ]
        )
    for made_block in made:
        random.shuffle(made_block)
    return made


@cocotb.test()
async def quantizes(dut: Any) -> None:
    """Every block as the definition says, in order, `latency` cycles after its last word."""
    parameters = bench_parameters()
    lanes, bits = parameters["lanes"], parameters["bits"]
    layout = Quantizer(lanes=lanes, bits=bits).o.shape()
    bench = await Bench.start(dut, limit=100_000)
    inputs = blocks(bench.random)
    narrow = [bits == 9 and bench.random.random() < 0.5 for _ in inputs]
    outputs: list[int] = []
    begin = bench.cycle
    last_words: list[int] = []
    came: list[int] = []

    def look() -> bool:
        if int(dut.o_valid.value):
            outputs.append(int(dut.o.value))
            came.append(bench.cycle)
        return len(outputs) == len(inputs)

    watching = cocotb.start_soon(bench.until(look))
    for block, is_narrow in zip(inputs, narrow, strict=True):
        for start in range(0, BLOCK, lanes):
            while bench.random.random() < parameters["stall"]:
                dut.valid.value = 0
                dut.i.value = bench.random.getrandbits(32 * lanes)
                await bench.cycles(1)
            dut.valid.value = 1
            dut.narrow.value = int(is_narrow)
            dut.i.value = pack(data.ArrayLayout(32, lanes), block[start : start + lanes])
            await bench.cycles(1)
        last_words.append(bench.cycle)
        dut.valid.value = 0
    dut.valid.value = 0
    await watching
    for number, (block, got, is_narrow) in enumerate(zip(inputs, outputs, narrow, strict=True)):
        wanted = expected_block(block, 8 if is_narrow else bits)
        assert unpack(layout, got) == wanted, f"block {number}: {unpack(layout, got)} not {wanted}"
    delays = {late - early for early, late in zip(last_words, came, strict=True)}
    assert delays == {parameters["latency"]}, f"latency {delays}, not {parameters['latency']}"
    if not parameters["stall"]:
        assert bench.cycle - begin <= len(inputs) * BLOCK // lanes + parameters["latency"] + 2
