"""The packer against an independent element-by-element reader of the layouts."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from celosia.arch.config import AcceleratorConfig, Array, Bus
from celosia.arch.formats import WEIGHT_FORMATS
from celosia.arch.layout import MatmulLayout
from celosia.driver.compiler.pack import pack_floats, pack_matrix, pack_rope
from celosia.driver.importers import quantize

from .unpacker import read_weight

BUSES = ((64, 1), (64, 2), (128, 4), (512, 4), (512, 16))


def _config(bits: int, channels: int) -> AcceleratorConfig:
    return AcceleratorConfig(bus=Bus(data_bits=bits), array=Array(channels=channels))


@pytest.mark.parametrize("name", WEIGHT_FORMATS)
@pytest.mark.parametrize(("bits", "channels"), BUSES)
@pytest.mark.parametrize(("rows", "k"), [(32, 32), (96, 64), (37, 96), (1, 40), (160, 32)])
def test_every_element_is_where_the_layout_says(name: str, bits: int, channels: int, rows: int, k: int) -> None:
    config = _config(bits, channels)
    tensor = quantize(np.random.default_rng(rows * k + bits).standard_normal((rows, k)).astype(np.float32), name)
    blocks = tensor.blocks
    layout = MatmulLayout(config, WEIGHT_FORMATS[name], rows, tensor.k_padded // 32)
    image = pack_matrix(config, WEIGHT_FORMATS[name], blocks)
    assert image.dtype == np.uint8
    assert len(image) == layout.bytes
    for channel in range(rows):
        for block in range(layout.blocks):
            scale, minimum, elements = read_weight(image, 0, layout, channel, block)
            assert scale == float(blocks.scales.view(np.float16)[channel, block])
            assert minimum == (0.0 if blocks.mins is None else float(blocks.mins.view(np.float16)[channel, block]))
            assert elements == blocks.quants[channel, 32 * block : 32 * block + 32].tolist()


def test_channels_beyond_the_last_have_scale_zero() -> None:
    config = _config(512, 16)
    tensor = quantize(np.ones((5, 64), np.float32), "Q4_1")
    layout = MatmulLayout(config, WEIGHT_FORMATS["Q4_1"], 5, 2)
    image = pack_matrix(config, WEIGHT_FORMATS["Q4_1"], tensor.blocks)
    for channel in range(5, 16):
        assert [read_weight(image, 0, layout, channel, block)[:2] for block in range(2)] == [(0.0, 0.0)] * 2


def test_rope_constants_are_turns_with_40_fraction_bits() -> None:
    frequencies = (math.tau, 1.0, 0.1, 1e-9, 0.0)
    words = pack_rope(_config(512, 4), frequencies).view("<u8").tolist()
    assert words[5:] == [0, 0, 0]
    assert words[0] == 0  # a whole turn per position
    for frequency, word in zip(frequencies[1:], words[1:5], strict=True):
        exact = Fraction(frequency) / Fraction(math.tau) * 2**40
        assert abs(word - exact) <= Fraction(1, 2) + Fraction(1, 1000)


def test_floats_are_padded_with_zeros_to_whole_beats() -> None:
    data = pack_floats(_config(512, 4), np.arange(1, 21, dtype=np.float32))
    assert len(data) == 128
    assert data.view("<f4").tolist() == [*range(1, 21), *[0.0] * 12]


def test_packing_leaves_its_input_alone() -> None:
    blocks = quantize(np.ones((4, 32), np.float32), "Q4_0").blocks
    before = blocks.quants.copy()
    pack_matrix(_config(64, 2), WEIGHT_FORMATS["Q4_0"], replace(blocks))
    assert np.array_equal(blocks.quants, before)
