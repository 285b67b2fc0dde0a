"""Unpacking of the memory layouts: every element found where the scalar formulas of `arch.layout` put it."""

from dataclasses import replace

import numpy as np
import pytest

from celosia.arch.config import AcceleratorConfig
from celosia.arch.formats import WEIGHT_FORMATS
from celosia.arch.isa import Status
from celosia.arch.layout import CacheLayout, MatmulLayout
from celosia.golden.errors import MachineError
from celosia.golden.memory import gather_rows, page_views, read_pages, unpack_weights

SHAPES = [(64, 1, 8), (64, 2, 4), (128, 4, 8), (512, 8, 8), (512, 4, 4)]


def _config(data_bits: int, channels: int) -> AcceleratorConfig:
    config = AcceleratorConfig()
    return replace(config, bus=replace(config.bus, data_bits=data_bits), array=replace(config.array, channels=channels))


@pytest.mark.parametrize("name", WEIGHT_FORMATS)
@pytest.mark.parametrize(("data_bits", "array_channels", "blocks"), SHAPES)
@pytest.mark.parametrize("channels", [1, 37, 160])
def test_weights(name: str, data_bits: int, array_channels: int, blocks: int, channels: int) -> None:
    weight_format, c = WEIGHT_FORMATS[name], array_channels
    layout = MatmulLayout(_config(data_bits, c), weight_format, channels, blocks)
    base = 192
    memory = np.random.default_rng(channels).integers(0, 0x7C, base + layout.bytes, dtype=np.uint8)
    weights = unpack_weights(memory, base, layout)
    assert weights.quants.shape == (blocks, 32, channels)
    for channel in {0, channels // 3, channels // 2, channels - 1}:
        for block in range(blocks):
            tile, lane = layout.tile_index(channel // c, block), channel % c
            at = base + layout.scale_offset(tile) + lane * weight_format.scale_bytes
            fp16 = memory[at : at + weight_format.scale_bytes].copy().view(np.float16)
            assert weights.scales[block, channel] == fp16[0]
            if weights.mins is not None:
                assert weights.mins[block, channel] == fp16[1]
            at = base + layout.payload_offset(tile) + lane * weight_format.payload_bytes
            row = [int(v) for v in memory[at : at + weight_format.payload_bytes]]
            if weight_format.bits == 4:
                row = [n - weight_format.offset for v in row for n in (v & 15, v >> 4)]
            assert weights.quants[block, :, channel].tolist() == row
    rows = np.array([channels - 1, 0, channels // 2])
    some = gather_rows(memory, base, layout, rows)
    assert np.array_equal(some.quants, weights.quants[..., rows])
    assert np.array_equal(some.scales, weights.scales[:, rows])
    assert (some.mins is None) == (weights.mins is None)
    assert some.mins is None or np.array_equal(some.mins, weights.mins[:, rows])


def test_weights_outside_the_memory() -> None:
    layout = MatmulLayout(_config(64, 2), WEIGHT_FORMATS["Q8_0"], 32, 1)
    memory = np.zeros(layout.bytes + 8, np.uint8)
    unpack_weights(memory, 8, layout)
    with pytest.raises(MachineError, match=r"^the machine stopped: BUS_READ, address 0x10$") as caught:
        unpack_weights(memory, 16, layout)
    assert (caught.value.status, caught.value.address) == (Status.BUS_READ, 16)


@pytest.mark.parametrize(("data_bits", "heads", "blocks"), [(64, 1, 1), (512, 3, 2), (512, 2, 3)])
def test_cache_pages(data_bits: int, heads: int, blocks: int) -> None:
    layout = CacheLayout(_config(data_bits, 8 if data_bits == 512 else 2), heads, blocks, 1)
    memory = np.random.default_rng(1).integers(0, 256, 3 * layout.layer_bytes, dtype=np.uint8)
    addresses = [2 * layout.layer_bytes, 0]
    pages = read_pages(memory, addresses, layout)
    signed = memory.view(np.int8)
    rng = np.random.default_rng(2)
    for p, h, b, position, lane in zip(*(rng.integers(0, n, 200) for n in (2, heads, blocks, 32, 32)), strict=True):
        head = addresses[p] + h * layout.head_bytes
        assert pages.key_exponents[p, h, b, position] == signed[head + b * 32 + position]
        assert pages.value_exponents[p, h, b, position] == signed[head + (blocks + b) * 32 + position]
        keys = head + layout.exponent_bytes
        assert pages.keys[p, h, b, position, lane] == signed[keys + (b * 32 + position) * 32 + lane]
        values = keys + layout.payload_bytes
        assert pages.values[p, h, b, lane, position] == signed[values + (b * 32 + lane) * 32 + position]


def test_page_views_write_through() -> None:
    layout = CacheLayout(_config(64, 2), 2, 1, 1)
    memory = np.zeros(layout.layer_bytes, np.uint8)
    view = page_views(memory, 0, layout)
    for array in vars(view).values():
        array[:] = 5
    assert (memory == 5).all()
