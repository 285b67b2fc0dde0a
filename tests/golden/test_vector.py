"""Accuracy of whole operations against mathematics in float64; `docs/accuracy.md` states the figures asserted here."""

import math

import numpy as np
import pytest

from celosia.golden.attention import Queries, attend, probabilities, scores
from celosia.golden.functions import exp2_negative, recip
from celosia.golden.memory import KeyValues
from celosia.golden.numerics import block_sum, mul, quantize_block, scale2
from celosia.golden.vector import gelu, layer_norm, rms_norm, rope_table, rotate, silu


def _relative(actual: np.ndarray, expected: np.ndarray) -> float:
    """max |error| / max |reference| per vector, the worst vector."""
    return float(np.max(np.abs(actual - expected).max(axis=-1) / np.abs(expected).max(axis=-1)))


def test_exponential() -> None:
    x = np.random.default_rng(1).uniform(0, 80, 1_000_000)
    distance = np.rint(x * math.log2(math.e) * 2.0**20).astype(np.int64)
    error = np.abs(exp2_negative(distance) / np.exp(-x) - 1)
    assert error.mean() < 2.6e-7  # 0.05 % is asked for
    assert error.max() < 6.0e-7


def _softmax(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [rows, length] before they are quantized, and what they are divided by."""
    rows, length = score.shape
    pages = np.zeros((-(-length // 32) * 32, rows), np.float32)
    pages[:length] = score.T
    s = mul(pages.reshape(-1, 32, rows).swapaxes(1, 2), np.float32(math.log2(math.e)))
    visible = (np.arange(len(pages)) < length).reshape(-1, 1, 32)
    p, _, shifts = probabilities(s, visible, None)
    total, left = np.zeros(rows, np.float32), np.zeros((len(p), rows), np.int64)
    for i, shift in enumerate(shifts):
        left[:i] -= shift
        total = scale2(total, -shift) + block_sum(p[i])
    p = mul(scale2(p, left[:, :, None]), recip(total)[:, None])
    return p.swapaxes(0, 1).reshape(rows, -1)[:, :length], total


@pytest.mark.parametrize("length", [64, 100, 512, 4096])
@pytest.mark.parametrize("spread", [1, 3, 10])
def test_softmax(length: int, spread: int) -> None:
    score = np.random.default_rng(length + spread).normal(size=(16, length)).astype(np.float32) * np.float32(spread)
    p, _ = _softmax(score)
    wide = np.exp(score.astype(np.float64) - score.max(axis=1, keepdims=True))
    expected = wide / wide.sum(axis=1, keepdims=True)
    assert np.abs(p - expected).mean() < 3e-9  # 1e-5 is asked for
    assert np.abs(p.astype(np.float64).sum(axis=1) - 1).max() < 6e-7  # 1e-3 is asked for


def _cache(rng: np.random.Generator, heads: int, blocks: int, length: int, spread: float) -> tuple[np.ndarray, ...]:
    k, v = rng.normal(size=(2, heads, length, blocks * 32)).astype(np.float32)
    return k * np.float32(spread), v


def _pages(k: np.ndarray, v: np.ndarray) -> KeyValues:
    """Quantized pages of k and v, float32 [heads, length, blocks x 32]."""
    heads, length, lanes = k.shape
    parts = []
    for x in (k, v):
        padded = np.zeros((heads, -(-length // 32) * 32, lanes), np.float32)
        padded[:, :length] = x
        q, e = quantize_block(padded.reshape(heads, -1, 32, lanes // 32, 32), 8)
        parts += [q.astype(np.int8).transpose(1, 0, 3, 2, 4), e.astype(np.int8).transpose(1, 0, 3, 2)]
    return KeyValues(parts[0], parts[1], parts[2].swapaxes(-1, -2), parts[3])


@pytest.mark.parametrize("bits", [8, 9])
@pytest.mark.parametrize(("length", "spread"), [(64, 1), (700, 1), (700, 4), (2048, 2)])
def test_attention_output(bits: int, length: int, spread: float) -> None:
    """RMS error over RMS of the output, everything quantized: queries, keys, values and probabilities."""
    rng = np.random.default_rng(length + bits)
    heads, blocks, rows = 2, 2, 24
    k, v = _cache(rng, heads, blocks, length, 1)
    x = rng.normal(size=(heads, rows, 64)).astype(np.float32) * np.float32(spread)
    q, e = quantize_block(x.reshape(heads, rows, blocks, 32), bits)
    positions = np.linspace(0, length - 1, rows).astype(np.int64)
    scale = np.float32(math.log2(math.e) / 8)
    y = attend(Queries(q, e, positions), _pages(k, v), scale, bits)
    score = np.einsum("hrd,hld->hrl", x.astype(np.float64), k) / 8
    score = np.where(np.arange(length) <= positions[:, None], score, -np.inf)
    p = np.exp(score - score.max(axis=-1, keepdims=True))
    expected = np.einsum("hrl,hld->hrd", p / p.sum(axis=-1, keepdims=True), v)
    error = np.sqrt(np.mean((y - expected) ** 2) / np.mean(expected**2))
    assert error < 0.025


def test_scores_are_exact_dot_products() -> None:
    rng = np.random.default_rng(6)
    pages = _pages(*_cache(rng, 2, 3, 64, 1))
    q, e = quantize_block(rng.normal(size=(2, 5, 3, 32)).astype(np.float32), 9)
    actual = scores(Queries(q, e, np.zeros(5, np.int64)), pages)
    left = q * np.ldexp(1.0, e)[..., None]
    right = pages.keys * np.ldexp(1.0, pages.key_exponents.astype(int))[..., None]
    expected = np.einsum("hrbl,phbil->phri", left, right)
    assert np.allclose(actual, expected, rtol=0, atol=np.abs(expected).max() * 2**-22)


@pytest.mark.parametrize("n", [1, 33, 576, 4096])
@pytest.mark.parametrize("offset", [0, 3])
def test_norms(n: int, offset: float) -> None:
    rng = np.random.default_rng(n)
    width = -(-n // 32) * 32
    x, gain, bias = (np.zeros((r, width), np.float32) for r in (8, 1, 1))
    x[:, :n] = (rng.normal(size=(8, n)) + offset) * 10.0 ** rng.integers(-3, 4, (8, 1))
    gain[0, :n], bias[0, :n] = rng.normal(size=(2, n))
    inv_n, eps = np.float32(1 / n), np.float32(1e-5)
    wide, g, b = (a[:, :n].astype(np.float64) for a in (x, gain, bias))
    rms = rms_norm(x, gain[0], inv_n, eps)
    expected = wide / np.sqrt((wide**2).mean(axis=1, keepdims=True) + float(eps)) * g
    assert _relative(rms[:, :n], expected) < 4e-7  # 2e-4 is asked for
    layer = layer_norm(x, n, gain[0], bias[0], inv_n, eps)
    centred = wide - wide.mean(axis=1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + float(eps)) * g + b
    assert _relative(layer[:, :n], expected) < 5e-7  # 2e-4 is asked for
    assert not rms[:, n:].any()
    assert not layer[:, n:].any()


@pytest.mark.parametrize("theta", [10_000.0, 500_000.0])
def test_rope_to_position_131071(theta: float) -> None:
    rng = np.random.default_rng(7)
    dim = 64
    positions = np.concatenate([np.arange(64), rng.integers(0, 131072, 200), [8191, 131071]])
    frequency = theta ** (-2 * np.arange(dim // 2) / dim)
    constants = np.rint(frequency / (2 * math.pi) * 2.0**40).astype(np.int64)
    x = rng.normal(size=(len(positions), 3, dim)).astype(np.float32)
    y = rotate(x, rope_table(positions, constants))
    angle = (positions[:, None].astype(np.longdouble) * frequency)[:, None, :]
    a, b = x[..., 0::2].astype(np.longdouble), x[..., 1::2].astype(np.longdouble)
    expected = np.empty(x.shape)
    expected[..., 0::2] = a * np.cos(angle) - b * np.sin(angle)
    expected[..., 1::2] = a * np.sin(angle) + b * np.cos(angle)
    assert _relative(y, expected) < 7e-7  # 2e-4 is asked for


def test_rotation_passes_padding_lanes_on() -> None:
    x = np.arange(64, dtype=np.float32).reshape(1, 1, 64)
    table = rope_table(np.array([1]), np.full(5, 1 << 38))  # a quarter turn
    y = rotate(x, table)[0, 0]
    assert y[:10].tolist() == [-1, 0, -3, 2, -5, 4, -7, 6, -9, 8]
    assert np.array_equal(y[10:], x[0, 0, 10:])


def test_activations() -> None:
    x = np.random.default_rng(8).uniform(-20, 20, (50, 64)).astype(np.float32)
    wide = x.astype(np.float64)
    assert np.abs(silu(x) - wide / (1 + np.exp(-wide))).max() < 2.2e-6
    cdf = np.vectorize(math.erfc, otypes=[np.float64])(-wide / math.sqrt(2)) / 2
    assert np.abs(gelu(x) - wide * cdf).max() < 2.2e-6
