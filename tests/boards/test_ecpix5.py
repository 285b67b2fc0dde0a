"""The design of the bitstream with DDR3, its PHY aside: it boots from a flash and says the golden machine's text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from celosia.boards.board import find_board
from celosia.boards.boot import MAGIC
from celosia.boards.build import design

from .flashed import dialogue, run, with_parts

BOARD, BENCH = "ecpix5", "tests.boards.bench_ecpix5"
PARTS = ("ecpix5.v", "ddr3_phy.v", "spi_flash.v", "cells.v", "cells_flash.v", "cells_ddr3.v")
PHY = re.compile(r"^module ddr3_phy\b.*?^endmodule\n", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def verilog() -> str:
    board = find_board(BOARD)
    source, found = PHY.subn("", design(board)[0])
    assert found == 1
    period = f"PERIOD_PS = {int(1e6 / board.config.control.clock_mhz)}"
    return re.sub(r"PERIOD_PS = \d+", period, with_parts(source, PARTS))


def test_console_says_what_the_golden_machine_says(verilog: str, tmp_path: Path) -> None:
    beat_bytes = find_board(BOARD).config.bus.data_bits // 8
    run(BOARD, BENCH, verilog, "talks", arrival=(1, 3), **dialogue(BOARD, tmp_path, word_bytes=beat_bytes))


def test_chip_that_cannot_be_read(verilog: str) -> None:
    """The console says so, whatever is in the flash."""
    file = MAGIC + (256).to_bytes(4, "little") + bytes(4) + bytes(256)
    greeting = "\r\nDDR3 cannot be read: switch the board off and on"
    run(BOARD, BENCH, verilog, "deaf", arrival=(12, 12), file=file.hex(), bytes=len(file), greeting=greeting)
