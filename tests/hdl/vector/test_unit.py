"""VectorUnit on Verilator."""

from __future__ import annotations

import pytest

from tests.harness.runner import run_bench

from .configs import PARAMETERS, interfaces
from .wrappers import VectorUnitWithMemories


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", PARAMETERS)
def test_unit(name: str, stall: float) -> None:
    parameters = {**PARAMETERS[name], "stall": stall}
    component = VectorUnitWithMemories(interfaces(parameters))
    run_bench(component, "tests.hdl.vector.bench_unit", name=f"vector-{name}-stall{stall}", parameters=parameters)
