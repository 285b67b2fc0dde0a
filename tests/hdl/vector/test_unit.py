"""VectorUnit on Verilator."""

from __future__ import annotations

import re

import pytest

from celosia.hdl.vector.beats import BeatCutter
from tests.harness.runner import run_bench

from .configs import PARAMETERS, interfaces
from .wrappers import VectorUnitWithMemories


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", PARAMETERS)
def test_unit(name: str, stall: float) -> None:
    parameters = {**PARAMETERS[name], "stall": stall}
    component = VectorUnitWithMemories(interfaces(parameters))
    run_bench(component, "tests.hdl.vector.bench_unit", name=f"vector-{name}-stall{stall}", parameters=parameters)


@pytest.mark.parametrize(
    ("part_bits", "message"),
    [
        (48, "BeatCutter: part_bits must divide beat_bits = 64, not 48"),
        (128, "BeatCutter: part_bits must be an integer from 1 to 64, not 128"),
    ],
)
def test_beat_cutter_wrong(part_bits: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        BeatCutter(beat_bits=64, part_bits=part_bits)
