"""Engine on Verilator."""

from __future__ import annotations

import pytest

from tests.harness.runner import run_bench

from .configs import PARAMETERS, interfaces
from .wrappers import EngineWithMemories


@pytest.mark.parametrize("stall", [0.0, 0.3])
@pytest.mark.parametrize("name", PARAMETERS)
def test_engine(name: str, stall: float) -> None:
    parameters = {**PARAMETERS[name], "stall": stall}
    component = EngineWithMemories(interfaces(parameters))
    run_bench(component, "tests.hdl.matrix.bench_engine", name=f"engine-{name}-stall{stall}", parameters=parameters)
