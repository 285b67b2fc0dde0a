"""Attention against the slow transcription in exact rationals, bit for bit."""

from fractions import Fraction

import numpy as np
import pytest

from celosia.golden import attention
from celosia.golden.attention import Queries, attend
from celosia.golden.memory import KeyValues
from celosia.golden.numerics import quantize_block

from . import exact


def _case(seed: int, pages: int, spread: float, wild: bool) -> tuple[Queries, KeyValues]:
    rng = np.random.default_rng(seed)
    heads, rows, blocks = 2, 2, 2
    x = (rng.normal(size=(heads, rows, blocks, 32)) * spread).astype(np.float32)
    q, e = quantize_block(x, 9)
    keys, values = rng.integers(-127, 128, (2, pages, heads, blocks, 32, 32)).astype(np.int8)
    low, high = (-127, 128) if wild else (-10, -4)
    key_e, value_e = rng.integers(low, high, (2, pages, heads, blocks, 32)).astype(np.int8)
    if wild:
        key_e = rng.integers(-12, 0, key_e.shape).astype(np.int8)
    positions = np.array([pages * 32 - 12, pages * 32 - 11])
    # What lies past the last position is zero.
    keys[-1, :, :, 22:], key_e[-1, :, :, 22:], values[-1, ..., 22:], value_e[-1, :, :, 22:] = 0, 0, 0, 0
    return Queries(q, e, positions), KeyValues(keys, key_e, values, value_e)


def _expected(queries: Queries, pages: KeyValues, scale: np.float32, bits: int) -> np.ndarray:
    heads, rows = queries.q.shape[:2]
    result = [
        [
            exact.attend(
                queries.q[h, r].tolist(),
                queries.exponents[h, r].tolist(),
                [
                    (
                        pages.keys[p, h].tolist(),
                        pages.key_exponents[p, h].tolist(),
                        pages.values[p, h].tolist(),
                        pages.value_exponents[p, h].tolist(),
                    )
                    for p in range(len(pages.keys))
                ],
                int(queries.positions[r]),
                Fraction(float(scale)),
                bits,
            )
            for r in range(rows)
        ]
        for h in range(heads)
    ]
    return np.array(result, np.float64).astype(np.float32)


@pytest.mark.parametrize(
    ("pages", "spread", "wild", "bits"), [(1, 0.01, False, 9), (4, 0.05, False, 9), (4, 3, False, 8), (3, 0.5, True, 9)]
)
def test_against_rationals(pages: int, spread: float, wild: bool, bits: int) -> None:
    """One page, several, steep scores (shifts between pages), exponents over their whole range."""
    queries, cache = _case(pages + bits, pages, spread, wild)
    scale = np.float32(0.18033688)
    actual = attend(queries, cache, scale, bits)
    assert np.array_equal(actual.view(np.uint32), _expected(queries, cache, scale, bits).view(np.uint32))


def test_pages_in_one_batch_or_many(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, cache = _case(7, 5, 0.5, False)
    whole = attend(queries, cache, np.float32(0.18), 9)
    monkeypatch.setattr(attention, "_WORKING_SET", 1)
    assert np.array_equal(attend(queries, cache, np.float32(0.18), 9), whole)


def test_a_row_sees_no_later_position() -> None:
    queries, cache = _case(8, 2, 0.5, False)
    before = attend(queries, cache, np.float32(0.18), 9)
    cache.keys[-1, :, :, 21] += 1  # position 53: the last row's own, past the first row
    cache.values[-1, ..., 21] += 1
    after = attend(queries, cache, np.float32(0.18), 9)
    assert np.array_equal(after[:, 0], before[:, 0])
    assert not np.array_equal(after[:, 1], before[:, 1])
