"""Has a unit grown? LUTs and DSPs now against those of the committed table (`docs/synthesis.md`)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..arch.config import load_config
from .errors import SynthesisError
from .synth import Cached, Progress, synthesize
from .table import BEGIN, END, PRESET, part

ALLOWED = 1.05
"""A unit may grow by 5 %."""


@dataclass(frozen=True)
class Committed:
    """LUTs and DSPs of a row of the table."""

    unit: str
    target: str
    lut: int
    dsp: float


@dataclass(frozen=True)
class Growth:
    """What a unit took and what it takes."""

    committed: Committed
    lut: int
    dsp: float

    @property
    def too_much(self) -> bool:
        """More than allowed: of LUTs or of DSPs."""
        return self.lut > ALLOWED * self.committed.lut or self.dsp > ALLOWED * self.committed.dsp

    def __str__(self) -> str:
        row = self.committed
        return f"{row.unit} on {row.target}: {row.lut} LUT, {row.dsp:g} DSP in the table, {self.lut}, {self.dsp:g} now"


def read_table(file: Path, unit: str | None = None) -> list[Committed]:
    """The rows of a document's table of units, or those of one unit.

    Raises:
        SynthesisError: there is none, or a row of it cannot be read.
    """
    rows = [row for row in _rows(file) if unit in (None, row.unit)]
    if not rows:
        raise SynthesisError(f"{file}: no row of unit {unit!r} in its table: write it with `celosia synth --table`")
    return rows


def _rows(file: Path) -> Iterator[Committed]:
    table = part(file, BEGIN, END)[1].split("\n\n")[0]
    header, _, *rows = table.strip().splitlines() or ["", ""]
    columns = [name.strip() for name in header.split("|")]
    for row in rows:
        cells = dict(zip(columns, (cell.strip() for cell in row.split("|")), strict=False))
        try:
            yield Committed(cells["unit"], cells["target"], int(cells["LUT"]), float(cells["DSP"]))
        except (KeyError, ValueError):
            raise SynthesisError(f"{file}: not a row of the table: {row}") from None


def grown(
    rows: Sequence[Committed], *, cached: Cached, progress: Progress = lambda done, total, text: None
) -> list[Growth]:
    """Synthesize the units of some rows, without placing them, and return those that have grown by too much.

    Raises:
        SynthesisError: a unit of the table does not exist any more, or cannot be synthesized.
    """
    config, found = load_config(PRESET), []
    for index, row in enumerate(rows):
        progress(index, len(rows), f"{row.unit} on {row.target}")
        area = synthesize(config, row.unit, row.target, cached=cached, place=False).area
        found.append(Growth(row, area.lut, area.dsp))
    return [growth for growth in found if growth.too_much]
