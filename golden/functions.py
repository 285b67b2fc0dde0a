"""Table functions: reciprocal, reciprocal square root, powers of two, gates, sine and cosine.

Transcribes ``docs/numerics-functions.md`` in 64-bit integers, vectorized; coefficients come from ``arch.tables``.
"""

from functools import cache

import numpy as np

from ..arch import tables
from .numerics import LARGEST, Floats, Integers

PHASE_BITS = 40
EXPONENTIAL_FRACTION = 20
EXPONENTIAL_BITS = 36

_HIDDEN = 1 << 23


@cache
def _coefficients(name: str) -> tuple[Integers, Integers, Integers, int, int]:
    table = getattr(tables, name)()
    c0, c1, c2 = (np.array(c, np.int64) for c in (table.c0, table.c1, table.c2))
    return c0, c1, c2, table.fraction_bits, table.result_shift


def _polynomial(name: str, index: Integers, position: Integers) -> Integers:
    """`polynomial(table, i, f)` of the document."""
    c0, c1, c2, fraction_bits, shift = _coefficients(name)
    slope = c1[index] + ((c2[index] * position) >> fraction_bits)
    return (c0[index] + ((slope * position) >> fraction_bits)) >> shift


def _fields(x: Floats) -> tuple[Integers, Integers, Integers]:
    """Sign, exponent field and mantissa field of a float32 array."""
    word = np.asarray(x, np.float32).view(np.uint32).astype(np.int64)
    return word >> 31, (word >> 23) & 0xFF, word & (_HIDDEN - 1)


def _float(sign: Integers, exponent: Integers, mantissa: Integers) -> Floats:
    """The float of three fields; an exponent field of 0 or less is +0."""
    word = np.where(exponent <= 0, 0, (sign << 31) | (exponent << 23) | mantissa)
    return word.astype(np.uint32).view(np.float32)


def recip(x: Floats) -> Floats:
    """1 / x; recip(0) is the largest float."""
    sign, exponent, mantissa = _fields(x)
    m = _polynomial("reciprocal_table", mantissa >> 15, mantissa & 0x7FFF) - _HIDDEN
    power = mantissa == 0
    result = _float(sign, np.where(power, 254, 253) - exponent, np.where(power, 0, m))
    return np.where(exponent == 0, LARGEST, result)


def rsqrt(x: Floats) -> Floats:
    """1 / sqrt(x); rsqrt(0) is the largest float, rsqrt of a negative is +0."""
    sign, exponent, mantissa = _fields(x)
    k = exponent - 127
    odd, half = k & 1, k >> 1
    m = _polynomial("reciprocal_square_root_table", (odd << 8) | (mantissa >> 15), mantissa & 0x7FFF) - _HIDDEN
    power = (odd == 0) & (mantissa == 0)
    result = _float(np.zeros_like(sign), np.where(power, 127, 126) - half, np.where(power, 0, m))
    return np.where(exponent == 0, LARGEST, np.where(sign == 1, np.float32(0), result))


def exp2_negative(distance: Integers) -> Floats:
    """2^(-distance / 2^20) for integers from 0 to 2^36 - 1."""
    whole = distance >> EXPONENTIAL_FRACTION
    part = distance & ((1 << EXPONENTIAL_FRACTION) - 1)
    rest = (1 << EXPONENTIAL_FRACTION) - part
    exact = part == 0
    rest = np.where(exact, 0, rest)  # 2^20 would be an index past the table
    m = np.where(exact, 0, _polynomial("exponential_table", rest >> 13, rest & 0x1FFF) - _HIDDEN)
    return _float(np.zeros_like(distance), np.where(exact, 127, 126) - whole, m)


def _gate(name: str, x: Floats) -> Floats:
    sign, exponent, mantissa = _fields(x)
    position = ((_HIDDEN + mantissa) << 2) >> np.clip(130 - exponent, 0, 63)
    position = np.where((exponent == 0) | (exponent >= 131), 0, position)
    one = 1 << 24
    level = np.minimum(_polynomial(name, position >> 17, position & 0x1FFFF), one)
    level = np.where(exponent >= 131, one, level)
    level = np.where((sign == 1) & (exponent > 0), one - level, level)
    return level.astype(np.float32) * np.float32(2.0**-24)


def sigmoid(x: Floats) -> Floats:
    """Logistic sigmoid."""
    return _gate("sigmoid_table", x)


def normal_distribution(x: Floats) -> Floats:
    """Cumulative distribution of the standard Gaussian."""
    return _gate("normal_distribution_table", x)


def sine_cosine(phase: Integers) -> tuple[Floats, Floats]:
    """Sine and cosine of a phase in units of 2^-40 turns, from 0 to 2^40 - 1."""
    quadrant = phase >> 38
    word = (phase >> 13) & ((1 << 25) - 1)
    complement = word ^ ((1 << 25) - 1)
    up = _polynomial("sine_table", word >> 16, word & 0xFFFF)
    down = _polynomial("sine_table", complement >> 16, complement & 0xFFFF)
    swap = (quadrant & 1) == 1
    sine = np.where(swap, down, up) * np.where(quadrant >= 2, -1, 1)
    cosine = np.where(swap, up, down) * np.where((quadrant == 1) | (quadrant == 2), -1, 1)
    unit = np.float32(2.0**-24)
    return sine.astype(np.float32) * unit, cosine.astype(np.float32) * unit
