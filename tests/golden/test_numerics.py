"""Machine floats, reductions and the quantizer against exact rationals (`exact.py`)."""

from fractions import Fraction

import numpy as np
import pytest

from celosia.golden.numerics import (
    add,
    block_sum,
    mul,
    quantize_block,
    reduce_sum,
    round32,
    scale2,
    sub,
    to_fixed,
    value,
)

from . import exact

LARGEST = np.finfo(np.float32).max
_POSITIVE_EDGES = (
    *(2.0**-126 * (1 + 2**-23), 2.0**-126, 2.0**-64, 2.0**-62 * (1 - 2**-24), 2.0**-25 * (1 + 2**-23), 2.0**-24),
    *(1 - 2**-24, 1, 1 + 2**-23, 2.0**63, 2.0**64, 2.0**103, 2.0**104, 2.0**127, LARGEST),
)
EDGES = np.array([0, *_POSITIVE_EDGES, *(-x for x in _POSITIVE_EDGES)], np.float32)


def _random_floats(rng: np.random.Generator, count: int, low: int = 1, high: int = 254) -> np.ndarray:
    """Machine floats with uniform exponent fields and few or many mantissa bits, so that ties happen."""
    kept = np.uint32(0x7FFFFF) << rng.integers(0, 24, count, dtype=np.uint32) & np.uint32(0x7FFFFF)
    mantissa = rng.integers(0, 1 << 23, count, dtype=np.uint32) & kept
    sign = rng.integers(0, 2, count, dtype=np.uint32) << np.uint32(31)
    return (sign | rng.integers(low, high + 1, count, dtype=np.uint32) << np.uint32(23) | mantissa).view(np.float32)


def _pairs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b = (grid.ravel() for grid in np.meshgrid(EDGES, EDGES))
    near = _random_floats(rng, 1500, 100, 130)
    neighbours = near * _random_floats(rng, 1500, 100, 150)
    far = _random_floats(rng, 1500)
    cancel = -far * np.float32(1 + 2**-22)
    cancel = np.where(np.isinf(cancel), LARGEST, cancel)
    tiny = _random_floats(rng, 1500, 1, 30), _random_floats(rng, 1500, 96, 128)
    return (
        np.concatenate([a, near, far, far, tiny[0]]),
        np.concatenate([b, neighbours, _random_floats(rng, 1500), cancel, tiny[1]]),
    )


def _check(actual: np.ndarray, expected: list[Fraction]) -> None:
    assert actual.dtype == np.float32
    assert not (np.signbit(actual) & (actual == 0)).any(), "there is no -0"
    wrong = [i for i, (x, y) in enumerate(zip(actual.ravel().tolist(), expected, strict=True)) if Fraction(x) != y]
    assert not wrong, f"element {wrong[0]}: {actual.ravel()[wrong[0]]!r}, expected {float(expected[wrong[0]])!r}"


def _fractions(x: np.ndarray) -> list[Fraction]:
    return [Fraction(v) for v in np.asarray(x, np.float64).ravel().tolist()]


@pytest.mark.parametrize("seed", [1, 2])
def test_add_sub_mul_are_one_rounding_of_the_exact_result(seed: int) -> None:
    a, b = _pairs(seed)
    pairs = list(zip(_fractions(a), _fractions(b), strict=True))
    _check(add(a, b), [exact.rne32(x + y) for x, y in pairs])
    _check(sub(a, b), [exact.rne32(x - y) for x, y in pairs])
    _check(mul(a, b), [exact.rne32(x * y) for x, y in pairs])


def test_results_do_not_depend_on_what_else_is_in_the_array() -> None:
    """The fast path is taken for a whole array: with and without an element near the edges, results are the same."""
    a, b = (np.float32(v) for v in (1.0000001, 3.3))
    for function, edge in ((add, LARGEST), (sub, -LARGEST), (mul, np.float32(2**-126))):
        alone = function(np.array([a]), np.array([b]))
        beside = function(np.array([a, edge]), np.array([b, LARGEST if function is not mul else np.float32(0.5)]))
        assert beside[0] == alone[0]


@pytest.mark.parametrize(
    ("product", "result"),
    [
        ((2**-126, 1 - 2**-24), 0),  # just below 2^-126, natively rounded up to it
        ((2**-125, 0.5), 2**-126),
        ((-(2**-125), 0.25), 0),
        ((-3, 0), 0),
        ((LARGEST, 1 + 2**-23), LARGEST),
        ((-LARGEST, LARGEST), -LARGEST),
        ((2**-126, 2**-126), 0),
    ],
)
def test_mul_at_the_edges(product: tuple[float, float], result: float) -> None:
    actual = mul(*(np.array([v], np.float32) for v in product))
    assert actual[0] == np.float32(result)
    assert not np.signbit(actual[0]) or result < 0


def test_scale2_takes_any_exponent() -> None:
    rng = np.random.default_rng(3)
    a = np.concatenate([EDGES, _random_floats(rng, 2000)])
    for low, high in ((-126, 128), (-300, 300), (-70000, 70000)):
        e = rng.integers(low, high, len(a))
        expected = [
            exact.rne32(x * exact.power(int(np.clip(k, -400, 400)))) for x, k in zip(_fractions(a), e, strict=True)
        ]
        _check(scale2(a, e), expected)


def test_round32_saturates_and_flushes_before_rounding() -> None:
    x = np.array([2.0**-126 * (1 - 2.0**-30), -(2.0**-127), 2.0**128 * (1 - 2.0**-26), -(2.0**300), 1 + 2.0**-24])
    _check(round32(x), [exact.rne32(v) for v in _fractions(x)])
    assert round32(x).tolist() == [0, 0, LARGEST, -LARGEST, 1]


def test_value_rounds_the_exact_product_once() -> None:
    rng = np.random.default_rng(4)
    dot = rng.integers(-(1 << 21), 1 << 21, 3000)
    scale = rng.integers(0, 0x7C00, 3000).astype(np.uint16).view(np.float16)  # subnormal fp16 included
    scale[:100] = np.arange(100, dtype=np.uint16).view(np.float16)
    e = np.concatenate([rng.integers(-20, 20, 1500), rng.integers(-127, 128, 1500)])
    expected = [
        exact.rne32(int(n) * s * exact.power(int(k))) for n, s, k in zip(dot, _fractions(scale), e, strict=True)
    ]
    _check(value(dot, scale, e), expected)


@pytest.mark.parametrize("n", [1, 7, 32, 33, 64, 100, 576])
def test_reduce_sum_is_a_tree_then_a_chain(n: int) -> None:
    rng = np.random.default_rng(n)
    x = (rng.normal(size=(3, n)) * 2.0 ** rng.integers(-6, 7, (3, n))).astype(np.float32)
    _check(reduce_sum(x), [exact.reduce_sum(_fractions(row)) for row in x])


def test_the_order_of_a_sum_matters() -> None:
    """The test above can fail: summing in another order gives other bits."""
    x = np.random.default_rng(5).normal(size=(200, 32)).astype(np.float32)
    chain = np.zeros(200, np.float32)
    for i in range(32):
        chain += x[:, i]
    assert (block_sum(x) != chain).mean() > 0.3


def _blocks(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(60, 32)) * 2.0 ** rng.integers(-30, 30, (60, 1))
    halves = rng.integers(-1024, 1025, (60, 32)) / 4.0  # ties
    top = np.where(
        np.arange(32) == 7, rng.choice([127, 127.5, 127.49999, 255, 255.5, 255.49998, 63.75], (60, 1)), halves / 9
    )
    sparse = np.where(rng.random((60, 32)) < 0.1, normal, 0)
    extreme = _random_floats(rng, 60 * 32).reshape(60, 32)
    tiny = np.where(rng.random((60, 32)) < 0.5, _random_floats(rng, 60 * 32, 1, 9).reshape(60, 32), 0)
    fixed = [np.zeros(32), np.full(32, LARGEST), np.full(32, 2.0**-126), np.full(32, -(2.0**-120) * 1.99999)]
    return np.concatenate([normal, halves, top, sparse, extreme, tiny, fixed]).astype(np.float32)


@pytest.mark.parametrize("bits", [8, 9])
def test_quantize_block_finds_the_smallest_exponent(bits: int) -> None:
    x = _blocks(bits)
    q, e = quantize_block(x, bits)
    assert q.dtype == e.dtype == np.int16
    for i, row in enumerate(x):
        assert (q[i].tolist(), int(e[i])) == exact.quantize_block(_fractions(row), bits), f"block {i}"
    limit = (1 << (bits - 1)) - 1
    assert np.abs(q).max() == limit
    live = (x != 0).any(axis=-1) & (e > -127)
    assert (np.abs(q[live]).max(axis=-1) >= limit // 2).all(), "no bit is wasted"
    with np.errstate(over="ignore"):
        error = np.abs(q * np.ldexp(1.0, e)[:, None] - x.astype(np.float64))
    assert (error <= np.ldexp(0.5, e)[:, None]).all()


def test_to_fixed_rounds_to_even_and_saturates() -> None:
    x = np.array([0.5, 1.5, -0.5, -1.5, 2.0**30, -(2.0**30), LARGEST, 2.0**-126], np.float32)
    x[:4] *= np.float32(2.0**-20)
    limit = 1 << 35
    assert to_fixed(x, 20, 36).tolist() == [0, 2, 0, -2, limit - 1, -limit, limit - 1, 0]
