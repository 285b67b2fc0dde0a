"""The reference of the bench against fractions and numpy's own float32, so that it is not its own judge."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import numpy as np

from . import exact
from .cases import CORNERS, ZEROS, any_float


def _fraction(word: int) -> Fraction:
    return Fraction(float(np.uint32(word).view(np.float32)))


def test_decode() -> None:
    for word in CORNERS:
        n, e = exact.decode(word)
        assert n * Fraction(2) ** e == (0 if word in ZEROS else _fraction(word))


def test_rne32_rounds_as_numpy() -> None:
    random = Random(3)
    for _ in range(5000):
        n, e = random.getrandbits(53) >> random.randrange(53), random.randint(-120, 60)
        want = int(np.float32(np.ldexp(float(n), e)).view(np.uint32))
        assert exact.rne32(n, e) == (want, 0)
        if n:
            assert exact.rne32(-n, e) == (want | 1 << 31, 0)


def test_rne32_at_the_ends_of_the_range() -> None:
    smallest = 1 << 23
    assert exact.rne32(1, -126) == (smallest, 0)
    assert exact.rne32((1 << 30) - 1, -156) == (0, 0), "just below the smallest is flushed, though it would round up"
    assert exact.rne32((1 << 24) - 1, 104) == (exact.LARGEST, 0)
    assert exact.rne32((1 << 25) - 1, 103) == (exact.LARGEST, 1)
    assert exact.rne32(-1, 128) == (exact.LARGEST | 1 << 31, 1)


def test_operations_are_exact_before_rounding() -> None:
    random = Random(4)
    for _ in range(3000):
        a, b = any_float(random), any_float(random)
        for got, true in (
            (exact.add(a, b, 0), _fraction(a) + _fraction(b)),
            (exact.add(a, b, 1), _fraction(a) - _fraction(b)),
            (exact.multiply(a, b), _fraction(a) * _fraction(b)),
        ):
            # Any denominator is a power of two.
            assert got == exact.rne32(true.numerator, 1 - true.denominator.bit_length())


def test_to_fixed() -> None:
    random = Random(5)
    for _ in range(3000):
        a = any_float(random)
        q = round(_fraction(a) * 2**20)
        assert exact.to_fixed(a, 16, 20) == (min(max(q, -1 << 35), (1 << 35) - 1), int(not -1 << 35 <= q < 1 << 35))
