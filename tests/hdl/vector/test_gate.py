"""ActivationFactor on Verilator."""

from __future__ import annotations

from celosia.hdl.vector.gate import ActivationFactor
from tests.harness.runner import run_bench


def test_gate() -> None:
    run_bench(ActivationFactor(), "tests.hdl.vector.bench_gate", name="gate", parameters={"random_words": 10_000})
