"""The AXI4 read master."""

from __future__ import annotations

import pytest

from celosia.hdl.stream.reader import Reader
from tests.harness.runner import run_bench

from .configs import CONFIGS


@pytest.mark.parametrize("config", CONFIGS)
def test_reader(config: str) -> None:
    run_bench(
        Reader(CONFIGS[config]),
        "tests.hdl.stream.bench_reader",
        name=f"reader-{config}",
        parameters={"config": config},
    )
