"""The register block."""

from __future__ import annotations

from celosia.hdl.control.registers import RegisterBlock
from tests.harness.runner import run_bench


def test_register_block() -> None:
    run_bench(RegisterBlock(), "tests.hdl.control.bench_registers", name="registers", parameters={})
