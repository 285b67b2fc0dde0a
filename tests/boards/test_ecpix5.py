"""The design of the bitstream with DDR3, its PHY aside: it boots from a flash and says the golden machine's text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from celosia import api
from celosia.boards.board import find_board
from celosia.boards.boot import MAGIC
from celosia.boards.build import design
from celosia.driver.compiler import compile_model

from ..harness.runner import run_bench

FOLDER = Path(__file__).parent
PARTS = ("ecpix5.v", "ddr3_phy.v", "spi_flash.v", "cells.v", "cells_flash.v", "cells_ddr3.v")
PROMPT, LETTERS = "The cat", 40
"""What is typed; of the golden machine's answer, which the bench breaks off earlier."""
PHY = re.compile(r"^module ddr3_phy\b.*?^endmodule\n", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def verilog() -> str:
    board = find_board("ecpix5")
    source, _ = design(board)
    source, found = PHY.subn("", source)
    assert found == 1
    source = re.sub(r"^module top\b", "module board", source, flags=re.MULTILINE)
    parts = "".join((FOLDER / name).read_text() for name in PARTS)
    period = f"PERIOD_PS = {int(1e6 / board.config.control.clock_mhz)}"
    return source + re.sub(r"PERIOD_PS = \d+", period, parts)


def run(verilog: str, name: str, **parameters: Any) -> None:
    board = find_board("ecpix5")
    parameters |= {"offset": board.memory.flash_offset, "clock_hz": board.config.control.clock_mhz * 1e6}
    bench = "tests.boards.bench_ecpix5"
    run_bench(verilog, bench, name=f"ecpix5 {name}", parameters=parameters, optimize=True, ours=False)


def test_console_says_what_the_golden_machine_says(verilog: str, tmp_path: Path) -> None:
    board, model = find_board("ecpix5"), api.load()
    compiled = compile_model(model, board.config)
    file = board.memory.contents(compiled)
    (tmp_path / "model.img").write_bytes(file)
    run(
        verilog,
        "talks",
        arrival=(1, 3),
        path=str(tmp_path / "model.img"),
        bytes=len(file),
        greeting=f"\r\n{compiled.model.name} on celosia\r\n> ",
        prompt=PROMPT,
        answer=api.run(model, board.config, prompt=PROMPT, count=LETTERS, device="golden").text,
        # Beats of the bus.
        bound=compiled.memory.streamed_bytes / (board.config.bus.data_bits // 8),
    )


def test_chip_that_cannot_be_read(verilog: str) -> None:
    """Nothing is said, since nothing can be written; a light says so."""
    file = MAGIC + (256).to_bytes(4, "little") + bytes(4) + bytes(256)
    run(verilog, "deaf", arrival=(12, 12), file=file.hex())
