"""The embedding: every format, on buses narrower and wider than a block."""

from __future__ import annotations

import pytest

from celosia.hdl.embedding import Embedding
from tests.harness.runner import run_bench

from .stream.configs import CONFIGS


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("config", ["w8", "w32", "w64"])
def test_embedding(config: str, stall: float) -> None:
    run_bench(
        Embedding(CONFIGS[config]),
        "tests.hdl.bench_embedding",
        name=f"embedding-{config}-stall{stall}",
        parameters={"config": config, "stall": stall},
    )
