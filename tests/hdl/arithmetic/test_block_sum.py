"""BlockSum on Verilator: one adder for the upper levels, and one for each."""

from __future__ import annotations

import pytest

from celosia.hdl.arithmetic.block_sum import BlockSum
from tests.harness.runner import run_bench


@pytest.mark.parametrize("lanes", [2, 4, 8, 32])
def test_block_sum(lanes: int) -> None:
    run_bench(
        BlockSum(lanes=lanes),
        "tests.hdl.arithmetic.bench_block_sum",
        name=f"block_sum_{lanes}",
        parameters={"lanes": lanes, "blocks": 1500},
    )
