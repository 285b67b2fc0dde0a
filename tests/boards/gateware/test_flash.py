"""The flash reader before a flash that knows one command."""

from __future__ import annotations

from pathlib import Path

import pytest

from celosia.boards.gateware.flash import FlashReader
from celosia.hdl.verilog import component_verilog

from ...harness.runner import run_bench

PARTS = (Path(__file__).with_name("flash_bench.v"), Path(__file__).parents[1] / "spi_flash.v")


@pytest.mark.parametrize("start", [0, 0x2AAAA5])
def test_flash(start: int) -> None:
    verilog = component_verilog(FlashReader(start=start), name="reader")
    verilog += "".join(part.read_text() for part in PARTS)
    parameters = {"start": start, "count": 60}
    run_bench(verilog, "tests.boards.gateware.bench_flash", name=f"flash {start:x}", parameters=parameters, ours=False)


@pytest.mark.parametrize("start", [-1, 1 << 24])
def test_flash_wrong(start: int) -> None:
    with pytest.raises(ValueError, match=rf"^start = {start}: must have 24 bits$"):
        FlashReader(start=start)
