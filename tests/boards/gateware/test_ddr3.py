"""The DDR3 behind its AXI4 port, with a chip that fails the test where its rules are violated."""

from __future__ import annotations

from pathlib import Path

import pytest

from celosia.boards.gateware.ddr3 import Ddr3
from celosia.boards.gateware.ddr3_controller import controller_verilog, phy_verilog
from celosia.hdl.verilog import component_verilog

from ...harness.runner import run_bench

CLOCK_HZ = 50e6
PARTS = (Path(__file__).with_name("ddr3_bench.v"), Path(__file__).parents[1] / "ddr3_phy.v")


@pytest.fixture(scope="module")
def verilog() -> str:
    design = Ddr3(clock_hz=CLOCK_HZ, address_bits=29)
    verilog = component_verilog(design, name="ddr3") + controller_verilog(CLOCK_HZ)
    return verilog + "".join(part.read_text() for part in PARTS)


def run(verilog: str, arrival: tuple[int, int], *, readable: bool = True, thorough: bool = False) -> None:
    parameters = {"arrival": arrival, "readable": readable, "thorough": thorough}
    parameters["refresh_cycles"] = 64e-3 / 8192 * CLOCK_HZ
    run_bench(verilog, "tests.boards.gateware.bench_ddr3", name=f"ddr3 {arrival}", parameters=parameters, ours=False)


def test_keeps_every_byte_and_every_rule(verilog: str) -> None:
    run(verilog, (2, 3), thorough=True)


def test_keeps_the_rules_with_reads_in_the_other_phase(verilog: str) -> None:
    run(verilog, (-3, -1), thorough=True)


@pytest.mark.parametrize("arrival", [(0, 0), (2, 2), (7, 7), (1, 6), (-4, 1)])
def test_finds_when_lanes_are_heard(verilog: str, arrival: tuple[int, int]) -> None:
    run(verilog, arrival)


@pytest.mark.parametrize("arrival", [(-8, -8), (12, 12), (2, 12), (-8, 2), (-4, 7)])
def test_lane_that_is_not_heard(verilog: str, arrival: tuple[int, int]) -> None:
    run(verilog, arrival, readable=False)


def test_modules_are_the_same_every_time() -> None:
    """Or the cache of placed designs would not know them again."""
    for make in (controller_verilog, phy_verilog):
        first = make(CLOCK_HZ)
        assert make(CLOCK_HZ / 2) and make(CLOCK_HZ) == first
    assert controller_verilog(CLOCK_HZ / 2) != controller_verilog(CLOCK_HZ)


def test_clock_wrong() -> None:
    with pytest.raises(
        ValueError, match=r"^clock_hz = 63000000\.0: must be 62500000\.0 at most, as the chip has no DLL$"
    ):
        Ddr3(clock_hz=63e6, address_bits=29)
