"""Bare products: the same bits on every config, however they are cut; what does not fit is named."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from celosia.arch.config import AcceleratorConfig, load_config
from celosia.arch.isa import Flag, Opcode
from celosia.arch.model import WeightTensor
from celosia.driver.compiler import FitError, compile_product
from celosia.driver.compiler.fit import apply
from celosia.driver.golden_accelerator import GoldenAccelerator
from celosia.driver.importers import quantize
from celosia.driver.product import multiply, product_jobs

from ...golden import exact


def _with(config: AcceleratorConfig, group: str, **fields: Any) -> AcceleratorConfig:
    return replace(config, **{group: replace(getattr(config, group), **fields)})


DEFAULT, KRIA = load_config("default"), load_config("kria")
SMALL = _with(DEFAULT, "vector", scratchpad_words=256)  # 4 blocks of 32 columns
SHORT = _with(_with(KRIA, "vector", scratchpad_words=384), "cache", pages_per_sequence=1)  # 6 blocks; 32 rows a job


def _matrix(seed: int, rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


def _product(config: AcceleratorConfig, rows: np.ndarray, weights: WeightTensor, fmt: str = "Q8_0") -> np.ndarray:
    return multiply(GoldenAccelerator(), compile_product(config, weights, len(rows), fmt), rows)


@pytest.mark.parametrize("fmt", ["Q8_0", "Q4_0", "Q4_1"])
def test_every_config_gives_the_exact_result(fmt: str) -> None:
    """Against rationals, element by element, where inputs and channels fill no block."""
    rows, weights = _matrix(1, 9, 70), quantize(_matrix(2, 45, 70), fmt)
    blocks = weights.blocks
    d = blocks.scales.view(np.float16)
    results = [_product(config, rows, weights) for config in (DEFAULT, KRIA, SMALL, SHORT)]
    assert all(np.array_equal(r.view(np.uint32), results[0].view(np.uint32)) for r in results)
    for row, channel in ((0, 0), (3, 44), (8, 31), (5, 32)):
        x = [Fraction(float(v)) for v in rows[row]] + [Fraction(0)] * 26
        pairs = [exact.quantize_block(x[i : i + 32], 9) for i in (0, 32, 64)]
        expected = exact.matrix_product(
            [q for q, _ in pairs],
            [e for _, e in pairs],
            blocks.quants[channel].reshape(3, 32).tolist(),
            [Fraction(float(v)) for v in d[channel]],
            None if blocks.mins is None else [Fraction(float(v)) for v in blocks.mins.view(np.float16)[channel]],
        )
        assert Fraction(float(results[0][row, channel])) == expected


def test_channels_in_parts_and_rows_in_jobs() -> None:
    rows, weights = _matrix(3, 70, 64), WeightTensor("w", "F32", (301, 64), _matrix(4, 301, 64))
    whole = compile_product(DEFAULT, weights, 70, "Q8_0")
    assert [i.opcode for i in whole.program] == [
        Opcode.LOAD_ROWS,
        Opcode.QUANTIZE,
        Opcode.MATMUL,
        Opcode.STORE_ROWS,
        Opcode.END,
    ]
    cut = compile_product(SMALL, weights, 70, "Q8_0")
    products = [i for i in cut.program if i.opcode == Opcode.MATMUL]
    assert [(i.n, i.dst) for i in products] == [(64, 0), (64, 128), (64, 0), (64, 128), (64, 0)]
    assert [bool(i.flags & Flag.BESIDE) for i in products] == [False, True, True, True, True]
    short = compile_product(SHORT, weights, 70, "Q8_0")
    assert [(len(j.tokens), j.rows_bytes) for j in product_jobs(short)] == [(n, n * 1536) for n in (32, 32, 6)]
    results = [multiply(GoldenAccelerator(), compiled, rows) for compiled in (whole, cut, short)]
    assert np.abs(results[0] - rows @ weights.dequantize().T).max() < 0.5
    assert all(np.array_equal(result.view(np.uint32), results[0].view(np.uint32)) for result in results)


@pytest.mark.parametrize(
    ("config", "shape", "field", "needed"),
    [
        (SMALL, (32, 160), "vector.scratchpad_words", 320),
        (_with(DEFAULT, "vector", scratchpad_words=64), (64, 32), "vector.scratchpad_words", 128),
        (_with(DEFAULT, "vector", activation_words=16), (32, 288), "vector.activation_words", 18),
        (_with(SMALL, "control", program_words=16), (481, 32), "control.program_words", 19),
        (_with(DEFAULT, "array", formats=("Q4_0",)), (32, 32), "array.formats", ("Q4_0", "Q8_0")),
    ],
)
def test_names_the_field_and_the_smallest_value_that_fits(
    config: AcceleratorConfig, shape: tuple[int, int], field: str, needed: object
) -> None:
    weights = WeightTensor("w", "F32", shape, np.ones(shape, np.float32))
    with pytest.raises(FitError) as caught:
        compile_product(config, weights, 3, "Q8_0")
    assert [(m.field, m.needed) for m in caught.value.misfits] == [(field, needed)]
    assert str(caught.value).startswith(f"model 'product 3x{shape[1]}x{shape[0]}' does not fit config")
    compile_product(apply(config, list(caught.value.misfits)), weights, 3, "Q8_0")


def test_more_rows_than_the_bus_has_addresses_for() -> None:
    weights = WeightTensor("w", "F32", (32, 32), np.ones((32, 32), np.float32))
    with pytest.raises(FitError, match=r"bus\.address_bits = 32: 4294971392 bytes need 33 bits \(1 more\)"):
        compile_product(DEFAULT, weights, 1 << 24, "Q8_0")
