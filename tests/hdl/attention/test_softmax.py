"""The softmax alone, four widths."""

from __future__ import annotations

import pytest

from celosia.hdl.attention.softmax import Softmax
from celosia.hdl.interfaces import Interfaces

from ...harness.runner import run_bench
from .problem import small_config

BENCH = "tests.hdl.attention.bench_softmax"

CONFIGS = {
    "narrow": {"rows": 2, "channels": 1, "lanes": 2, "bus": 64, "lag": 1, "chunk": 4, "bits": 9},
    "pair": {"rows": 4, "channels": 2, "lanes": 2, "bus": 64, "lag": 1, "chunk": 8, "bits": 9},
    "wide": {"rows": 1, "channels": 2, "lanes": 8, "bus": 64, "lag": 2, "chunk": 1, "bits": 8, "multiplier": 27},
    # Words of a block, and so many results that other lanes would have two quantizers.
    "block": {"rows": 16, "channels": 4, "lanes": 32, "bus": 128, "lag": 1, "chunk": 16, "bits": 9},
}


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("name", CONFIGS)
def test_softmax(name: str, stall: float) -> None:
    config = CONFIGS[name]
    component = Softmax(interfaces=Interfaces(small_config(**config)))
    parameters = {"config": config, "stall": stall}
    run_bench(component, BENCH, name=f"softmax-{name}-stall{stall}", parameters=parameters)
