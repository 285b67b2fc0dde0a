"""What the tests of boards have in common that are filled from their flash."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from celosia import api
from celosia.boards.board import find_board
from celosia.driver.compiler import compile_model

from ..harness.runner import run_bench

PROMPT, LETTERS = "The cat", 40
"""What is typed; of the golden machine's answer, which the bench breaks off earlier."""


def with_parts(source: str, parts: tuple[str, ...]) -> str:
    """The design as the module ``board``, and what it stands in: files beside this one."""
    board = re.sub(r"^module top\b", "module board", source, flags=re.MULTILINE)
    return board + "".join(Path(__file__).with_name(name).read_text() for name in parts)


def run(board: str, bench: str, verilog: str, name: str, **parameters: Any) -> None:
    """Run a bench on a board's design."""
    chosen = find_board(board)
    parameters |= {"offset": chosen.memory.flash_offset, "clock_hz": chosen.config.control.clock_mhz * 1e6}
    run_bench(verilog, bench, name=f"{board} {name}", parameters=parameters, optimize=True, ours=False)


def dialogue(board: str, folder: Path, *, word_bytes: int) -> dict[str, Any]:
    """Parameters of a bench in which the embedded model boots from `folder` and answers as the golden machine does.

    Parameters
    ----------
    word_bytes : what the memory reads in a cycle.
    """
    chosen, model = find_board(board), api.load()
    compiled = compile_model(model, chosen.config)
    file = chosen.memory.contents(compiled)
    (folder / "model.img").write_bytes(file)
    return {
        "path": str(folder / "model.img"),
        "bytes": len(file),
        "greeting": f"\r\n{compiled.model.name} on celosia\r\n> ",
        "prompt": PROMPT,
        "answer": api.run(model, chosen.config, prompt=PROMPT, count=LETTERS, device="golden").text,
        "bound": compiled.memory.streamed_bytes / word_bytes,
    }
