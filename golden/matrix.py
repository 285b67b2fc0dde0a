"""Matrix product of quantized activations and block-scaled weights (section 4 of ``docs/numerics.md``).

The dot products of integers go through BLAS: below 2^24 float32 is exact in any order of summation. A power of two
that a whole row shares changes nothing about that, so the activation's exponent rides along inside the product
wherever no result can come near the edges of float32, which is checked beforehand on the scales alone.
"""

import numpy as np
from numpy.typing import NDArray

from .memory import Weights
from .numerics import Floats, Words, add, power_of_two, value

DOT_BITS = 22
"""Bits of a block dot product with 9-bit activations; its magnitude stays below 2^DOT_BITS."""

_TILE = 1 << 13
"""Rows times channels worked on together. Products of this size stay in the second-level cache, and a matrix library
runs them on the calling thread: splitting them costs up to a hundredfold on a machine that has other work."""

_WIDEST = 2048
"""Most channels of a tile."""

_WORKING_SET = 1 << 19
"""Products held at once, in elements."""

_SAFE_LOW, _SAFE_HIGH = 2.0**-100, 2.0**100


def matrix_product(q: Words, exponents: Words, weights: Weights) -> Floats:
    """acc of every row and channel.

    Args:
        q: int16 [rows, blocks, 32].
        exponents: int16 [rows, blocks].
        weights: the matrix.

    Returns:
        float32 [rows, channels].
    """
    x = np.ascontiguousarray(q.transpose(1, 0, 2))  # [blocks, rows, 32]
    # A block of zeros contributes +0 whatever its exponent is.
    e = np.where((x != 0).any(axis=-1), exponents.T, 0).astype(np.int32)
    if _is_safe(e, weights):
        unit = power_of_two(e)[..., None]
        return _product(x * unit, x.sum(axis=-1, keepdims=True, dtype=np.int16) * unit, weights)
    return _careful_product(x, e, weights)


def _is_safe(exponents: NDArray[np.int32], weights: Weights) -> bool:
    """Whether no product and no sum can flush or overflow.

    Every product is 0 or at least the low bound, 2^-100, so all sums are multiples of 2^-124: exact zero or normal.
    """
    low = weights.smallest * 2.0 ** int(exponents.min(initial=0))
    high = weights.largest * 2.0 ** (int(exponents.max(initial=0)) + DOT_BITS) * 2 * len(weights.scales)
    return low >= _SAFE_LOW and high <= _SAFE_HIGH


def _product(x: Floats, sums: Floats, weights: Weights) -> Floats:
    """The fast path. x: float32 [blocks, rows, 32], quantized activations times 2^e; sums [blocks, rows, 1] of them."""
    blocks, rows, _ = x.shape
    if rows == 1:  # a matrix times a matrix, for the same reason
        x = np.concatenate([x, x], axis=1)
    channels = weights.scales.shape[1]
    tile = min(_WIDEST, max(1, _TILE // rows))
    depth = max(1, min(blocks, _WORKING_SET // (rows * tile)))
    result = np.zeros((rows, channels), np.float32)
    for start in range(0, channels, tile):
        part = slice(start, min(start + tile, channels))
        acc = result[:, part]
        for first in range(0, blocks, depth):
            span = slice(first, min(first + depth, blocks))
            values = np.matmul(x[span], weights.quants[span, :, part].astype(np.float32))[:, :rows]
            values *= weights.scales[span, None, part]
            if weights.mins is not None:
                values += sums[span] * weights.mins[span, None, part]
            for block in values:
                acc += block
    return result


def _careful_product(x: Words, exponents: NDArray[np.int32], weights: Weights) -> Floats:
    """The same with every rounding written out."""
    result = np.zeros((x.shape[1], weights.scales.shape[1]), np.float32)
    for b in range(len(x)):
        dot = np.matmul(x[b].astype(np.float32), weights.quants[b].astype(np.float32))
        product = value(dot, weights.scales[b], exponents[b][:, None])
        if weights.mins is not None:
            total = x[b].astype(np.int64).sum(axis=-1)[:, None]
            product = add(product, value(total, weights.mins[b], exponents[b][:, None]))
        result = add(result, product)
    return result
