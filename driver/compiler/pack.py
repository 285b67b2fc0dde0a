"""Last pass: weights to the bytes of the image, as `arch.layout` defines them; whole matrices at a time."""

import math

import numpy as np

from ...arch.config import INTERLEAVE, AcceleratorConfig, derive
from ...arch.formats import BLOCK, WeightFormat
from ...arch.layout import MatmulLayout, Stripe, ceil_div, round_up
from ...arch.model import Blocks

PHASE_BITS = 40
"""Fraction bits of a rope constant: turns per position."""


def pack_matrix(config: AcceleratorConfig, weight_format: WeightFormat, blocks: Blocks) -> np.ndarray:
    """The stream of one weight matrix.

    Args:
        blocks: rows are output channels in the order of the machine.

    Returns:
        uint8 [MatmulLayout.bytes]: stripes of one scale beat and its tiles.
    """
    channels, per_row = blocks.scales.shape
    layout = MatmulLayout(config, weight_format, channels, per_row)
    bus, stripe = derive(config).bus_bytes, Stripe.of(config, weight_format)
    padded = layout.groups * config.array.channels
    halves = [blocks.scales] if blocks.mins is None else [blocks.scales, blocks.mins]
    scales = np.stack(halves, axis=-1).astype("<u2").view(np.uint8)  # [channels, blocks, scale bytes]
    stripes = ceil_div(layout.tiles, stripe.tiles)
    out = np.zeros((stripes, (1 + stripe.tiles * stripe.tile_beats) * bus), np.uint8)
    tiles = np.zeros((stripes * stripe.tiles, stripe.tile_beats * bus), np.uint8)
    tiles[: layout.tiles] = _in_order(config, _payload(weight_format, blocks.quants), padded)
    out[:, bus:] = tiles.reshape(stripes, -1)
    heads = np.zeros((stripes * stripe.tiles, config.array.channels * weight_format.scale_bytes), np.uint8)
    heads[: layout.tiles] = _in_order(config, scales, padded)
    out[:, : stripe.tiles * heads.shape[1]] = heads.reshape(stripes, -1)
    return out.reshape(-1)[: layout.bytes]


def _payload(weight_format: WeightFormat, quants: np.ndarray) -> np.ndarray:
    """Stored elements, uint8 [channels, blocks, payload bytes]; 4-bit elements in pairs, the first one low."""
    rows = len(quants)
    if weight_format.bits == 8:
        return quants.view(np.uint8).reshape(rows, -1, BLOCK)
    stored = (quants + np.int8(weight_format.offset)).view(np.uint8)
    return (stored[:, 0::2] | stored[:, 1::2] << 4).reshape(rows, -1, BLOCK // 2)


def _in_order(config: AcceleratorConfig, cells: np.ndarray, padded: int) -> np.ndarray:
    """Cells [channels, blocks, bytes] as tiles in the order of consumption: [tiles, C * bytes]."""
    channels, blocks, size = cells.shape
    if channels < padded:
        cells = np.concatenate([cells, np.zeros((padded - channels, blocks, size), np.uint8)])
    grouped = cells.reshape(-1, config.array.channels, blocks, size)  # [group, C, block, bytes]
    whole = len(grouped) // INTERLEAVE * INTERLEAVE
    parts = []
    for part, width in ((grouped[:whole], INTERLEAVE), (grouped[whole:], len(grouped) - whole)):
        if len(part):
            superblocks = part.reshape(-1, width, config.array.channels, blocks, size)
            parts.append(superblocks.transpose(0, 3, 1, 2, 4).reshape(-1, config.array.channels * size))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def pack_floats(config: AcceleratorConfig, values: np.ndarray) -> np.ndarray:
    """The stream of a LOAD: float32 padded with zeros to whole beats, uint8."""
    return _beats(config, values.astype("<f4").view(np.uint8))


def rope_constants(frequencies: tuple[float, ...]) -> np.ndarray:
    """Turns per position of every pair, uint64: round(frequency / 2 pi * 2^40) mod 2^40."""
    scale = 1 << PHASE_BITS
    return np.array([round(f / math.tau * scale) % scale for f in frequencies], np.uint64)


def pack_rope(config: AcceleratorConfig, frequencies: tuple[float, ...]) -> np.ndarray:
    """The stream of ROPE_TABLE: unsigned 64-bit constants padded with zeros to whole beats, uint8."""
    return _beats(config, rope_constants(frequencies).astype("<u8").view(np.uint8))


def _beats(config: AcceleratorConfig, data: np.ndarray) -> np.ndarray:
    out = np.zeros(round_up(len(data), derive(config).bus_bytes), np.uint8)
    out[: len(data)] = data
    return out
