"""The arithmetic blocks on Verilator, and the parameters that they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import pytest

from celosia.arch.tables import reciprocal_table
from celosia.hdl.arithmetic import (
    FixedToFloat,
    FloatAdd,
    FloatMultiply,
    FloatToFixed,
    Reciprocal,
    TablePolynomial,
)
from celosia.hdl.arithmetic.block_sum import BlockSum
from celosia.hdl.arithmetic.serial_sum import SerialSum
from tests.harness.runner import run_bench

from .cases import all_cases
from .wrapper import Blocks


@pytest.mark.parametrize(("random_vectors", "stall"), [(20_000, 0.2), (500, 0.0)])
def test_arithmetic(random_vectors: int, stall: float) -> None:
    run_bench(
        Blocks({name: case.component for name, case in all_cases().items()}),
        "tests.hdl.arithmetic.bench_arithmetic",
        name=f"arithmetic-stall{stall}",
        parameters={"random_vectors": random_vectors, "stall": stall},
    )


@pytest.mark.parametrize("width", [1, 65, 2.0])
def test_fixed_to_float_width_wrong(width: object) -> None:
    message = f"FixedToFloat: width must be an integer from 2 to 64, not {width!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        FixedToFloat(width=width)


@pytest.mark.parametrize("exponent_width", [1, 17])
def test_fixed_to_float_exponent_width_wrong(exponent_width: int) -> None:
    message = f"FixedToFloat: exponent_width must be an integer from 2 to 16, not {exponent_width!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        FixedToFloat(width=8, exponent_width=exponent_width)


@pytest.mark.parametrize("integer_bits", [0, 33])
def test_float_to_fixed_integer_bits_wrong(integer_bits: int) -> None:
    message = f"FloatToFixed: integer_bits must be an integer from 1 to 32, not {integer_bits!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        FloatToFixed(integer_bits=integer_bits, fraction_bits=8)


@pytest.mark.parametrize("fraction_bits", [-1, 33])
def test_float_to_fixed_fraction_bits_wrong(fraction_bits: int) -> None:
    message = f"FloatToFixed: fraction_bits must be an integer from 0 to 32, not {fraction_bits!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        FloatToFixed(integer_bits=8, fraction_bits=fraction_bits)


@pytest.mark.parametrize("multiplier_bits", [17, 24, None])
def test_float_multiply_multiplier_bits_wrong(multiplier_bits: object) -> None:
    message = f"FloatMultiply: multiplier_bits must be 18 or 27, not {multiplier_bits!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        FloatMultiply(multiplier_bits=multiplier_bits)


@pytest.mark.parametrize(
    ("name", "create"),
    [
        ("FloatAdd", FloatAdd),
        ("BlockSum", partial(BlockSum, lanes=4)),
        ("SerialSum", partial(SerialSum, levels=4, total=False)),
    ],
)
def test_positive_wrong(name: str, create: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match=f"^{name}: positive must be True or False, not 1$"):
        create(positive=1)


@pytest.mark.parametrize(
    ("name", "create"), [("Reciprocal", Reciprocal), ("TablePolynomial", partial(TablePolynomial, reciprocal_table()))]
)
def test_in_logic_wrong(name: str, create: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match=f"^{name}: in_logic must be True or False, not 'yes'$"):
        create(in_logic="yes")
