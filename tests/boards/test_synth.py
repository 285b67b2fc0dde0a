"""Synthesis: a small unit for real, what is read from the tools, and how wrong requests are refused."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from click.testing import CliRunner

from celosia.arch.config import load_config
from celosia.boards import synth, table, tools
from celosia.boards.errors import RoutingError, SynthesisError
from celosia.boards.families import TARGETS, Totals
from celosia.boards.harness import TimingHarness
from celosia.boards.netlist import Count
from celosia.boards.placement import Cached
from celosia.boards.synth import Synthesis, synthesize
from celosia.boards.table import markdown, targets_markdown, write_tables
from celosia.boards.timing import CriticalPath
from celosia.boards.units import ACCELERATOR, UNITS, Unit, find_unit
from celosia.cli import main
from celosia.sim.cache import cached_build

from .cache import cached_in


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
    assert result.clocks == {"clk": result.fmax_mhz}
    assert result.levels == 8  # 16 bits of carry, two a cell; the multiplier is where paths end
    deepest = result.deepest_path
    assert deepest is not None and deepest.start.startswith("$") and deepest.end.startswith("o")
    assert result.hint is not None and "no parameter" in result.hint


@pytest.mark.usefixtures("tiny")
def test_xcup_gives_area_only() -> None:
    result = synthesize(load_config("ecp5"), "tiny", "xcup", cached=cached_build)
    assert (result.area.dsp, result.area.ff, result.area.lut) == (1, 16, 16)
    assert (result.fmax_mhz, result.critical_path, result.deepest_path) == (None, None, None)


@pytest.mark.usefixtures("tiny")
def test_command_prints_one_object() -> None:
    result = CliRunner().invoke(main, ["synth", "--config", "ecp5", "--unit", "tiny", "--target", "ecp5", "--json"])
    assert result.exit_code == 0, result.output
    names = "config unit target device lut ff dsp block_ram carry_lut ram_lut totals levels deepest_path"
    printed = json.loads(result.stdout)
    assert " ".join(printed) == f"{names} fmax_mhz clocks critical_path hint refused seed"
    assert " ".join(printed["critical_path"]) == "start end delay_ns routing_ns levels through"


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("unlucky", "tried", "fmax", "refused", "shown", "seed", "row"),
    [
        ((), [1], 99.0, None, 99.0, 1, "| 99.0 |"),
        ((1,), [1, 2], 99.0, None, 99.0, 2, "| 99.0 (seed 2) |"),
        ((1, 2, 3), [1, 2, 3], None, "no way", "not routed: no way", None, "| not routed |"),
    ],
)
def test_placement_that_is_not_routed(
    unlucky: tuple[int, ...],
    tried: list[int],
    fmax: float | None,
    refused: str | None,
    shown: float | str,
    seed: int | None,
    row: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another one is tried, and none twice; area is said whether one is routed or not."""
    seeds: list[int] = []

    def place(*arguments: Any) -> None:
        options, folder = arguments[2], arguments[4]
        seeds.append(int(options[options.index("--seed") + 1]))
        if seeds[-1] in unlucky:
            raise RoutingError("no way")
        (folder / "result.json").write_text(json.dumps({"clocks": {"clk": 99.0}, "critical_path": None}))

    def cached(kind: str, *rest: Any) -> Path:
        return (cached_build if kind == "synthesis" else cached_in(tmp_path))(kind, *rest)

    monkeypatch.setattr(synth, "place", place)
    for _ in range(2):
        result = synthesize(load_config("ecp5"), "tiny", "ecp5", cached=cached)
    assert seeds == tried
    assert (result.fmax_mhz, result.refused, result.area.ff, result.seed) == (fmax, refused, 16, seed)
    assert result.rows()["fmax_mhz"] == shown and "refused" not in result.rows()
    text = markdown([result])
    assert text.splitlines()[2].endswith(row)
    assert text.endswith("MHz: none.\n" if fmax else "MHz:\n\n- tiny: no way\n")


@pytest.mark.usefixtures("tiny")
def test_command_prints_a_table_for_people() -> None:
    result = CliRunner().invoke(main, ["synth", "--config", "ecp5", "--unit", "tiny", "--target", "xcup"])
    assert result.exit_code == 0, result.output
    assert "tiny on XCK26" in result.stdout and "1 of 1,248 (0.1%)" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--unit", "motor"], "celosia: unit 'motor' does not exist: choose one of float_add, "),
        (["--target", "asic"], "celosia: target 'asic' does not exist: choose one of ecp5, ice40, "),
    ],
)
def test_wrong_names_are_refused(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["synth", *arguments])
    assert result.exit_code == 2
    assert result.stderr.startswith(message)
    assert result.stdout == "" and len(result.stderr.splitlines()) == 1


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("tool", ["Yosys", "nextpnr-ecp5", "nextpnr-himbaechel-gowin"])
def test_missing_tool_names_the_extra(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first of them runs: nobody waits for Yosys to hear that nextpnr is missing."""
    target, place = ("gowin" if "gowin" in tool else "ecp5"), tool != "Yosys"
    monkeypatch.setattr(tools, "find_spec", lambda name: None)
    with pytest.raises(SynthesisError, match=rf"^{tool} not found: run `pip install 'celosia\[synth\]'`$"):
        synthesize(load_config("ecp5"), "tiny", target, cached=cached_build, place=place)


@pytest.fixture
def uncached(tmp_path: Path) -> Cached:
    def build(kind: str, key: str, fill: Callable[[Path], None]) -> Path:
        fill(tmp_path)
        return tmp_path

    return build


@pytest.mark.usefixtures("tiny")
def test_log_without_levels(uncached: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synth, "run_yosys", lambda *_: "Executing LTP pass")
    with pytest.raises(
        SynthesisError, match=r"^pyosys \S+ prints no length of the longest path: install another version"
    ):
        synthesize(load_config("ecp5"), "tiny", "ecp5", cached=uncached, place=False)


@pytest.mark.parametrize("name", [name for name in UNITS if name != ACCELERATOR])
def test_every_unit_can_be_created(name: str) -> None:
    """Names of the registry, against classes and parameters that others may rename."""
    component = find_unit(name).create(load_config("ecp5"))
    assert TimingHarness(component).component is component


DOCUMENT = """before
<!-- table -->
old
<!-- end of table -->
between
<!-- targets -->
old
<!-- end of targets -->
after
"""


def _synthesis(unit: str, fmax: float | None, lut: int = 5) -> Synthesis:
    count = Count(lut=lut, ff=4, dsp=3, block_ram=2.5, carry_lut=1, ram_lut=0)
    path = None if fmax is None else CriticalPath("a", "b", delay_ns=20.0, routing_ns=9.5, levels=7, through=[])
    clocks = {} if fmax is None else {"clk": fmax}
    return Synthesis("ecp5", unit, "ecp5", "LFE", count, Totals(100, 100, 10, 10), 6, clocks, path, None)


def test_table_says_which_units_are_slow() -> None:
    fast, slow = _synthesis("f", 80.0), _synthesis("s", 50.0)
    text = markdown([fast, slow])
    assert "| s | ecp5 | 5 | 1 | 0 | 4 | 3 | 2.5 | 6 | 50.0 |" in text
    assert text.endswith("Units below 80 MHz:\n\n- s: `a` to `b`, 20 ns in 7 levels, 9.5 ns of it wires\n")
    assert markdown([fast]).endswith("Units below 80 MHz: none.\n")


def test_table_of_targets_says_what_does_not_fit() -> None:
    text = targets_markdown([_synthesis("f", 80.0, lut=20), _synthesis("g", None, lut=101)])
    assert "| f | ecp5 | ecp5 | LFE | 20 | 20.0% | 4 | 3 | 2.5 | 6 | 80.0 |" in text
    assert "| g | ecp5 | ecp5 | LFE | 101 | 101.0% | 4 | 3 | 2.5 | 6 | too large: lut 101 of 100 |" in text


@pytest.mark.parametrize("marker", ["<!-- table -->", "<!-- end of table -->", "<!-- end of targets -->"])
def test_document_without_a_marker_is_refused(tmp_path: Path, marker: str) -> None:
    document = tmp_path / "document.md"
    document.write_text(DOCUMENT.replace(marker, ""))
    with pytest.raises(SynthesisError, match=r"document\.md: no lines <!-- t"):
        write_tables(document, cached=cached_build, progress=lambda done, total, text: None)
    assert document.read_text() == DOCUMENT.replace(marker, "")


@pytest.mark.usefixtures("tiny")
def test_tables_are_written_between_their_markers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CHOICES", [("tiny", "xcup")])
    monkeypatch.setattr(table, "over_targets", lambda: [(load_config("ecp5"), "tiny", ("xc7",))])
    document = tmp_path / "document.md"
    document.write_text(DOCUMENT)
    write_tables(document, cached=cached_build, progress=lambda done, total, text: None)
    text = document.read_text()
    assert text.startswith("before\n<!-- table -->\n| unit |")
    assert "<!-- end of table -->\nbetween\n<!-- targets -->" in text
    assert "\n| tiny | xcup | 16 |" in text and "\n| tiny | ecp5 | xc7 | XC7A100T | 0 |" in text and "old" not in text
    assert text.endswith("<!-- end of targets -->\nafter\n")


@pytest.mark.usefixtures("tiny")
def test_one_row_is_renewed_at_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CHOICES", [("tiny", "xcup")])
    document = tmp_path / "document.md"
    others = [_synthesis("first", 70.0), _synthesis("last", 90.0)]
    lines = markdown(others).splitlines(keepends=True)
    lines.insert(3, "| tiny | xcup | 99 | 0 | 0 | 0 | 0 | 0 | 0 | - |\n")
    document.write_text(DOCUMENT.replace("old\n", "".join(lines), 1))
    write_tables(document, cached=cached_build, progress=lambda done, total, text: None, unit="tiny")
    rows = [line.split(" |")[0] for line in document.read_text().splitlines() if line.startswith("| ")]
    assert rows == ["| unit", "| first", "| tiny", "| last"]
    text = document.read_text()
    assert "| tiny | xcup | 16 |" in text and "| 99 |" not in text and "- first: `a` to `b`" in text


@pytest.mark.usefixtures("tiny")
def test_rows_of_targets_are_renewed_with_their_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config("ecp5")
    monkeypatch.setattr(table, "CHOICES", [("tiny", "xcup")])
    targets = [(config, "first", ("ecp5",)), (config, "tiny", ("xcup", "xc7")), (config, "never", ("ecp5",))]
    monkeypatch.setattr(table, "over_targets", lambda: targets)
    document = tmp_path / "document.md"
    lines = [*targets_markdown([_synthesis("first", 70.0)]).splitlines(), "| tiny | ecp5 | xc7 | A | 99 |", "| gone |"]
    before, _, after = DOCUMENT.rpartition("old\n")
    document.write_text(before + "\n".join(lines) + "\n" + after)
    write_tables(document, cached=cached_build, progress=lambda done, total, text: None, unit="tiny")
    _, renewed, _ = table.part(document, table.TARGETS_BEGIN, table.TARGETS_END)
    rows = [row.split(" | ")[:5] for row in renewed.splitlines()[3:]]
    assert [row[:3] for row in rows] == [
        ["| first", "ecp5", "ecp5"],
        ["| tiny", "ecp5", "xcup"],
        ["| tiny", "ecp5", "xc7"],
    ]
    assert rows[0][4] == "5" and rows[1][4] == "16" and rows[2][4] == "0"


def test_a_full_disk_leaves_the_document_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "document.md"
    document.write_text(DOCUMENT)
    monkeypatch.setattr(table, "CHOICES", [])
    write = Path.write_text

    def full(path: Path, text: str, **options: str) -> int:
        write(path, text[:10], **options)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match=rf"No space left.*{document}"):
        write_tables(document, cached=cached_build, progress=lambda *_: None)
    assert document.read_text() == DOCUMENT
    assert list(tmp_path.iterdir()) == [document]


def test_targets_are_those_of_the_command() -> None:
    assert list(TARGETS) == ["ecp5", "ice40", "nexus", "gowin", "gw5a", "gatemate", "xcup", "xc7"]
