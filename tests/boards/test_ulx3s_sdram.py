"""The design of the bitstream with SDRAM from pin to pin: it boots from a flash and says the golden machine's text."""

from __future__ import annotations

from pathlib import Path

import pytest

from celosia.boards.board import find_board
from celosia.boards.boot import MAGIC
from celosia.boards.build import design

from .flashed import dialogue, run, with_parts

BOARD, BENCH = "ulx3s-sdram", "tests.boards.bench_ulx3s_sdram"
PARTS = ("ulx3s_sdram.v", "sdram_chip.v", "spi_flash.v", "cells.v", "cells_flash.v", "cells_sdram.v")
NO_MODEL = r"\r\nno model in flash at 0x200000: write one, then reset"
DAMAGED = r"\r\nmodel in flash at 0x200000 is damaged: write it again, then reset"
CONTENT = bytes(range(256))


@pytest.fixture(scope="module")
def verilog() -> str:
    return with_parts(design(find_board(BOARD))[0], PARTS)


def test_console_says_what_the_golden_machine_says(verilog: str, tmp_path: Path) -> None:
    run(BOARD, BENCH, verilog, "talks", **dialogue(BOARD, tmp_path, word_bytes=2))


@pytest.mark.parametrize(
    ("file", "greeting"),
    [
        (b"", NO_MODEL),
        (MAGIC[::-1] + bytes(8) + CONTENT, NO_MODEL),
        (MAGIC + len(CONTENT).to_bytes(4, "little") + bytes(4) + CONTENT, DAMAGED),
        (MAGIC + (len(CONTENT) + 1).to_bytes(4, "little") + bytes(4) + CONTENT, DAMAGED),
        (MAGIC + (1 << 26).to_bytes(4, "little") + bytes(4) + CONTENT, DAMAGED),
    ],
    ids=["erased", "something else", "checksum", "no whole beats", "too long"],
)
def test_flash_without_a_model(verilog: str, file: bytes, greeting: str, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id
    run(BOARD, BENCH, verilog, name, file=file.hex(), bytes=len(file), greeting=greeting)
