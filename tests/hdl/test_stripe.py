"""A bus over two ports of a beat's half and over four of a quarter, each with a memory of its own that is not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from celosia.arch.config import AcceleratorConfig
from celosia.hdl.verilog import component_verilog
from tests.harness.linters import LINTERS
from tests.harness.runner import TOP, run_bench

from .stripe_wrapper import FlatStripe


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize(("bits", "ports"), [(128, 2), (512, 4)])
def test_stripe(bits: int, ports: int, stall: float) -> None:
    bus = {"data_bits": bits, "ports": ports, "port_address_bits": 13, "burst_beats": 16, "outstanding": 3}
    array = {"channels": bits // 64}
    run_bench(
        FlatStripe(AcceleratorConfig.from_dict({"bus": bus, "array": array})),
        "tests.hdl.bench_stripe",
        name=f"stripe-{bits}-{ports}-stall{stall}",
        parameters={"bus": bus, "stall": stall},
    )


@pytest.mark.filterwarnings("default::tests.harness.linters.IcarusMissing")
def test_stripe_passes_all_linters(tmp_path: Path) -> None:
    """No preset that Yosys checks as a whole has several ports."""
    bus = {"data_bits": 128, "ports": 2}
    source = tmp_path / "stripe.v"
    source.write_text(component_verilog(FlatStripe(AcceleratorConfig.from_dict({"bus": bus})), name=TOP))
    assert {name: check(source)[:20] for name, check in LINTERS.items()} == {name: [] for name in LINTERS}
