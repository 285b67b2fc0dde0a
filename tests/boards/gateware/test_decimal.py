"""Ratios as decimal digits."""

import pytest

from celosia.boards.gateware.decimal import DecimalPrinter

from ...harness.runner import run_bench


@pytest.mark.parametrize("bits", [4, 17, 48])
def test_decimal(bits: int) -> None:
    name = f"decimal-{bits}"
    run_bench(DecimalPrinter(bits=bits), "tests.boards.gateware.bench_decimal", name=name, parameters={"bits": bits})


def test_bits_wrong() -> None:
    with pytest.raises(ValueError, match=r"^bits = 3: must be 4 or more"):
        DecimalPrinter(bits=3)
