"""The matrix product of docs/numerics.md in exact integers, and random operands for it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ..arithmetic.exact import add, decode, rne32

BLOCK = 32
Tile = dict[str, Any]
Word = dict[str, Any]


def half_value(half: int) -> tuple[int, int]:
    """The pair (n, -24) with n x 2^-24 the exact value of an fp16 word."""
    (value,) = struct.unpack("<e", half.to_bytes(2, "little"))
    return int(value * 2**24), -24


def scale_down(word: int, shift: int) -> int:
    """``scale2(word, -shift)``."""
    n, e = decode(word)
    return rne32(n, e - shift)[0]


@dataclass
class Model:
    """R x C accumulators by index, as the engine has them.

    Attributes
    ----------
    overflow : bool
        Something was saturated.
    """

    rows: int
    channels: int
    overflow: bool = False
    accumulators: dict[int, list[list[int]]] = field(default_factory=dict)

    def term(self, integer: int, scale: int, exponent: int) -> int:
        """``rne32(integer x scale x 2^exponent)``."""
        word, overflow = rne32(integer * scale, exponent)
        self.overflow |= bool(overflow)
        return word

    def sum(self, a: int, b: int) -> int:
        """``add(a, b)``."""
        word, overflow = add(a, b, 0)
        self.overflow |= bool(overflow)
        return word

    def block(self, tile: Tile, channel: int, word: Word) -> int:
        """The value of a block of 32."""
        dot = sum(w * q for w, q in zip(tile["weights"][channel], word["q"], strict=True))
        scale = tile["significand"][channel] * (-1 if tile["scale_negative"][channel] else 1)
        value = self.term(dot, scale, tile["exponent"][channel] + word["exponent"])
        minimum = tile["minimum_significand"][channel] * (-1 if tile["minimum_negative"][channel] else 1)
        if minimum == 0:
            return value
        exponent = tile["minimum_exponent"][channel] + word["exponent"]
        return self.sum(value, self.term(word["total"], minimum, exponent))

    def accumulate(self, index: int, first: bool, tile: Tile, words: list[Word]) -> list[list[int]]:
        """One micro-op; returns the R x C accumulators after it."""
        old = self.accumulators.get(index)
        new = []
        for row, word in enumerate(words):
            values = []
            for channel in range(self.channels):
                before = 0 if first or old is None else scale_down(old[row][channel], word["shift"])
                values.append(self.sum(before, self.block(tile, channel, word)))
            new.append(values)
        self.accumulators[index] = new
        return new


def random_word(random: Random, bits: int, *, exponents: tuple[int, int], shift: int = 0) -> Word:
    """A quantized activation block."""
    limit = (1 << (bits - 1)) - 1
    extreme = random.random() < 0.1
    q = [random.choice((-limit, limit)) if extreme else random.randint(-limit, limit) for _ in range(BLOCK)]
    if random.random() < 0.05:
        q = [limit] * BLOCK
    return {"q": q, "exponent": random.randint(*exponents), "total": sum(q), "shift": shift}


def random_half(random: Random) -> int:
    """A finite fp16 of moderate size, with the odd zero and subnormal."""
    kind = random.random()
    exponent = 0 if kind < 0.1 else random.randint(5, 18)
    mantissa = 0 if kind < 0.02 else random.getrandbits(10)
    return random.getrandbits(1) << 15 | exponent << 10 | mantissa


@dataclass(frozen=True)
class Stored:
    """One block of weights of one channel, as a checkpoint stores it.

    Attributes
    ----------
    elements : 32 stored integers: unsigned nibbles, or signed bytes.
    d, m : fp16 words; m is 0 where the format has none.
    """

    elements: list[int]
    d: int
    m: int


def random_stored(random: Random, weight_format: Any) -> Stored:
    """A block in a `celosia.arch.formats.WeightFormat`."""
    low, high = (-128, 127) if weight_format.bits == 8 else (0, 15)
    elements = [random.choice((low, high, random.randint(low, high))) for _ in range(BLOCK)]
    return Stored(elements, random_half(random), random_half(random) if weight_format.has_minimum else 0)


def pack_raw(blocks: list[Stored], weight_format: Any) -> dict[str, Any]:
    """The raw tile of C blocks (arch.layout: channel-major, low nibble first; scales in the low bytes)."""
    bits = weight_format.bits
    payload = scales = 0
    scale_bits = 8 * weight_format.scale_bytes
    for channel, stored in enumerate(blocks):
        for lane, element in enumerate(stored.elements):
            payload |= (element & ((1 << bits) - 1)) << (channel * BLOCK + lane) * bits
        scales |= (stored.d | stored.m << 16) << channel * scale_bits
    return {"payload": payload, "scales": [scales >> 32 * channel & 0xFFFF_FFFF for channel in range(len(blocks))]}


def tile_of(blocks: list[Stored], weight_format: Any) -> Tile:
    """What a tile means: signed weights and exact scales as integers x 2^-24."""
    d = [half_value(stored.d)[0] for stored in blocks]
    m = [half_value(stored.m)[0] for stored in blocks]
    return {
        "weights": [[element - weight_format.offset for element in stored.elements] for stored in blocks],
        "significand": [abs(n) for n in d],
        "exponent": [-24 for _ in d],
        "scale_negative": [int(n < 0) for n in d],
        "minimum_significand": [abs(n) for n in m],
        "minimum_exponent": [-24 for _ in m],
        "minimum_negative": [int(n < 0) for n in m],
    }
