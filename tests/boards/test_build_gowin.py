"""From a model to a bitstream of a Gowin FPGA: a small design on the Tang Mega's pins, placed and routed for real."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import pytest

from celosia.boards import tools
from celosia.boards.apicula import ROWS, content
from celosia.boards.board import BOARDS, Board
from celosia.boards.boot import memory_words
from celosia.boards.build import build
from celosia.boards.contents import lanes
from celosia.boards.errors import SynthesisError
from celosia.boards.gw5a import arrange, block_ram_places, memory_blocks
from celosia.boards.memories import BlockRam
from celosia.boards.tang_mega import TangMegaPlatform
from celosia.driver.compiler import compile_model
from celosia.sim.cache import cached_build

from .test_build import Probe, byte_model

TANG = BOARDS["tang-mega-138k"]
BLOCKS = 32
"""Block RAMs of a large bank."""


@dataclass(frozen=True)
class SmallGowinBoard(Board):
    """The real one's pins, and a memory that fits a small model."""

    def make(self, **arguments: Any) -> tuple[Any, Any]:
        return TangMegaPlatform(), Probe(self.config, **self.memory.design(self.config))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> str:
    real = {field.name: getattr(TANG, field.name) for field in fields(Board)}
    board = SmallGowinBoard(**{**real, "memory": BlockRam(columns=BLOCKS // 8), "memories": ()})
    monkeypatch.setitem(BOARDS, "small", board)
    return "small"


def without_contents(design: dict[str, Any]) -> dict[str, Any]:
    """A placed design without what block RAMs hold."""
    cells = design["modules"]["top"]["cells"]
    for cell in cells.values():
        cell["parameters"] = {name: value for name, value in cell["parameters"].items() if name not in ROWS}
    return design


def test_second_model_changes_block_rams_only(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second build runs neither Yosys nor nextpnr; what gowin_pack gets holds the model, byte by byte, a word's
    bits in a row, and what it makes differs where block RAM contents stand, behind all rows of the chip."""
    ran: list[str] = []
    run = tools._run
    monkeypatch.setattr(tools, "_run", lambda tool, *rest: (ran.append(tool), run(tool, *rest))[1])
    designs, bitstreams = [], []
    places = block_ram_places()
    for number, steps in ((1, None), (2, ["gowin_pack"])):
        model, folder = byte_model(number), tmp_path / str(number)
        ran.clear()
        built = build(small, model, folder, cached=cached_build)
        assert steps in (None, ran)
        assert {file.name for file in folder.iterdir()} == set(built.files)
        assert (built.area.block_ram, built.goal_mhz) == (BLOCKS, TANG.config.control.clock_mhz)
        assert built.fmax_mhz > built.goal_mhz
        design = json.loads((folder / "small.pnr.json").read_text())
        cells = design["modules"]["top"]["cells"].values()
        memory = {content(cell): cell["attributes"]["NEXTPNR_BEL"] for cell in cells if ROWS[0] in cell["parameters"]}
        words = memory_words(compile_model(model, TANG.config), BOARDS[small].memory_bytes)
        numbers = [places.index(memory.pop(lane)) for lane in lanes(words, 64)]
        assert memory == {}
        assert {after - before for before, after in pairwise(numbers)} == {10, 11}, "340 places for 32"
        designs.append(without_contents(design))
        bitstreams.append((folder / "small.fs").read_text().splitlines())
    assert designs[0] == designs[1]
    first, second = bitstreams
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=True)))
    assert ROWS_OF_THE_CHIP < same < len(first)


ROWS_OF_THE_CHIP = 2000
"""Lines of a bitstream, at least, before those of block RAM contents."""


def test_places_of_a_memory() -> None:
    """Banks one behind the other, bits of a word in their order, though names sort otherwise; no other block RAM."""
    names = [f"system.memory.bank_{bank}.0.{lane}" for bank in range(2) for lane in range(32)]
    other = "system.tail.words.0.0"
    cells: dict[str, Any] = {name: {"attributes": {}} for name in [*sorted(names), other]}
    arrange(memory_blocks(cells), [f"place {number}" for number in range(96)])
    places = {name: cell["attributes"].get("BEL") for name, cell in cells.items()}
    assert places == {other: None, **{name: f"place {index * 3 // 2}" for index, name in enumerate(names)}}


def test_block_rams_of_the_device() -> None:
    """As many as a GW5AST-138C has."""
    assert len(set(block_ram_places())) == TANG.family.totals.block_ram


def test_missing_apicula_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything runs."""
    monkeypatch.setattr(tools, "find_spec", lambda name: None if name == "apycula" else True)
    with pytest.raises(SynthesisError, match=r"^apycula not found: run `pip install 'celosia\[synth\]'`$"):
        build("tang-mega-138k", byte_model(1), tmp_path / "out", cached=cached_build)
