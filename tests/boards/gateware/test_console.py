"""The console on its own, with a register file that says whatever the bench wants."""

from celosia.boards.gateware.console import Console

from ...harness.runner import run_bench


def test_console() -> None:
    run_bench(
        Console(clock_hz=50_000_000, address_bits=12),
        "tests.boards.gateware.bench_console",
        name="console",
        parameters={},
    )
