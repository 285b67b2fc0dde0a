"""Table functions against mathematics in float64, and against the page's integers written once more."""

import math
from fractions import Fraction

import numpy as np
import pytest

from celosia.golden.functions import exp2_negative, normal_distribution, recip, rsqrt, sigmoid, sine_cosine

from . import exact

LARGEST = np.finfo(np.float32).max
ERFC = np.vectorize(math.erfc, otypes=[np.float64])


def _floats(seed: int, count: int, low: int, high: int) -> np.ndarray:
    """Positive floats with uniform exponents from 2^low to 2^high."""
    rng = np.random.default_rng(seed)
    return ((1 + rng.random(count)) * 2.0 ** rng.integers(low, high, count)).astype(np.float32)


def _ulp_error(actual: np.ndarray, exact_value: np.ndarray) -> float:
    return float(np.max(np.abs(actual - exact_value) / np.spacing(exact_value.astype(np.float32))))


def test_recip() -> None:
    x = _floats(1, 200_000, -125, 125)
    assert _ulp_error(recip(x), 1 / x.astype(np.float64)) < 1.2
    assert np.array_equal(recip(-x), -recip(x))
    powers = 2.0 ** np.arange(-125, 127)
    assert np.array_equal(recip(powers.astype(np.float32)), (1 / powers).astype(np.float32))
    small = recip(x[:500])
    assert [Fraction(v) for v in small.tolist()] == [exact.recip(Fraction(v)) for v in x[:500].tolist()]


def test_recip_at_the_edges() -> None:
    x = np.array([0, 2.0**127, LARGEST, -LARGEST, 2.0**-126], np.float32)
    result = recip(x)
    assert result.tolist() == [LARGEST, 0, 0, 0, 2.0**126]
    assert not np.signbit(result).any()


def test_rsqrt() -> None:
    x = _floats(2, 200_000, -125, 127)
    assert _ulp_error(rsqrt(x), 1 / np.sqrt(x.astype(np.float64))) < 1.3
    even = np.arange(-126, 127, 2)
    assert np.array_equal(rsqrt((2.0**even).astype(np.float32)), (2.0 ** (-even // 2)).astype(np.float32))
    assert rsqrt(np.array([0, -1, -LARGEST], np.float32)).tolist() == [LARGEST, 0, 0]


def test_exp2_negative() -> None:
    rng = np.random.default_rng(3)
    distance = np.concatenate([rng.integers(0, 20 << 20, 100_000), rng.integers(0, 126 << 20, 100_000)])
    expected = np.exp2(-distance / 2.0**20)
    assert np.max(np.abs(exp2_negative(distance) / expected - 1)) < 2.0**-22.5
    some = np.concatenate([distance[:300], np.arange(129) << 20, (126 << 20) + np.arange(-2, 3), [(1 << 36) - 1]])
    assert [Fraction(v) for v in exp2_negative(some).tolist()] == [exact.exp2_negative(int(d)) for d in some]
    assert exp2_negative(np.array([0, 126 << 20, (126 << 20) + 1, (1 << 36) - 1])).tolist() == [1, 2.0**-126, 0, 0]


@pytest.mark.parametrize("name", ["sigmoid", "normal_distribution"])
def test_gates(name: str) -> None:
    rng = np.random.default_rng(4)
    x = np.concatenate(
        [rng.normal(size=100_000) * 4, rng.uniform(-20, 20, 100_000), [0, 16, -16, 15.999999, -15.999999]]
    )
    x = x.astype(np.float32)
    wide = x.astype(np.float64)
    if name == "sigmoid":
        actual, expected = sigmoid(x), 1 / (1 + np.exp(-wide))
    else:
        actual, expected = normal_distribution(x), ERFC(-wide / math.sqrt(2)) / 2
    assert np.max(np.abs(actual - expected)) < 2.2e-7
    assert actual.min() >= 0
    assert actual.max() <= 1
    assert np.array_equal(actual + sigmoid(-x) if name == "sigmoid" else actual + normal_distribution(-x), x * 0 + 1)
    assert actual[-5:].tolist()[:3] == [0.5, 1, 0]


def test_sine_cosine() -> None:
    phase = np.random.default_rng(5).integers(0, 1 << 40, 300_000)
    sine, cosine = sine_cosine(phase)
    angle = ((phase >> 13) + 0.5) / 2.0**27 * 2 * math.pi
    assert np.max(np.abs(sine - np.sin(angle))) < 1.2 * 2.0**-24
    assert np.max(np.abs(cosine - np.cos(angle))) < 1.2 * 2.0**-24
    right = sine_cosine(np.arange(4) << 38)
    assert [r.tolist() for r in right] == [[0, 1, 0, -1], [1, 0, -1, 0]]
    assert not any((np.signbit(r) & (r == 0)).any() for r in right)
