"""TopK on Verilator, and the parameters that it refuses."""

from __future__ import annotations

import re

import pytest

from celosia.hdl.matrix import TopK
from tests.harness.runner import run_bench

from .wrappers import TopKWithReady


@pytest.mark.parametrize(("depth", "stall"), [(1, 0.0), (5, 0.0), (8, 0.4)])
def test_top_k(depth: int, stall: float) -> None:
    run_bench(
        TopKWithReady(depth=depth),
        "tests.hdl.matrix.bench_top_k",
        name=f"top_k-depth{depth}",
        parameters={"depth": depth, "stall": stall},
    )


@pytest.mark.parametrize("depth", [0, 65])
def test_top_k_depth_wrong(depth: int) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'TopK: depth must be from 1 to 64, not {depth!r}')}$"):
        TopK(depth=depth)
