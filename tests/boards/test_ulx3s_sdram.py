"""The design of the bitstream with SDRAM from pin to pin: it boots from a flash and says the golden machine's text."""

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
PARTS = ("ulx3s_sdram.v", "sdram_chip.v", "spi_flash.v", "cells.v", "cells_flash.v", "cells_sdram.v")
PROMPT, LETTERS = "The cat", 40
"""What is typed; of the golden machine's answer, which the bench breaks off earlier."""

NO_MODEL = r"\r\nno model in flash at 0x200000: write one, then reset"
DAMAGED = r"\r\nmodel in flash at 0x200000 is damaged: write it again, then reset"
CONTENT = bytes(range(256))


@pytest.fixture(scope="module")
def verilog() -> str:
    source, _ = design(find_board("ulx3s-sdram"))
    board = re.sub(r"^module top\b", "module board", source, flags=re.MULTILINE)
    return board + "".join((FOLDER / name).read_text() for name in PARTS)


def run(verilog: str, name: str, **parameters: Any) -> None:
    board = find_board("ulx3s-sdram")
    parameters |= {"offset": board.memory.flash_offset, "clock_hz": board.config.control.clock_mhz * 1e6}
    bench = "tests.boards.bench_ulx3s_sdram"
    run_bench(verilog, bench, name=f"ulx3s-sdram {name}", parameters=parameters, optimize=True, ours=False)


def test_console_says_what_the_golden_machine_says(verilog: str, tmp_path: Path) -> None:
    board, model = find_board("ulx3s-sdram"), api.load()
    compiled = compile_model(model, board.config)
    file = board.memory.contents(compiled)
    (tmp_path / "model.img").write_bytes(file)
    run(
        verilog,
        "talks",
        path=str(tmp_path / "model.img"),
        bytes=len(file),
        greeting=f"\r\n{compiled.model.name} on celosia\r\n> ",
        prompt=PROMPT,
        answer=api.run(model, board.config, prompt=PROMPT, count=LETTERS, device="golden").text,
        # Words of 16 bits.
        bound=compiled.memory.streamed_bytes / 2,
    )


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
    run(verilog, name, file=file.hex(), bytes=len(file), greeting=greeting)
