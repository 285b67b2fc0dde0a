"""FuseSoC itself reads the core of a board and sets up what makes its bitstream, as `celosia build` calls the tools."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from celosia.boards.board import BOARDS
from celosia.boards.flows.board_core import board_core, memory_script
from celosia.boards.trellis import Trellis

from ...harness.tcl import tkinter
from .test_fusesoc import fusesoc

ECP5 = [name for name, board in BOARDS.items() if isinstance(board.flow, Trellis)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """All boards' cores, without their Verilog."""
    place = tmp_path / "built"
    for name, board in BOARDS.items():
        (place / name).mkdir(parents=True)
        (place / name / f"{name}.core").write_text(board_core(name, board, "top"))
        (place / name / f"{name}.tcl").write_text(memory_script(board, "top"))
        for ending in ("v", board.flow.constraints):
            (place / name / f"{name}.{ending}").write_text("")
    return place


@pytest.mark.parametrize("name", BOARDS)
def test_targets_are_listed(name: str, place: Path) -> None:
    shown = fusesoc(place, "core", "show", f"celosia:board:{name}")
    targets = shown.partition("Targets:")[2].split("\n\n")[0]
    expected = ["bitstream", "default"] if name in ECP5 else ["default"]
    assert sorted(line.split(":")[0].split()[0] for line in targets.strip().splitlines()) == expected
    assert f"Accelerator for large language models on {BOARDS[name].title}" in shown


@pytest.mark.parametrize("name", ECP5)
def test_a_bitstream_is_made_as_by_celosia(name: str, place: Path, tmp_path: Path) -> None:
    board, work = BOARDS[name], tmp_path / "work"
    fusesoc(place, "run", "--target", "bitstream", "--setup", "--work-root", str(work), f"celosia:board:{name}")
    makefile = (work / "Makefile").read_text()
    (line,) = [line for line in makefile.splitlines() if "nextpnr-ecp5" in line and "--gui" not in line]
    nextpnr = shlex.split(line.partition("nextpnr-ecp5")[2])
    design = next(work.glob("*.eda.yml")).name.removesuffix(".eda.yml")
    files = {"pins.lpf": next(word for word in nextpnr if word.endswith(".lpf")), "placed.config": f"{design}.config"}
    assert (work / files["pins.lpf"]).resolve().name == f"{name}.lpf"
    wanted = [files.get(word, word) for word in [*board.family.placement.arguments, *board.flow.arguments]]
    wanted += ["--freq", f"{board.config.control.clock_mhz:g}", "-l", "next.log", "--json", f"{design}.json"]
    assert sorted(nextpnr) == sorted(wanted)
    assert " ".join(board.family.placement.arguments) in line, "each with its value"
    assert re.search(rf"ecppack --compress {design}\.config {design}\.bit", makefile)
    script = "".join(path.read_text() for path in sorted(work.glob("edalize_yosys_*.tcl")))
    assert f"{board.family.synthesis} -top $top" in script
    read = re.findall(r"(read_verilog|source) \{(.*)\}", script)
    assert [(command, Path(file).name) for command, file in read] == [
        ("read_verilog", f"{name}.v"),
        ("source", f"{name}.tcl"),
    ]


@pytest.mark.parametrize("name", BOARDS)
def test_memories_are_chosen_as_by_celosia(name: str, place: Path) -> None:
    """In a real Tcl, with Yosys replaced by what writes down how it was called."""
    tcl = tkinter.Tcl()
    tcl.eval("set calls {}; proc yosys args { lappend ::calls [join $args] }")
    tcl.call("source", str(place / name / f"{name}.tcl"))
    assert list(tcl.splitlist(tcl.eval("set calls"))) == ["hierarchy -top top", *BOARDS[name].attributes]
