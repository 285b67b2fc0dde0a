"""Matrix products: blocks in order, two roundings each, the fast path and the careful one alike."""

from fractions import Fraction

import numpy as np
import pytest

from celosia.golden import matrix
from celosia.golden.matrix import matrix_product
from celosia.golden.memory import Weights

from . import exact

RANGES = {"Q8_0": (-128, 128), "Q4_0": (-8, 8), "Q4_1": (0, 16)}


def _weights(rng: np.random.Generator, name: str, blocks: int, channels: int, tiny: bool = False) -> Weights:
    scales = rng.normal(size=(2, blocks, channels)).astype(np.float16) * np.float16(0.02)
    if tiny:
        scales = rng.integers(0, 1 << 10, (2, blocks, channels)).astype(np.uint16).view(np.float16)  # subnormal fp16
    quants = rng.integers(*RANGES[name], (blocks, 32, channels)).astype(np.int8)
    d, m = scales.astype(np.float32)
    return Weights(quants, d, m if name == "Q4_1" else None)


def _activations(
    rng: np.random.Generator, rows: int, blocks: int, low: int, high: int
) -> tuple[np.ndarray, np.ndarray]:
    q = rng.integers(-255, 256, (rows, blocks, 32)).astype(np.int16)
    e = rng.integers(low, high, (rows, blocks)).astype(np.int16)
    q[0, 0], e[0, 0] = 0, -127
    return q, e


def _expected(q: np.ndarray, e: np.ndarray, w: Weights) -> np.ndarray:
    channels = w.quants.shape[2]
    return np.array(
        [
            [
                float(
                    exact.matrix_product(
                        q[r].tolist(),
                        e[r].tolist(),
                        w.quants[:, :, c].tolist(),
                        [Fraction(v) for v in w.scales[:, c].tolist()],
                        None if w.mins is None else [Fraction(v) for v in w.mins[:, c].tolist()],
                    )
                )
                for c in range(channels)
            ]
            for r in range(len(q))
        ],
        np.float32,
    )


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize(("low", "high"), [(-12, 0), (-127, -95), (90, 122), (-127, 122)])
def test_against_rationals(name: str, low: int, high: int) -> None:
    """Usual exponents, flushing ones, saturating ones, all of them."""
    rng = np.random.default_rng(1000 + len(name) + high)
    for tiny in (False, True):
        w = _weights(rng, name, 5, 6, tiny)
        q, e = _activations(rng, 3, 5, low, high)
        actual = matrix_product(q, e, w)
        assert np.array_equal(actual.view(np.uint32), _expected(q, e, w).view(np.uint32))


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("rows", [1, 2, 32])
def test_the_fast_path_equals_the_careful_one(name: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At sizes where tiles and spans of blocks are cut."""
    rng = np.random.default_rng(rows)
    w = _weights(rng, name, 70, 2100 if rows < 32 else 300)
    q, e = _activations(rng, rows, 70, -14, 0)
    fast = matrix_product(q, e, w)
    monkeypatch.setattr(matrix, "_is_safe", lambda *_: False)
    careful = matrix_product(q, e, w)
    assert np.array_equal(fast.view(np.uint32), careful.view(np.uint32))
    monkeypatch.setattr(matrix, "_product", None)
    assert np.array_equal(matrix_product(q[:1], e[:1], w), fast[:1]), "a row does not depend on the others"


def test_a_dot_product_is_exact_at_its_largest() -> None:
    w = Weights(np.full((1, 32, 2), -128, np.int8), np.ones((1, 2), np.float32), None)
    q = np.full((1, 1, 32), -255, np.int16)
    assert matrix_product(q, np.zeros((1, 1), np.int16), w).tolist() == [[32 * 128 * 255] * 2]
