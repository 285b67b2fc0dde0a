"""RowSum on Verilator: with one adder behind the lanes, and with one for each level."""

from __future__ import annotations

import pytest

from celosia.hdl.vector.row_sum import RowSum
from tests.harness.runner import run_bench


@pytest.mark.parametrize("lanes", [2, 4, 16])
def test_row_sum(lanes: int) -> None:
    run_bench(
        RowSum(lanes=lanes),
        "tests.hdl.vector.bench_row_sum",
        name=f"row_sum_{lanes}",
        parameters={"lanes": lanes, "rows": 150},
    )
