"""Unpacker against the definition of the formats."""

from __future__ import annotations

import pytest

from celosia.hdl.matrix import Unpacker
from tests.harness.runner import run_bench

from .configs import PARAMETERS, interfaces


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", PARAMETERS)
def test_unpacker(name: str, stall: float) -> None:
    parameters = {**PARAMETERS[name], "stall": stall}
    component = Unpacker(interfaces(parameters))
    run_bench(component, "tests.hdl.matrix.bench_unpacker", name=f"unpacker-{name}-stall{stall}", parameters=parameters)
