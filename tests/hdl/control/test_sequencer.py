"""The sequencer."""

from __future__ import annotations

import pytest

from celosia.hdl.control.sequencer import Sequencer
from tests.harness.runner import run_bench
from tests.hdl.stream.configs import CONFIGS


@pytest.mark.parametrize("config", ["w8", "w64", "w8-100"])
def test_sequencer(config: str) -> None:
    run_bench(
        Sequencer(CONFIGS[config]),
        "tests.hdl.control.bench_sequencer",
        name=f"sequencer-{config}",
        parameters={"config": config},
    )
