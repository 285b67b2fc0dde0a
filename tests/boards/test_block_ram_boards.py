"""The designs of bitstreams with all memory in block RAM, from pin to pin: a prompt into the serial port, the golden
machine's text out."""

from pathlib import Path

import pytest

from celosia import api
from celosia.boards.board import find_board
from celosia.boards.boot import memory_words
from celosia.boards.build import design
from celosia.driver.compiler import compile_model

from ..harness.runner import run_bench

CELLS = {"ulx3s": ("cells.v", "pll.v"), "tang-mega-138k": ("cells_gowin.v",)}
"""Files beside this one, by board."""
PINS = {
    "ulx3s": {"clock": "clk25_0__io", "ones": ["esp32_0__gpio0__io"], "lit": 1},
    "tang-mega-138k": {"clock": "clk50_0__io", "ones": [], "lit": 0},
}
"""By board: the clock's, those that are always 1, and what a LED's is when it is lit."""
PROMPTS = ("The cat", "One day ")
LETTERS = 40
"""Of the golden machine's answers; the bench breaks off earlier."""


@pytest.mark.parametrize("name", CELLS)
def test_console_says_what_the_golden_machine_says(name: str) -> None:
    board, model = find_board(name), api.load()
    config = board.config
    answers = [api.run(model, config, prompt=prompt, count=LETTERS, device="golden").text for prompt in PROMPTS]
    compiled = compile_model(model, config)
    source, _ = design(board, contents=memory_words(compiled, board.memory_bytes))
    source += "".join(Path(__file__).with_name(cells).read_text() for cells in CELLS[name])
    parameters = {
        "prompts": PROMPTS,
        "answers": answers,
        "model": compiled.model.name,
        "clock_hz": config.control.clock_mhz * 1e6,
        "bound": compiled.memory.streamed_bytes / (config.bus.data_bits // 8),
        "pins": PINS[name],
    }
    run_bench(source, "tests.boards.bench_block_ram_boards", name=name, parameters=parameters)
