"""MatrixUnit on Verilator."""

from __future__ import annotations

import pytest

from tests.harness.runner import run_bench

from .configs import PARAMETERS, interfaces
from .wrappers import MatrixUnitWithMemories


@pytest.mark.parametrize("stall", [0.0, 0.3])
@pytest.mark.parametrize("name", PARAMETERS)
def test_unit(name: str, stall: float) -> None:
    parameters = {**PARAMETERS[name], "stall": stall}
    component = MatrixUnitWithMemories(interfaces(parameters))
    run_bench(component, "tests.hdl.matrix.bench_unit", name=f"matrix-unit-{name}-stall{stall}", parameters=parameters)
