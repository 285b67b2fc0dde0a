"""The vector unit's operations on whole tensors: normalisation, rope, activations (sections 5 to 7 of the numerics)."""

import numpy as np

from .functions import PHASE_BITS, normal_distribution, rsqrt, sigmoid, sine_cosine
from .numerics import Floats, Integers, add, mul, reduce_sum, sub


def rms_norm(x: Floats, gain: Floats, inv_n: np.float32, eps: np.float32) -> Floats:
    """RMSNorm of float32 [rows, width], elements past n being +0; gain [width]."""
    mean_square = mul(reduce_sum(mul(x, x)), inv_n)
    r = rsqrt(add(mean_square, eps))
    return mul(mul(x, r[:, None]), gain)


def layer_norm(x: Floats, n: int, gain: Floats, bias: Floats, inv_n: np.float32, eps: np.float32) -> Floats:
    """LayerNorm of float32 [rows, width] over the first n elements; the others are +0 in x and in the result."""
    mean = mul(reduce_sum(x), inv_n)
    centred = sub(x, mean[:, None])
    centred[:, n:] = 0
    r = rsqrt(add(mul(reduce_sum(mul(centred, centred)), inv_n), eps))
    y = add(mul(mul(centred, r[:, None]), gain), bias)
    y[:, n:] = 0
    return y


def rope_table(positions: Integers, constants: Integers) -> Floats:
    """Sine and cosine, float32 [rows, pairs, 2], of every pair (turns per position x 2^40) at every position."""
    phase = (positions[:, None] * constants[None, :]) & ((1 << PHASE_BITS) - 1)
    return np.stack(sine_cosine(phase), axis=-1)


def rotate(x: Floats, table: Floats) -> Floats:
    """Rope on neighbours.

    Args:
        x: float32 [rows, heads, lanes]; lanes past 2 x pairs are passed on.
        table: float32 [rows, pairs, 2], sine and cosine.
    """
    lanes = 2 * table.shape[1]
    a, b = x[..., 0:lanes:2], x[..., 1:lanes:2]
    s, c = table[:, None, :, 0], table[:, None, :, 1]
    result = x.copy()
    result[..., 0:lanes:2] = sub(mul(a, c), mul(b, s))
    result[..., 1:lanes:2] = add(mul(a, s), mul(b, c))
    return result


def silu(x: Floats) -> Floats:
    """x times its logistic sigmoid."""
    return mul(x, sigmoid(x))


def gelu(x: Floats) -> Floats:
    """x times the Gaussian cumulative distribution at x."""
    return mul(x, normal_distribution(x))
