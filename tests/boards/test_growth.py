"""No unit takes 5 % more LUTs or DSPs than the tables in `docs/synthesis.md` say, or so much less: here the small ones.

They synthesize in seconds; `celosia synth --check docs/synthesis.md` does it for all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from celosia.arch.config import load_config
from celosia.boards.check import Change, Committed, changed, read_tables
from celosia.boards.errors import SynthesisError
from celosia.boards.synth import synthesize
from celosia.boards.table import BEGIN, CHOICES, END, PRESET, TARGETS_BEGIN, TARGETS_END, over_targets, part
from celosia.cli import main
from celosia.sim.cache import cached_build

TABLE = Path(__file__).parents[2] / "docs" / "synthesis.md"
SMALL = (
    "float_add",
    "float_multiply",
    "fixed_to_float",
    "float_to_fixed",
    "exp2",
    "reciprocal",
    "reciprocal_sqrt",
    "sine_cosine",
    "dot",
    "quantizer",
    "top_k",
    "matmul_sequencer",
    "gate",
    "walker",
    "attention_output",
    "block_table",
    "row_reader",
    "row_writer",
    "scale_fifo",
    "job_start",
    "token_memory",
    "counters",
    "saturation",
)
NORM_LUT = 1500
"""What the row statistics may take on `xcup`, whatever the table says."""


def same_everywhere(unit: str, config: str, target: str) -> Committed:
    """The row of a unit, which may stand in both tables."""
    found = {row for row in read_tables(TABLE, unit) if (row.config, row.target) == (config, target)}
    assert len(found) == 1, f"{unit} on {target}, {config}: {found or 'no row'}; renew it with celosia synth --table"
    return found.pop()


@pytest.mark.parametrize(("unit", "target"), [*((unit, "ecp5") for unit in SMALL), ("norm", "xcup")])
def test_unit_is_as_large_as_its_row_says(unit: str, target: str) -> None:
    wrong = changed([same_everywhere(unit, PRESET, target)], cached=cached_build)
    assert not wrong, str(wrong[0])


def test_row_statistics_reach_their_goal() -> None:
    area = synthesize(load_config(PRESET), "norm", "xcup", cached=cached_build, place=False).area
    assert max(area.lut, same_everywhere("norm", PRESET, "xcup").lut) <= NORM_LUT


def test_document_has_a_row_for_each_choice() -> None:
    """And no other: in the table of units, and in that of targets; what stands in both is the same."""

    def rows(begin: str, end: str, columns: Sequence[int]) -> list[tuple[str, ...]]:
        lines = [line for line in part(TABLE, begin, end)[1].splitlines() if line.startswith("| ")]
        return sorted(tuple(line.split("|")[column].strip() for column in columns) for line in lines[1:])

    over = [(unit, config.name, target) for config, unit, targets in over_targets() for target in targets]
    for found, wanted in (
        (rows(BEGIN, END, (1, 2)), sorted(CHOICES)),
        (rows(TARGETS_BEGIN, TARGETS_END, (1, 2, 3)), sorted(over)),
    ):
        assert found == wanted, f"missing or too many: {set(found) ^ set(wanted)}; celosia synth --table writes all"
    for unit, target in CHOICES:
        same_everywhere(unit, PRESET, target)


def test_change_is_found() -> None:
    """The same unit against tables that say 6 % less of one thing, or more."""
    (row,) = read_tables(TABLE, "float_multiply")
    for factor, grown in ((0.94, True), (1.07, False)):
        for other in (replace(row, lut=int(row.lut * factor)), replace(row, dsp=row.dsp * factor)):
            (change,) = changed([other], cached=cached_build)
            assert (change.grown, change.shrunk) == (grown, not grown)
    for factor in (0.96, 1.04):
        assert not changed([replace(row, lut=int(row.lut * factor))], cached=cached_build)


def test_row_of_another_config() -> None:
    """Its own config is synthesized: a multiplier of `kria` is of other parts, in another number of LUTs."""
    row = Committed("float_multiply", "ecp5", 1, 4, "kria")
    (change,) = changed([row], cached=cached_build)
    now = synthesize(load_config("kria"), "float_multiply", "ecp5", cached=cached_build, place=False).area
    assert change.lut == now.lut != same_everywhere("float_multiply", PRESET, "ecp5").lut
    with pytest.raises(SynthesisError, match=r"^config 'gone' of a row does not exist: choose one of ecp5, "):
        changed([replace(row, config="gone")], cached=cached_build)


def test_five_percent_are_allowed() -> None:
    row = Committed("u", "ecp5", lut=100, dsp=20)
    for now in (Change(row, lut=105, dsp=21), Change(row, lut=96, dsp=19.1)):
        assert not now.grown and not now.shrunk
    assert Change(row, lut=106, dsp=20).grown
    assert Change(row, lut=50, dsp=21.5).grown
    assert Change(row, lut=95, dsp=20).shrunk
    assert Change(row, lut=100, dsp=19).shrunk


def test_change_says_what_to_do() -> None:
    row, renew = Committed("u", "ecp5", lut=100, dsp=20), "renew the row with `celosia synth --unit u --table FILE`"
    assert str(Change(row, lut=106, dsp=20)) == (
        f"u on ecp5: 100 LUT, 20 DSP in the table, 106, 20 now: make it smaller or {renew}"
    )
    assert str(Change(replace(row, config="kria"), lut=50, dsp=20)) == (
        f"u on ecp5 with config 'kria': 100 LUT, 20 DSP in the table, 50, 20 now: {renew}"
    )


def compare(document: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["synth", "--unit", "float_multiply", "--check", str(document), *options])


def test_command_says_that_all_is_well() -> None:
    result = compare(TABLE)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{TABLE}: 1 row checked, all within 5 % of LUTs and DSPs\n"
    result = compare(TABLE, "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"rows": 1, "changed": []})


def test_command_says_what_has_changed(tmp_path: Path) -> None:
    """Grown by the table of units, smaller by the table of targets."""
    document, row = tmp_path / "document.md", same_everywhere("float_multiply", PRESET, "ecp5")
    half, twice = row.lut // 2, row.lut * 2
    text = TABLE.read_text().replace(f"| float_multiply | ecp5 | {row.lut} |", f"| float_multiply | ecp5 | {half} |")
    head, begin, after = text.partition("| dot | ecp5 | ecp5 |")
    document.write_text(
        f"{head}| float_multiply | ecp5 | ecp5 | LFE | {twice} | 1% | 1 | 4 | 0 | 1 | - |\n{begin}{after}"
    )
    renew = "renew the row with `celosia synth --unit float_multiply --table FILE`"
    lines = [
        f"celosia: float_multiply on ecp5: {lut} LUT, 4 DSP in the table, {row.lut}, 4 now: {remedy}"
        for lut, remedy in ((half, f"make it smaller or {renew}"), (twice, renew))
    ]
    result = compare(document)
    assert (result.exit_code, result.stdout, result.stderr.splitlines()) == (1, "", lines)
    result = compare(document, "--json")
    assert (result.exit_code, result.stderr.splitlines()) == (1, lines)
    shown = json.loads(result.stdout)
    names = {"unit": "float_multiply", "target": "ecp5", "dsp": 4, "config": "ecp5", "lut_now": row.lut, "dsp_now": 4}
    assert shown == {
        "rows": 2,
        "changed": [{**names, "lut": half, "grown": True}, {**names, "lut": twice, "grown": False}],
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--check", "f", "--target", "xcup"), "--check does not go with --target"),
        (("--check", "f", "--config", "kria"), "--check does not go with --config"),
        (("--table", "f", "--config", "kria", "--target", "ecp5"), "--table does not go with --config and --target"),
        (("--table", "f", "--json"), "--table does not go with --json"),
        (("--table", "f", "--check", "g"), "--table does not go with --check"),
    ],
)
def test_options_that_exclude_each_other(options: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(main, ["synth", *options])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"celosia: {message}; see `") and result.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--check", "--table"])
def test_file_that_is_no_text(option: str, tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_bytes(b"<!-- \xff")
    result = CliRunner().invoke(main, ["synth", option, str(document)])
    line = f"celosia: {document}: byte 5 is not UTF-8: give the document with the tables\n"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", line)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("<!-- table -->", ""), r"document\.md: no lines <!-- table -->"),
        (("<!-- targets -->", ""), r"document\.md: no lines <!-- targets -->"),
        (
            ("| float_add | ecp5 | ", "| float_add | ecp5 | many "),
            r"document\.md: not a row of the table: \| float_add",
        ),
        (
            ("| float_add | ecp5 |", "| other | ecp5 |"),
            r"document\.md: no row of unit 'float_add' in its tables: write",
        ),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    document = tmp_path / "document.md"
    document.write_text(TABLE.read_text().replace(*change))
    with pytest.raises(SynthesisError, match=message):
        read_tables(document, "float_add")


@pytest.mark.parametrize("table", ["", "| unit | target | LUT | DSP |\n|---|---|---|---|\n"])
def test_empty_tables_are_refused(tmp_path: Path, table: str) -> None:
    document = tmp_path / "document.md"
    document.write_text(f"{BEGIN}\n{table}{END}\n{TARGETS_BEGIN}\n{TARGETS_END}\n")
    with pytest.raises(SynthesisError, match=r"document\.md: no row in its tables: write it with"):
        read_tables(document)
