"""Row reader, row writer and arbiter: words wider and narrower than beats, stalls on every side, every error."""

from __future__ import annotations

import pytest

from celosia.hdl.interfaces import Interfaces
from celosia.hdl.rows.reader import RowReader
from tests.harness.runner import run_bench

from .configs import CONFIGS
from .wrapper import Writers


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("config", CONFIGS)
def test_row_reader(config: str, stall: float) -> None:
    run_bench(
        RowReader(interfaces=Interfaces(CONFIGS[config])),
        "tests.hdl.rows.bench_reader",
        name=f"row-reader-{config}-stall{stall}",
        parameters={"config": config, "stall": stall},
    )


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("config", CONFIGS)
def test_row_writer(config: str, stall: float) -> None:
    run_bench(
        Writers(interfaces=Interfaces(CONFIGS[config])),
        "tests.hdl.rows.bench_writer",
        name=f"row-writer-{config}-stall{stall}",
        parameters={"config": config, "stall": stall},
    )
