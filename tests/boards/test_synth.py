"""Synthesis: a small unit for real, what is read from the tools, and how wrong requests are refused."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from click.testing import CliRunner

from celosia.arch.config import load_config
from celosia.boards import tools
from celosia.boards.errors import SynthesisError
from celosia.boards.harness import TimingHarness
from celosia.boards.netlist import ECP5_RESOURCES, XCUP_RESOURCES, Count, Netlist, area
from celosia.boards.synth import TARGETS, Synthesis, synthesize
from celosia.boards.table import markdown, write_table
from celosia.boards.timing import CriticalPath, read_timing
from celosia.boards.units import ACCELERATOR, UNITS, Unit, find_unit
from celosia.cli import main
from celosia.sim.cache import cached_build


class Tiny(wiring.Component):
    """8 x 8 bits multiplied and added up: one multiplier, 16 flip-flops."""

    def __init__(self) -> None:
        super().__init__({"a": In(8), "b": In(8), "o": Out(16)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.o.eq(self.o + self.a * self.b)
        return m


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    class TinyUnit(Unit):
        def create(self, config: object) -> wiring.Component:
            return Tiny()

    monkeypatch.setitem(UNITS, "tiny", TinyUnit("", "", lambda interfaces: {}))


@pytest.mark.usefixtures("tiny")
def test_ecp5_gives_area_speed_and_path() -> None:
    """16 accumulator bits and nothing of the harness, which has 32 registers and 16 gates of its own."""
    result = synthesize(load_config("ecp5"), "tiny", "ecp5", cached=cached_build)
    assert (result.area.ff, result.area.dsp, result.area.block_ram, result.area.ram_lut) == (16, 1, 0, 0)
    assert result.area.lut == result.area.carry_lut == 16
    assert result.fmax_mhz is not None and 50 < result.fmax_mhz < 400
    path = result.critical_path
    assert path is not None
    assert path.start.startswith(("input a", "input b"))
    assert path.end.startswith("o[")
    assert path.levels > 1 and path.delay_ns == pytest.approx(1000 / result.fmax_mhz, rel=0.02)


@pytest.mark.usefixtures("tiny")
def test_xcup_gives_area_only() -> None:
    result = synthesize(load_config("ecp5"), "tiny", "xcup", cached=cached_build)
    assert (result.area.dsp, result.area.ff, result.area.lut) == (1, 16, 16)
    assert (result.fmax_mhz, result.critical_path) == (None, None)


@pytest.mark.usefixtures("tiny")
def test_command_prints_one_object() -> None:
    result = CliRunner().invoke(main, ["synth", "--config", "ecp5", "--unit", "tiny", "--target", "ecp5", "--json"])
    assert result.exit_code == 0, result.output
    names = "config unit target lut ff dsp block_ram carry_lut ram_lut fmax_mhz critical_path"
    printed = json.loads(result.stdout)
    assert " ".join(printed) == names
    assert " ".join(printed["critical_path"]) == "start end delay_ns routing_ns levels through"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--unit", "motor"], "celosia: unit 'motor' does not exist: choose one of float_add, "),
        (["--target", "asic"], "celosia: target 'asic' does not exist: choose one of ecp5, xcup"),
    ],
)
def test_wrong_names_are_refused(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["synth", *arguments])
    assert result.exit_code == 2
    assert result.stderr.startswith(message)
    assert result.stdout == "" and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("package", ["Yosys", "nextpnr-ecp5"])
def test_missing_tool_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tools, "find_spec", lambda name: None)
    run = tools.run_yosys if package == "Yosys" else tools.run_nextpnr
    with pytest.raises(SynthesisError, match=rf"^{package} not found: run `pip install 'celosia\[synth\]'`$"):
        run([], tmp_path, lambda: None)


def test_failing_tool_says_why(tmp_path: Path) -> None:
    with pytest.raises(SynthesisError, match=r"^Yosys failed: ERROR: .*no-such-file\.v"):
        tools.run_yosys(["read_verilog no-such-file.v"], tmp_path, lambda: None)


@pytest.mark.parametrize("name", [name for name in UNITS if name != ACCELERATOR])
def test_every_unit_can_be_created(name: str) -> None:
    """Names of the registry, against classes and parameters that others may rename."""
    component = find_unit(name).create(load_config("ecp5"))
    assert TimingHarness(component).component is component


def test_cells_are_counted_by_what_they_occupy() -> None:
    ecp5 = {"LUT4": 10, "CCU2C": 3, "TRELLIS_DPR16X4": 2, "TRELLIS_FF": 7, "MULT18X18D": 4, "DP16KD": 5, "PFUMX": 9}
    assert area(ecp5, ECP5_RESOURCES) == Count(lut=28, ff=7, dsp=4, block_ram=5, carry_lut=6, ram_lut=12)
    xcup = {"LUT6": 2, "LUT2": 3, "INV": 1, "FDRE": 5, "DSP48E2": 1, "RAMB18E2": 3, "SRL16E": 4, "CARRY8": 2}
    assert area(xcup, XCUP_RESOURCES) == Count(lut=10, ff=5, dsp=1, block_ram=1.5, carry_lut=0, ram_lut=4)


def test_paths_from_pins_do_not_count() -> None:
    def path(origin: str, delay: float) -> dict[str, object]:
        ends = {"from": {"cell": "x", "port": "Q"}, "to": {"cell": "y", "port": "D"}}
        return {"from": origin, "to": "posedge clk", "path": [{"type": "logic", "delay": delay, **ends}]}

    report = {
        "fmax": {"clk": {"achieved": 123.45}},
        "critical_paths": [path("<async>", 90.0), path("posedge clk", 8.1)],
    }
    fmax, slowest = read_timing(report, Netlist({"cells": {}, "netnames": {}}))
    assert fmax == pytest.approx(123.45, abs=0.06)
    assert slowest == CriticalPath(start="x Q", end="y D", delay_ns=8.1, routing_ns=0, levels=1, through=[])
    assert read_timing({"fmax": {}, "critical_paths": []}, Netlist({"cells": {}, "netnames": {}})) == (None, None)


def test_registers_are_called_as_we_call_them() -> None:
    names = ["unit.port[3]", "unit.sum_LUT4_Z_D[1]", "unit.deep.sum[3]"]
    nets = {name.split("[")[0]: {"hide_name": 0, "bits": [0, 0, 0, 7]} for name in names}
    cell = {"type": "TRELLIS_FF", "connections": {"Q": [7], "DI": [9]}}
    netlist = Netlist({"cells": {"unit.deep.sum_TRELLIS_FF_Q": cell}, "netnames": nets})
    assert netlist.register("unit.deep.sum_TRELLIS_FF_Q") == "unit.deep.sum[3]"
    assert netlist.register("no cell") is None


def test_table_says_which_units_are_slow(tmp_path: Path) -> None:
    count = Count(lut=5, ff=4, dsp=3, block_ram=2.5, carry_lut=1, ram_lut=0)
    path = CriticalPath(start="a", end="b", delay_ns=20.0, routing_ns=9.5, levels=7, through=[])
    fast, slow = (Synthesis("ecp5", name, "ecp5", count, fmax, path) for name, fmax in (("f", 80.0), ("s", 50.0)))
    text = markdown([fast, slow])
    assert "| s | ecp5 | 5 | 1 | 0 | 4 | 3 | 2.5 | 50.0 |" in text
    assert text.endswith("Units below 80 MHz:\n\n- s: `a` to `b`, 20 ns in 7 levels, 9.5 ns of it wires\n")
    assert markdown([fast]).endswith("Units below 80 MHz: none.\n")
    document = tmp_path / "document.md"
    document.write_text("no markers")
    with pytest.raises(SynthesisError, match=r"document\.md: no lines <!-- table -->"):
        write_table(document, cached=cached_build, progress=lambda done, total: None)


@pytest.mark.usefixtures("tiny")
def test_table_is_written_between_its_markers(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("before\n<!-- table -->\nold\n<!-- end of table -->\nafter\n")
    write_table(document, cached=cached_build, progress=lambda done, total: None, choices=[("tiny", "xcup")])
    text = document.read_text()
    assert text.startswith("before\n<!-- table -->\n| unit |") and text.endswith("<!-- end of table -->\nafter\n")
    assert "\n| tiny | xcup | 16 |" in text and "old" not in text


@pytest.mark.usefixtures("tiny")
def test_a_full_disk_leaves_the_document_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "document.md"
    before = "before\n<!-- table -->\nold\n<!-- end of table -->\nafter\n"
    document.write_text(before)
    write = Path.write_text

    def full(path: Path, text: str, **options: str) -> int:
        write(path, text[:10], **options)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    choices = [("tiny", "xcup")]
    with pytest.raises(OSError, match="No space left"):
        write_table(document, cached=cached_build, progress=lambda *_: None, choices=choices)
    assert document.read_text() == before
    assert list(tmp_path.iterdir()) == [document]


def test_targets_are_those_of_the_command() -> None:
    assert list(TARGETS) == ["ecp5", "xcup"]
