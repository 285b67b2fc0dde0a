"""Quantizer on Verilator."""

from __future__ import annotations

import re

import pytest

from celosia.hdl.vector.quantizer import Quantizer
from tests.harness.runner import run_bench


@pytest.mark.parametrize("stall", [0.0, 0.3])
@pytest.mark.parametrize(("lanes", "bits"), [(2, 9), (4, 8), (16, 9), (32, 9)])
def test_quantizer(lanes: int, bits: int, stall: float) -> None:
    component = Quantizer(lanes=lanes, bits=bits)
    parameters = {"lanes": lanes, "bits": bits, "stall": stall, "latency": component.latency}
    name = f"quantizer-v{lanes}b{bits}-stall{stall}"
    run_bench(component, "tests.hdl.vector.bench_quantizer", name=name, parameters=parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"lanes": 3, "bits": 8}, "Quantizer: lanes must be 2, 4, 8, 16 or 32, not 3"),
        ({"lanes": 4, "bits": 7}, "Quantizer: bits must be 8 or 9, not 7"),
    ],
)
def test_quantizer_wrong(parameters: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Quantizer(**parameters)
