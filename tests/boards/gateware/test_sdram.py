"""The SDRAM behind its AXI4 port, with a chip that fails the test where its rules are violated."""

from __future__ import annotations

from pathlib import Path

import pytest

from celosia.boards.gateware.narrower import Narrower
from celosia.boards.gateware.sdram import Sdram
from celosia.boards.gateware.sdram_controller import controller_verilog
from celosia.hdl.verilog import component_verilog

from ...harness.runner import run_bench

CLOCK_HZ = 50e6
PARTS = (Path(__file__).with_name("sdram_bench.v"), Path(__file__).parents[1] / "sdram_chip.v")
NARROWER = {"data_bits": 64, "narrow_bits": 16, "address_bits": 25, "burst_beats": 16}


def test_keeps_every_byte_and_every_rule() -> None:
    design = Sdram(clock_hz=CLOCK_HZ, data_bits=64, address_bits=25, burst_beats=16)
    verilog = component_verilog(design, name="sdram") + controller_verilog(CLOCK_HZ)
    verilog += "".join(part.read_text() for part in PARTS)
    parameters = {"base": 0, "refresh_cycles": 64e-3 / 8192 * CLOCK_HZ}
    run_bench(verilog, "tests.boards.gateware.bench_sdram", name="sdram", parameters=parameters, ours=False)


def test_controller_is_the_same_every_time() -> None:
    """Or the cache of placed designs would not know it again."""
    first = controller_verilog(CLOCK_HZ)
    assert controller_verilog(CLOCK_HZ / 2) != first == controller_verilog(CLOCK_HZ)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_bits": 16}, r"^data_bits = 16: must be 16 times a power of two, 2 at least$"),
        ({"data_bits": 48}, r"^data_bits = 48: must be 16 times a power of two"),
        ({"burst_beats": 128}, r"^burst_beats = 128: must be 64 at most$"),
    ],
)
def test_narrower_wrong(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Narrower(**{**NARROWER, **changes})
