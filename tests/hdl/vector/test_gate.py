"""ActivationFactor on Verilator."""

from __future__ import annotations

import pytest

from celosia.arch.pipeline import FAMILIES, pipeline
from celosia.hdl.vector.gate import ActivationFactor
from tests.harness.runner import run_bench


@pytest.mark.parametrize("clock_mhz", [80.0, FAMILIES["ecp5"].fastest_mhz])
def test_gate(clock_mhz: float) -> None:
    component = ActivationFactor(pipeline=pipeline(FAMILIES["ecp5"], clock_mhz))
    parameters = {"random_words": 10_000, "latency": component.latency}
    run_bench(component, "tests.hdl.vector.bench_gate", name=f"gate-{clock_mhz:g}", parameters=parameters)
