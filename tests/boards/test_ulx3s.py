"""The design of the ULX3S's bitstream from pin to pin: a prompt into the serial port, the golden machine's text out."""

from pathlib import Path

from celosia import api
from celosia.boards.board import find_board
from celosia.boards.boot import memory_words
from celosia.boards.build import design
from celosia.driver.compiler import compile_model

from ..harness.runner import run_bench

CELLS = tuple(Path(__file__).with_name(name) for name in ("cells.v", "pll.v"))
PROMPTS = ("The cat", "One day ")
LETTERS = 40
"""Of the golden machine's answers; the bench breaks off earlier."""


def test_console_says_what_the_golden_machine_says() -> None:
    board, model = find_board("ulx3s"), api.load()
    config = board.config
    answers = [api.run(model, config, prompt=prompt, count=LETTERS, device="golden").text for prompt in PROMPTS]
    compiled = compile_model(model, config)
    source, _ = design(board, contents=memory_words(compiled, board.memory_bytes))
    source += "".join(cells.read_text() for cells in CELLS)
    parameters = {
        "prompts": PROMPTS,
        "answers": answers,
        "model": compiled.model.name,
        "clock_hz": config.control.clock_mhz * 1e6,
        "bound": compiled.memory.streamed_bytes / (config.bus.data_bits // 8),
    }
    run_bench(source, "tests.boards.bench_ulx3s", name="ulx3s", parameters=parameters)
