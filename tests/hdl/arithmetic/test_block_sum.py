"""BlockSum on Verilator: one adder for the upper levels, and one for each."""

from __future__ import annotations

import pytest

from celosia.hdl.arithmetic.block_sum import BlockSum
from tests.harness.runner import run_bench


@pytest.mark.parametrize(
    ("lanes", "positive"), [(2, False), (4, False), (8, False), (32, False), (2, True), (16, True)]
)
def test_block_sum(lanes: int, positive: bool) -> None:
    run_bench(
        BlockSum(lanes=lanes, positive=positive),
        "tests.hdl.arithmetic.bench_block_sum",
        name=f"block_sum_{lanes}{'_positive' * positive}",
        parameters={"lanes": lanes, "positive": positive, "blocks": 1500},
    )
