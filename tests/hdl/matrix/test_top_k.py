"""TopK on Verilator, and the parameters that it refuses."""

from __future__ import annotations

import re
from math import inf

import pytest

from celosia.arch.pipeline import INSERT, registers
from celosia.hdl.matrix import TopK
from tests.harness.runner import run_bench

from .wrappers import TopKWithReady


@pytest.mark.parametrize("levels", [inf, 7.5])
@pytest.mark.parametrize(
    ("depth", "at_once", "stall"),
    [(1, 1, 0.0), (5, 1, 0.0), (8, 1, 0.4), (1, 2, 0.0), (2, 2, 0.4), (3, 2, 0.0), (8, 2, 0.4)],
)
def test_top_k(depth: int, at_once: int, stall: float, levels: float) -> None:
    stand = registers(INSERT, levels)
    run_bench(
        TopKWithReady(depth=depth, at_once=at_once, registers=stand),
        "tests.hdl.matrix.bench_top_k",
        name=f"top_k-depth{depth}-at-once{at_once}-levels{levels}",
        parameters={
            "depth": depth,
            "at_once": at_once,
            "stall": stall,
            "latency": TopK(depth=depth, at_once=at_once, registers=stand).latency,
        },
    )


@pytest.mark.parametrize("depth", [0, 65])
def test_top_k_depth_wrong(depth: int) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'TopK: depth must be from 1 to 64, not {depth!r}')}$"):
        TopK(depth=depth)


@pytest.mark.parametrize("at_once", [0, 3])
def test_top_k_at_once_wrong(at_once: int) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'TopK: at_once must be 1 or 2, not {at_once!r}')}$"):
        TopK(depth=4, at_once=at_once)
