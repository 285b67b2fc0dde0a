"""`vivado.tcl` in a real Tcl, with Vivado's commands replaced by ones that write down how they were called."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from celosia.arch.config import AcceleratorConfig

from ...harness.tcl import tkinter

PART = "xcu280-fsvh2892-2L-e"
ANSWERS = {
    "current_project": "project_1",
    "current_fileset": "sources_1",
    "ipx::open_core": "core_1",
    "get_ipdefs": "celosia:ip:celosia:0.1",
}
"""What Vivado's commands return, as far as the script looks at it."""

COMMANDS = [
    "create_project",
    "add_files",
    "set_property",
    "update_compile_order",
    "synth_design",
    "report_utilization",
    "report_timing_summary",
    "write_checkpoint",
    "close_design",
    "close_project",
    "update_ip_catalog",
    "current_project",
    "current_fileset",
    "get_ipdefs",
    "ipx::open_core",
    "ipx::create_xgui_files",
    "ipx::update_checksums",
    "ipx::check_integrity",
    "ipx::save_core",
]


def run(folder: Path, *arguments: str, **answers: str) -> list[tuple[str, ...]]:
    """Every call of a command of Vivado, in order; a command that is none of them is an error of Tcl."""
    tcl = tkinter.Tcl()
    tcl.eval("namespace eval ipx {}; set calls {}; rename puts {}; proc puts args {}")
    for command in COMMANDS:
        answer = {**ANSWERS, **answers}.get(command, "")
        tcl.eval(f"proc {command} args {{ lappend ::calls [list {command} {{*}}$args]; return {{{answer}}} }}")
    tcl.setvar("argv", arguments)
    tcl.call("source", str(folder / "vivado.tcl"))
    # As text: Tcl's own objects do not compare with strings.
    return [tcl.splitlist(call) for call in tcl.splitlist(tcl.eval("set calls"))]


def test_the_script_is_complete(folder: Path) -> None:
    script = (folder / "vivado.tcl").read_text()
    assert tkinter.Tcl().call("info", "complete", script)
    assert "{{" not in script


def test_what_it_asks_of_vivado(folder: Path) -> None:
    out = folder / "vivado"
    asked = [call for call in run(folder, PART) if not call[0].startswith(("current_", "get_"))]
    assert asked == [
        ("create_project", "-force", "celosia", f"{out}/project", "-part", PART),
        ("add_files", "-norecurse", f"{folder}/celosia.v"),
        ("add_files", "-fileset", "constrs_1", "-norecurse", f"{folder}/celosia.xdc"),
        ("set_property", "top", "celosia", "sources_1"),
        ("update_compile_order", "-fileset", "sources_1"),
        ("synth_design", "-top", "celosia", "-part", PART, "-mode", "out_of_context"),
        ("report_utilization", "-file", f"{out}/utilization.rpt"),
        ("report_utilization", "-hierarchical", "-file", f"{out}/utilization_hierarchical.rpt"),
        ("report_timing_summary", "-max_paths", "10", "-file", f"{out}/timing.rpt"),
        ("write_checkpoint", "-force", f"{out}/celosia.dcp"),
        ("close_design",),
        ("ipx::open_core", f"{out}/ip/component.xml"),
        ("ipx::create_xgui_files", "core_1"),
        ("ipx::update_checksums", "core_1"),
        ("ipx::check_integrity", "core_1"),
        ("ipx::save_core", "core_1"),
        ("set_property", "ip_repo_paths", f"{out}/ip", "project_1"),
        ("update_ip_catalog", "-rebuild"),
        ("close_project",),
    ]


def test_the_files_that_it_reads_are_there(folder: Path) -> None:
    read = [call[-1] for call in run(folder, PART) if call[0] in ("add_files", "ipx::open_core")]
    assert [Path(name).is_file() for name in read] == [True] * 3
    assert {path.name for path in (folder / "vivado" / "ip").iterdir()} == {"celosia.v", "component.xml"}


def test_a_second_run_writes_over_the_first(folder: Path) -> None:
    assert run(folder, PART) == run(folder, PART)


def test_folders_with_spaces(folder: Path) -> None:
    moved = folder.rename(folder.with_name("my [designs] $x"))
    assert run(moved, PART)[1] == ("add_files", "-norecurse", f"{moved}/celosia.v")


@pytest.mark.parametrize("arguments", [(), (PART, "more")])
def test_a_wrong_call_says_how(folder: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(tkinter.TclError, match=r"^one argument, the part: vivado -mode batch .* -tclargs PART$"):
        run(folder, *arguments)
    assert not (folder / "vivado").exists()


def test_an_ip_that_vivado_does_not_take_is_an_error(folder: Path) -> None:
    with pytest.raises(tkinter.TclError, match=r"^Vivado did not take the IP"):
        run(folder, PART, get_ipdefs="")


def test_the_catalog_is_asked_for_what_the_component_is(folder: Path) -> None:
    component = (folder / "component.xml").read_text()
    identity = [re.search(rf"<spirit:{tag}>(.*?)<", component)[1] for tag in ("vendor", "library", "name", "version")]
    assert ("get_ipdefs", ":".join(identity)) in run(folder, PART)


def test_the_clock_is_that_of_the_config(folder: Path, config: AcceleratorConfig) -> None:
    asked = (folder / "celosia.xdc").read_text()
    period = re.fullmatch(r"create_clock -name clk -period (\d+\.\d{3}) \[get_ports clk\]\n", asked)[1]
    assert float(period) == pytest.approx(1000 / config.control.clock_mhz, abs=5e-4)
