"""Machine floats as exact integers: a value is n * 2**e. Written from the definition, sharing nothing with the RTL."""

from __future__ import annotations

LARGEST = 0x7F7F_FFFF


def decode(word: int) -> tuple[int, int]:
    """The pair (n, e) of a machine float word."""
    sign, exponent, mantissa = word >> 31, word >> 23 & 0xFF, word & 0x7F_FFFF
    if exponent == 0:
        return 0, 0
    n = (1 << 23) + mantissa
    return (-n if sign else n), exponent - 150


def round_even(n: int, shift: int) -> int:
    """n / 2**shift (n * 2**-shift for a negative shift) to the nearest integer, ties to even."""
    if shift <= 0:
        return n << -shift
    quotient, rest = n >> shift, n & ((1 << shift) - 1)
    half = 1 << (shift - 1)
    return quotient + int(rest > half or (rest == half and quotient & 1))


def rne32(n: int, e: int) -> tuple[int, int]:
    """The machine float nearest to n * 2**e, and whether it was saturated."""
    sign, n = (1 << 31, -n) if n < 0 else (0, n)
    leading = n.bit_length() - 1 + e
    if n == 0 or leading < -126:
        return 0, 0
    rounded = round_even(n, n.bit_length() - 24)
    if rounded == 1 << 24:
        rounded, leading = 1 << 23, leading + 1
    if leading > 127:
        return sign | LARGEST, 1
    return sign | (leading + 127) << 23 | rounded & 0x7F_FFFF, 0


def add(a: int, b: int, sub: int) -> tuple[int, int]:
    """Word and overflow of a + b or a - b."""
    (n, e), (k, f) = decode(a), decode(b)
    low = min(e, f)
    return rne32((n << (e - low)) + (-k if sub else k) * (1 << (f - low)), low)


def multiply(a: int, b: int) -> tuple[int, int]:
    """Word and overflow of a * b."""
    (n, e), (k, f) = decode(a), decode(b)
    return rne32(n * k, e + f)


def to_fixed(a: int, integer_bits: int, fraction_bits: int) -> tuple[int, int]:
    """Saturated integer and overflow of a * 2**fraction_bits."""
    n, e = decode(a)
    q = round_even(n, -(e + fraction_bits))
    limit = 1 << (integer_bits + fraction_bits - 1)
    result = min(max(q, -limit), limit - 1)
    return result, int(result != q)
