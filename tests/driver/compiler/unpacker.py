"""An independent reader of the image: element by element, by the arithmetic of `arch.layout`."""

import struct

import numpy as np

from celosia.arch.config import AcceleratorConfig
from celosia.arch.formats import BLOCK, WeightFormat
from celosia.arch.layout import MatmulLayout


def read_weight(
    image: np.ndarray, base: int, layout: MatmulLayout, channel: int, block: int
) -> tuple[float, float, list[int]]:
    """Scale, minimum and 32 elements of one block of one output channel."""
    config: AcceleratorConfig = layout.config
    weight_format: WeightFormat = layout.weight_format
    group, lane = divmod(channel, config.array.channels)
    tile = layout.tile_index(group, block)
    scale_at = base + layout.scale_offset(tile) + lane * weight_format.scale_bytes
    raw = bytes(image[scale_at : scale_at + weight_format.scale_bytes])
    scale = struct.unpack_from("<e", raw)[0]
    minimum = struct.unpack_from("<e", raw, 2)[0] if weight_format.has_minimum else 0.0
    payload = base + layout.payload_offset(tile)
    elements = []
    for i in range(BLOCK):
        element = lane * BLOCK + i
        if weight_format.bits == 8:
            byte = int(image[payload + element])
            elements.append(byte - 256 if byte >= 128 else byte)
        else:
            nibble = int(image[payload + element // 2]) >> 4 * (element % 2) & 15
            elements.append(nibble - weight_format.offset)
    return scale, minimum, elements
