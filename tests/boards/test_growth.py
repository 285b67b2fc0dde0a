"""No unit takes 5 % more LUTs or DSPs than the table in `docs/synthesis.md` says: here the small ones.

They synthesize in seconds; `celosia synth --check docs/synthesis.md` does it for all.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from celosia.boards.check import Committed, Growth, grown, read_table
from celosia.boards.errors import SynthesisError
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
    "dot",
    "quantizer",
    "top_k",
    "matmul_sequencer",
    "block_table",
    "scale_fifo",
)


@pytest.mark.parametrize("unit", SMALL)
def test_unit_has_not_grown(unit: str) -> None:
    rows = read_table(TABLE, unit)
    too_large = grown(rows, cached=cached_build)
    remedy = f"smaller again, or its row renewed: celosia synth --unit {unit} --table docs/synthesis.md"
    assert not too_large, f"{too_large[0]}; make it {remedy}"


def test_growth_is_found() -> None:
    """The same unit against tables that say 6 % less of one thing."""
    (row,) = read_table(TABLE, "float_multiply")
    for smaller in (replace(row, lut=int(row.lut * 0.94)), replace(row, dsp=row.dsp * 0.94)):
        assert grown([smaller], cached=cached_build)
    assert not grown([replace(row, lut=int(row.lut * 0.96))], cached=cached_build)


def test_five_percent_are_allowed() -> None:
    row = Committed("u", "ecp5", lut=100, dsp=20)
    assert not Growth(row, lut=105, dsp=21).too_much
    assert Growth(row, lut=106, dsp=20).too_much
    assert Growth(row, lut=50, dsp=21.5).too_much
    assert str(Growth(row, lut=106, dsp=20)) == "u on ecp5: 100 LUT, 20 DSP in the table, 106, 20 now"


def test_command_says_what_has_grown(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text(TABLE.read_text())
    arguments = ["synth", "--unit", "float_multiply", "--check", str(document)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    (row,) = read_table(document, "float_multiply")
    text = document.read_text()
    start = text.index("| float_multiply | ecp5 |")
    line = text[start : text.index("\n", start)]
    document.write_text(text.replace(line, line.replace(f"| {row.lut} |", f"| {row.lut // 2} |")))
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1 and result.stdout == ""
    assert (
        result.stderr == f"celosia: float_multiply on ecp5: {row.lut // 2} LUT, 4 DSP in the table, {row.lut}, 4 now\n"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("<!-- table -->", ""), r"document\.md: no lines <!-- table -->"),
        (
            ("| float_add | ecp5 | ", "| float_add | ecp5 | many "),
            r"document\.md: not a row of the table: \| float_add",
        ),
        (("| float_add | ecp5 |", "| other | ecp5 |"), r"document\.md: no row of unit 'float_add' in its table: write"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    document = tmp_path / "document.md"
    document.write_text(TABLE.read_text().replace(*change))
    with pytest.raises(SynthesisError, match=message):
        read_table(document, "float_add")
