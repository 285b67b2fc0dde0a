"""Reads and writes of the memory layouts of ``arch.layout``: weight regions, plain operands, pages of the KV cache."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..arch.config import INTERLEAVE, derive
from ..arch.formats import BLOCK
from ..arch.isa import Status
from ..arch.layout import CacheLayout, MatmulLayout, Stripe
from .errors import MachineError
from .numerics import Floats

Bytes = NDArray[np.uint8]
Signed = NDArray[np.int8]


def region(memory: Bytes, address: int, size: int) -> Bytes:
    """A view of `size` bytes at `address`.

    Raises:
        MachineError: BUS_READ, part of the region is outside the memory.
    """
    if not 0 <= address <= len(memory) - size:
        raise MachineError(Status.BUS_READ, address)
    return memory[address : address + size]


@dataclass(frozen=True)
class Weights:
    """One weight matrix, unpacked.

    Attributes:
        quants: int8 [blocks, 32, channels], offsets subtracted.
        scales: float32 [blocks, channels], fp16 d widened.
        mins: float32 [blocks, channels], fp16 m widened, or None.
        smallest, largest: magnitudes of the scales and minima, zeros left out.
    """

    quants: Signed
    scales: Floats
    mins: Floats | None
    smallest: float = field(init=False)
    largest: float = field(init=False)

    def __post_init__(self) -> None:
        magnitudes = [np.abs(a) for a in (self.scales, self.mins) if a is not None]
        smallest = min(float(a.min(where=a > 0, initial=np.inf)) for a in magnitudes)
        object.__setattr__(self, "smallest", smallest)
        object.__setattr__(self, "largest", max(float(a.max(initial=0)) for a in magnitudes))


def tile_order(layout: MatmulLayout) -> NDArray[np.int64]:
    """Position in the order of consumption of every tile, [groups, blocks]."""
    group = np.arange(layout.groups)[:, None]
    block = np.arange(layout.blocks)[None, :]
    first = group // INTERLEAVE * INTERLEAVE
    width = np.minimum(INTERLEAVE, layout.groups - first)
    return first * layout.blocks + block * width + group % INTERLEAVE


def unpack_weights(memory: Bytes, address: int, layout: MatmulLayout) -> Weights:
    """Unpack the whole region of one MATMUL."""
    stripe = Stripe.of(layout.config, layout.weight_format)
    beat = derive(layout.config).bus_bytes
    channels, weight_format = layout.config.array.channels, layout.weight_format
    data = region(memory, address, layout.bytes)
    stripe_bytes = (1 + stripe.tiles * stripe.tile_beats) * beat
    whole = np.zeros(-(-len(data) // stripe_bytes) * stripe_bytes, np.uint8)
    whole[: len(data)] = data
    stripes = whole.reshape(-1, stripe_bytes)
    used = stripe.tiles * channels * weight_format.scale_bytes
    scales = (
        np.ascontiguousarray(stripes[:, :used]).view(np.float16).reshape(-1, channels, weight_format.scale_bytes // 2)
    )
    payload = np.ascontiguousarray(stripes[:, beat:]).reshape(-1, channels, weight_format.payload_bytes)
    order = tile_order(layout)
    quants = _elements(payload[order], weight_format.bits, weight_format.offset)  # [groups, blocks, C, 32]
    scales = scales[order].transpose(1, 0, 2, 3).reshape(layout.blocks, -1, weight_format.scale_bytes // 2)
    scales = scales[:, : layout.channels].astype(np.float32)
    return Weights(
        quants=np.ascontiguousarray(
            quants.transpose(1, 3, 0, 2).reshape(layout.blocks, BLOCK, -1)[..., : layout.channels]
        ),
        scales=np.ascontiguousarray(scales[..., 0]),
        mins=np.ascontiguousarray(scales[..., 1]) if weight_format.has_minimum else None,
    )


def _elements(payload: Bytes, bits: int, offset: int) -> Signed:
    """Elements of packed bytes [..., n] as int8 [..., n x 8 / bits]; 4 bits: low nibble first."""
    if bits == 8:
        return payload.view(np.int8)
    pairs = np.stack([payload & 15, payload >> 4], axis=-1).view(np.int8)
    return pairs.reshape(*payload.shape[:-1], -1) - np.int8(offset)


def gather_rows(memory: Bytes, address: int, layout: MatmulLayout, rows: NDArray[np.int64]) -> Weights:
    """Unpack only some channels of a region; the result's channels are `rows`."""
    channels, weight_format = layout.config.array.channels, layout.weight_format
    tiles = tile_order(layout)[rows // channels]  # [rows, blocks]
    lane = (rows % channels)[:, None]
    data = region(memory, address, layout.bytes)
    stripe, beat = Stripe.of(layout.config, weight_format), derive(layout.config).bus_bytes
    index, within = np.divmod(tiles, stripe.tiles)
    payload_at = (index + 1 + tiles * stripe.tile_beats) * beat + lane * weight_format.payload_bytes
    scale_at = index * (1 + stripe.tiles * stripe.tile_beats) * beat
    scale_at += (within * channels + lane) * weight_format.scale_bytes
    quants = _elements(_gather(data, payload_at, weight_format.payload_bytes), weight_format.bits, weight_format.offset)
    scales = _gather(data, scale_at, weight_format.scale_bytes).view(np.float16).astype(np.float32)
    return Weights(
        quants=quants.transpose(1, 2, 0),
        scales=scales[..., 0].T,
        mins=scales[..., 1].T if weight_format.has_minimum else None,
    )


def _gather(data: Bytes, offsets: NDArray[np.int64], size: int) -> Bytes:
    gathered: Bytes = data[offsets[..., None] + np.arange(size)]
    return gathered


@dataclass(frozen=True)
class KeyValues:
    """Quantized keys and values of some pages.

    Attributes:
        keys: int8 [pages, virtual heads, blocks, 32 positions, 32 lanes].
        key_exponents: int8 [pages, virtual heads, blocks, 32 positions].
        values: int8 [pages, virtual heads, blocks, 32 lanes, 32 positions].
        value_exponents: int8, as for keys.
    """

    keys: Signed
    key_exponents: Signed
    values: Signed
    value_exponents: Signed


def page_views(memory: Bytes, address: int, layout: CacheLayout) -> KeyValues:
    """Views of one layer of one page in memory, shapes as in KeyValues with a leading 1."""
    return _split(region(memory, address, layout.layer_bytes)[None], layout)


def read_pages(memory: Bytes, addresses: list[int], layout: CacheLayout) -> KeyValues:
    """Copies of one layer of several pages."""
    size = layout.layer_bytes
    return _split(np.stack([region(memory, address, size) for address in addresses]), layout)


def _split(data: Bytes, layout: CacheLayout) -> KeyValues:
    """Views of the parts of pages, uint8 [pages, layer_bytes]."""
    heads, blocks, start = layout.kv_heads, layout.head_blocks, layout.exponent_bytes
    signed: Signed = data.view(np.int8).reshape(len(data), heads, -1)
    exponents = signed[..., : 2 * blocks * BLOCK].reshape(len(data), heads, 2, blocks, BLOCK)
    payload = signed[..., start:].reshape(len(data), heads, 2, blocks, BLOCK, BLOCK)
    return KeyValues(payload[:, :, 0], exponents[:, :, 0], payload[:, :, 1], exponents[:, :, 1])
