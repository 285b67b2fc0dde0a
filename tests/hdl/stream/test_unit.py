"""The whole stream unit: prefetcher, reader and FIFOs."""

from __future__ import annotations

import pytest

from celosia.hdl.stream.unit import StreamUnit
from tests.harness.runner import run_bench

from .configs import CONFIGS


@pytest.mark.parametrize("stall", [0.0, 0.3])
@pytest.mark.parametrize("config", CONFIGS)
def test_stream_unit(config: str, stall: float) -> None:
    run_bench(
        StreamUnit(CONFIGS[config]),
        "tests.hdl.stream.bench_unit",
        name=f"stream_unit-{config}-stall{stall}",
        public=[("top", "promised")],
        parameters={"config": config, "stall": stall, "latency": 20 if stall else 3},
    )
