"""Machine float32, reductions, the block quantizer and block values, vectorized over numpy arrays.

Transcribes sections 1 to 4 of ``docs/numerics.md``. Every array of floats is float32 without -0, infinities, NaN and
subnormals, and every function keeps it so. Native float32 operations do the work; whatever comes near the edges of the
range (rare) is redone in float64, where the operands below are exact. Nothing here calls ``np.sum`` or a floating
point ``matmul``: the order of every addition is part of the result.
"""

import numpy as np
from numpy.typing import NDArray

from ..arch.formats import BLOCK, MIN_EXPONENT

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
Words = NDArray[np.int16]

SMALLEST = 2.0**-126
LARGEST = np.float32(np.finfo(np.float32).max)


def round32(exact: Doubles) -> Floats:
    """rne32 of values that float64 holds exactly (float64, any shape)."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = np.asarray(exact, np.float64).astype(np.float32)
    rounded = np.where(np.abs(exact) < SMALLEST, np.float32(0), rounded)
    return np.clip(rounded, -LARGEST, LARGEST)


def from_outside(x: Floats) -> Floats:
    """Any float32 bits as machine float32 (section 11): exponent field 0 is +0, 255 the largest finite value."""
    bits = np.ascontiguousarray(x).view(np.uint32)
    exponent = bits >> np.uint32(23) & np.uint32(0xFF)
    largest = LARGEST.view(np.uint32) | bits & np.uint32(1 << 31)
    kept: Floats = np.where(exponent == 0, np.uint32(0), np.where(exponent == 255, largest, bits)).view(np.float32)
    return kept


def _near_an_edge(result: Floats) -> bool:
    """Whether any element is infinite, subnormal or exactly +-2^-126, where native rounding may differ from rne32."""
    magnitude = result.view(np.uint32) << np.uint32(1)
    if magnitude.size == 0:
        return False
    return bool(magnitude.max() >= 0xFF000000 or (magnitude - np.uint32(1)).min() < 0x01000000)


def _settle_sum(result: Floats) -> Floats:
    """Flush and saturate a native sum: native subnormal sums are exact, so comparing them after rounding is right."""
    if not _near_an_edge(result):
        return result
    return np.clip(np.where(np.abs(result) < SMALLEST, np.float32(0), result), -LARGEST, LARGEST)


def add(a: Floats, b: Floats | np.float32) -> Floats:
    """rne32(a + b), float32 arrays that broadcast."""
    with np.errstate(over="ignore", under="ignore"):
        return _settle_sum(np.asarray(np.add(a, b, dtype=np.float32)))


def sub(a: Floats, b: Floats | np.float32) -> Floats:
    """rne32(a - b), float32 arrays that broadcast."""
    with np.errstate(over="ignore", under="ignore"):
        return _settle_sum(np.asarray(np.subtract(a, b, dtype=np.float32)))


def mul(a: Floats, b: Floats | np.float32) -> Floats:
    """rne32(a x b), float32 arrays that broadcast."""
    with np.errstate(over="ignore", under="ignore"):
        result = np.asarray(np.multiply(a, b, dtype=np.float32))
        if _near_an_edge(result):
            return round32(np.multiply(a, b, dtype=np.float64))
    result += np.float32(0)  # -x times 0 is -0 natively
    return result


def power_of_two(exponent: NDArray[np.integer]) -> Floats:
    """2^exponent as float32, for exponents from -126 to 127."""
    return ((np.asarray(exponent, np.int32) + 127) << 23).view(np.float32)


def scale2(a: Floats, exponent: NDArray[np.integer]) -> Floats:
    """rne32(a x 2^exponent), integers of any size that broadcast with a."""
    exponent = np.asarray(exponent)
    if exponent.size and exponent.min() >= -126 and exponent.max() <= 127:
        return mul(a, power_of_two(exponent))
    # Beyond 600 every float flushes or saturates, and float64 still holds the product exactly.
    return round32(np.asarray(a, np.float64) * np.ldexp(1.0, np.clip(exponent, -600, 600)))


def block_sum(x: Floats) -> Floats:
    """Balanced tree over the last axis of 32: each level adds elements 2i and 2i+1."""
    while x.shape[-1] > 1:
        x = add(x[..., 0::2], x[..., 1::2])
    return x[..., 0]


def reduce_sum(x: Floats) -> Floats:
    """Sum over the last axis, float32 [..., n] -> [...]: a tree in each aligned 32, then blocks in ascending order."""
    missing = -x.shape[-1] % BLOCK
    if missing:
        x = np.concatenate([x, np.zeros((*x.shape[:-1], missing), np.float32)], axis=-1)
    blocks = block_sum(x.reshape(*x.shape[:-1], -1, BLOCK))
    total = np.zeros(x.shape[:-1], np.float32)
    for i in range(blocks.shape[-1]):
        total = add(total, blocks[..., i])
    return total


def quantize_block(x: Floats, bits: int) -> tuple[Words, Words]:
    """Block quantizer, section 3.

    Args:
        x: float32 [..., 32].
        bits: b, 8 or 9.

    Returns:
        q int16 [..., 32] and the exponent e int16 [...]; an all-zero block has q = 0, e = -127.
    """
    largest = np.abs(x).max(axis=-1)
    word = largest.view(np.uint32).astype(np.int32)
    mantissa = (word & 0x7FFFFF) | 0x800000
    # 24 bits of mantissa keep bits - 1: it rounds up to 2^(bits - 1) exactly from this value on (ties to even).
    rounds_up = mantissa >= (1 << 24) - (1 << (24 - bits))
    exponent = np.maximum((word >> 23) - 127 - (bits - 2) + rounds_up, MIN_EXPONENT)
    exponent = np.where(word == 0, MIN_EXPONENT, exponent)
    with np.errstate(under="ignore"):
        quotient = np.rint(x * power_of_two(-exponent)[..., None])
    return quotient.astype(np.int16), exponent.astype(np.int16)


def value(dot: NDArray[np.number], scale: NDArray[np.floating], exponent: NDArray[np.integer]) -> Floats:
    """rne32(dot x scale x 2^exponent): exact in float64, rounded once.

    Args:
        dot: integers below 2^24 in magnitude, any numeric dtype.
        scale: fp16 values in any floating dtype (1.0 for keys and values).
        exponent: from -254 to 254.
    """
    product = np.asarray(dot, np.float64) * np.asarray(scale, np.float64)
    return round32(product * np.ldexp(1.0, np.asarray(exponent, np.int32)))


def to_fixed(x: Floats, fraction_bits: int, bits: int) -> Integers:
    """rne(x x 2^fraction_bits), saturated to `bits` bits signed; int64."""
    scaled = np.rint(x.astype(np.float64) * 2.0**fraction_bits)
    limit = 1 << (bits - 1)
    return np.clip(scaled, -limit, limit - 1).astype(np.int64)
