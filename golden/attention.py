"""Attention over quantized pages with an online softmax in base 2 (section 8 of ``docs/numerics.md``)."""

from dataclasses import dataclass

import numpy as np

from ..arch.formats import BLOCK
from .functions import EXPONENTIAL_BITS, EXPONENTIAL_FRACTION, exp2_negative, recip
from .memory import KeyValues
from .numerics import Floats, Integers, Words, add, block_sum, mul, quantize_block, scale2, to_fixed

_WORKING_SET = 1 << 18
"""Probabilities held at once, in elements: how many pages are worked on together, with no influence on the result."""


@dataclass
class Softmax:
    """State of the online softmax between pages, the same shapes for every virtual head and query row.

    Attributes:
        maximum: integer running maximum, int64 [heads, rows], or None before the first page.
        total: float32 [heads, rows].
        acc: float32 [heads, rows, blocks, 32 lanes].
    """

    maximum: Integers | None
    total: Floats
    acc: Floats


@dataclass(frozen=True)
class Queries:
    """Quantized attention rows.

    Attributes:
        q: int16 [heads, rows, blocks, 32].
        exponents: int16 [heads, rows, blocks].
        positions: last visible position of each row, int64 [rows].
    """

    q: Words
    exponents: Words
    positions: Integers


def scores(queries: Queries, pages: KeyValues) -> Floats:
    """Raw scores: the dot products of section 8.1 accumulated over blocks; float32 [pages, heads, rows, 32]."""
    heads, rows, blocks, _ = queries.q.shape
    q = queries.q.astype(np.float32)
    keys = pages.keys.astype(np.float32)
    acc = np.zeros((len(keys), heads, rows, BLOCK), np.float32)
    for b in range(blocks):
        dot = np.matmul(q[:, :, b], keys[:, :, b].swapaxes(-1, -2))
        key_exponents = pages.key_exponents[:, :, b, None, :].astype(np.int32)
        acc = add(acc, scale2(dot, queries.exponents[:, :, b, None] + key_exponents))
    return acc


def probabilities(score: Floats, visible: np.ndarray, running: Integers | None) -> tuple[Floats, Integers, Integers]:
    """Steps 2 to 4 for some pages in ascending order.

    Args:
        score: s, already scaled; float32 [pages, ..., 32].
        visible: bool, broadcasts with score; True where a position is unmasked.
        running: the maximum after the page before, int64 [...], or None at the start.

    Returns:
        p float32 [pages, ..., 32], the maximum after every page and the shift at every page, int64 [pages, ...].
    """
    z = to_fixed(score, EXPONENTIAL_FRACTION, EXPONENTIAL_BITS)
    lowest = -(1 << (EXPONENTIAL_BITS - 1))
    largest = np.where(visible, z, lowest).max(axis=-1)
    ceiling = -((-largest) >> EXPONENTIAL_FRACTION)
    if running is not None:
        ceiling[0] = np.maximum(ceiling[0], running)
    maximum = np.maximum.accumulate(ceiling, axis=0)
    before = np.concatenate([maximum[:1] if running is None else running[None], maximum[:-1]])
    limit = (1 << EXPONENTIAL_BITS) - 1
    distance = np.clip((maximum[..., None] << EXPONENTIAL_FRACTION) - z, 0, limit)  # below 0: masked, not used
    return np.where(visible, exp2_negative(distance), np.float32(0)), maximum, maximum - before


def weighted_values(p: Floats, pages: KeyValues, bits: int) -> Floats:
    """Step 6's products: float32 [pages, heads, rows, blocks, 32 lanes] from p [pages, heads, rows, 32]."""
    exponents = pages.value_exponents[:, :, None].astype(np.int32)  # [pages, heads, 1, blocks, 32 positions]
    q, e = quantize_block(scale2(p[..., None, :], exponents), bits)
    values = pages.values.astype(np.float32).swapaxes(-1, -2)  # [pages, heads, blocks, positions, lanes]
    dot = np.matmul(q.astype(np.float32).swapaxes(2, 3), values)  # [pages, heads, blocks, rows, lanes]
    return scale2(dot.swapaxes(2, 3), e[..., None].astype(np.int32))


def absorb(state: Softmax, p: Floats, shifts: Integers, products: Floats) -> None:
    """Add pages to the state, one after the other; arguments have a leading axis of pages."""
    sums = block_sum(p)
    for i, shift in enumerate(shifts):
        if shift.any():
            state.total = scale2(state.total, -shift)
            state.acc = scale2(state.acc, -shift[..., None, None])
        state.total = add(state.total, sums[i])
        state.acc = add(state.acc, products[i])


def attend(queries: Queries, pages: KeyValues, scale: np.float32, bits: int) -> Floats:
    """Attention of every query row over all pages of its sequence.

    Args:
        queries: the rows.
        pages: keys and values in order of position; zero past the last position.
        scale: the instruction's imm.
        bits: activation_bits, of the quantized probabilities.

    Returns:
        float32 [heads, rows, blocks x 32].
    """
    heads, rows, blocks, _ = queries.q.shape
    state = Softmax(None, np.zeros((heads, rows), np.float32), np.zeros((heads, rows, blocks, BLOCK), np.float32))
    count = len(pages.keys)
    batch = max(1, _WORKING_SET // (heads * rows * blocks * BLOCK))
    for first in range(0, count, batch):
        part = slice(first, min(first + batch, count))
        some = KeyValues(pages.keys[part], pages.key_exponents[part], pages.values[part], pages.value_exponents[part])
        position = np.arange(part.start * BLOCK, part.stop * BLOCK).reshape(-1, 1, 1, BLOCK)
        visible = position <= queries.positions[:, None]
        p, maximum, shifts = probabilities(mul(scores(queries, some), scale), visible, state.maximum)
        absorb(state, p, shifts, weighted_values(p, some, bits))
        state.maximum = maximum[-1]
    return mul(state.acc, recip(state.total)[..., None, None]).reshape(heads, rows, -1)
