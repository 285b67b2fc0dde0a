"""Has a unit grown or become smaller? LUTs and DSPs now against those of the tables in `docs/synthesis.md`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..arch.config import load_config
from .errors import SynthesisError
from .placement import Cached
from .synth import Progress, synthesize
from .table import BEGIN, END, PRESET, TARGETS_BEGIN, TARGETS_END, over_targets, part, share

ALLOWED = 1.05
"""A unit may grow by 5 %, and may have been larger by as much: a row that says more leaves room to grow unseen."""


@dataclass(frozen=True)
class Committed:
    """LUTs and DSPs of a row of a table."""

    unit: str
    target: str
    lut: int
    dsp: float
    config: str = PRESET


@dataclass(frozen=True)
class Change:
    """What a unit took and what it takes."""

    committed: Committed
    lut: int
    dsp: float

    @property
    def grown(self) -> bool:
        """More than allowed: of LUTs or of DSPs."""
        return self.lut > ALLOWED * self.committed.lut or self.dsp > ALLOWED * self.committed.dsp

    @property
    def shrunk(self) -> bool:
        """So much less, of LUTs or of DSPs, that the row is wrong."""
        return self.committed.lut > ALLOWED * self.lut or self.committed.dsp > ALLOWED * self.dsp

    def to_json(self) -> dict[str, Any]:
        """The row, and what it should say."""
        return {**asdict(self.committed), "lut_now": self.lut, "dsp_now": self.dsp, "grown": self.grown}

    def __str__(self) -> str:
        row = self.committed
        place = f"{row.unit} on {row.target}" + (f" with config '{row.config}'" if row.config != PRESET else "")
        remedy = (
            f"{'make it smaller or ' * self.grown}renew the row with `celosia synth --unit {row.unit} --table FILE`"
        )
        return f"{place}: {row.lut} LUT, {row.dsp:g} DSP in the table, {self.lut}, {self.dsp:g} now: {remedy}"


def read_tables(file: Path, unit: str | None = None) -> list[Committed]:
    """The rows of a document's tables, of units and of targets, or those of one unit.

    Raises:
        SynthesisError: there is none, or a row of them cannot be read.
        OSError: the file cannot.
    """
    found = [*_rows(file, BEGIN, END), *_rows(file, TARGETS_BEGIN, TARGETS_END)]
    rows = [row for row in found if unit in (None, row.unit)]
    if not rows:
        which = "row" if unit is None else f"row of unit {unit!r}"
        raise SynthesisError(f"{file}: no {which} in its tables: write it with `celosia synth --table`")
    return rows


def _rows(file: Path, begin: str, end: str) -> Iterator[Committed]:
    table = part(file, begin, end)[1].strip().split("\n\n")[0]
    header, _, *rows = table.splitlines() if "\n" in table else ["", ""]
    columns = [name.strip() for name in header.split("|")]
    for row in rows:
        cells = dict(zip(columns, (cell.strip() for cell in row.split("|")), strict=False))
        try:
            lut, dsp = int(cells["LUT"]), float(cells["DSP"])
            yield Committed(cells["unit"], cells["target"], lut, dsp, cells.get("config", PRESET))
        except (KeyError, ValueError):
            raise SynthesisError(f"{file}: not a row of the table: {row}") from None


def changed(
    rows: Sequence[Committed], *, cached: Cached, progress: Progress = lambda done, total, text: None
) -> list[Change]:
    """Synthesize the units of some rows, without placing them, and return those whose rows are wrong by too much.

    Raises:
        SynthesisError: a unit, target or config of the tables does not exist any more, or one cannot be synthesized.
    """
    configs, found = {PRESET: load_config(PRESET), **{config.name: config for config, *_ in over_targets()}}, []
    for index, row in enumerate(rows):
        if row.config not in configs:
            raise SynthesisError(f"config {row.config!r} of a row does not exist: choose one of {', '.join(configs)}")
        part_of_all = share(progress, index, len(rows))
        config = configs[row.config]
        area = synthesize(config, row.unit, row.target, cached=cached, place=False, progress=part_of_all).area
        found.append(Change(row, area.lut, area.dsp))
    return [change for change in found if change.grown or change.shrunk]
