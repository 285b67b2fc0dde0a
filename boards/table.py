"""The tables of `docs/synthesis.md`: all units on ECP5, and a few on every target; written between their markers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..arch.config import AcceleratorConfig, load_config
from ..arch.pipeline import FAMILIES
from .errors import SynthesisError
from .families import TARGETS
from .placement import Cached
from .synth import GOAL_MHZ, Progress, Synthesis, synthesize
from .units import UNITS

BEGIN, END = "<!-- table -->", "<!-- end of table -->"
TARGETS_BEGIN, TARGETS_END = "<!-- targets -->", "<!-- end of targets -->"
PRESET = "ecp5"
CHOICES: list[tuple[str, str]] = [*((name, "ecp5") for name in UNITS), ("engine", "xcup")]
"""What the table of units holds: unit and target, at the preset `PRESET`."""
CORE_MHZ = 100.0
CORE = ("matrix", "stream", "attention", "vector", "sequencer")
"""A clock for a whole core, and the units that are slowest there: the table of targets has them with it as the goal."""


def over_targets() -> list[tuple[AcceleratorConfig, str, Sequence[str]]]:
    """What the table of targets holds: config, unit, targets."""
    preset, smallest, largest = load_config(PRESET), load_config("minimal"), load_config("kria")
    fastest, core = (
        replace(preset, name=f"ecp5 at {goal:g} MHz", control=replace(preset.control, clock_mhz=goal))
        for goal in (FAMILIES["ecp5"].fastest_mhz, CORE_MHZ)
    )
    return [
        (preset, "dot", tuple(TARGETS)),
        (fastest, "engine", ("ecp5",)),
        *((core, unit, ("ecp5",)) for unit in CORE),
        (preset, "norm", tuple(TARGETS)),
        (largest, "dot", ("xcup",)),
        (largest, "engine", ("xcup",)),
        (largest, "softmax", ("xcup",)),
        (smallest, "dot", ("ecp5", "ice40", "gatemate")),
        (smallest, "engine", ("ecp5", "ice40", "gatemate")),
        (smallest, "matrix", ("gatemate",)),
        (smallest, "softmax", ("ecp5", "ice40", "gatemate")),
    ]


def write_tables(file: Path, *, cached: Cached, progress: Progress, unit: str | None = None) -> None:
    """Renew the tables of a document, or in them only the rows of one unit.

    Raises:
        SynthesisError: the file has no markers, no such unit, or a unit fails.
        OSError: it cannot be read or written.
    """
    _, old, _ = part(file, BEGIN, END)
    _, old_targets, _ = part(file, TARGETS_BEGIN, TARGETS_END)
    over = [(chosen, name, target) for chosen, name, targets in over_targets() for target in targets]
    if unit is not None:
        _replace(file, BEGIN, END, _renewed(old, unit, cached, progress))
        results = _all([choice for choice in over if choice[1] == unit], cached, progress)
        if results:
            order = [f"| {name} | {chosen.name} | {target} |" for chosen, name, target in over]
            text = _targets_renewed(old_targets, targets_markdown(results), order)
            _replace(file, TARGETS_BEGIN, TARGETS_END, text)
        return
    config = load_config(PRESET)
    units = _all([(config, name, target) for name, target in CHOICES], cached, progress)
    _replace(file, BEGIN, END, markdown(units))
    _replace(file, TARGETS_BEGIN, TARGETS_END, targets_markdown(_all(over, cached, progress)))


def _replace(file: Path, begin: str, end: str, text: str) -> None:
    """Whole or not at all: the document is the user's, and the disk may be full."""
    before, _, after = part(file, begin, end)
    staged = file.with_name(f".{file.name}.partial")
    try:
        staged.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")
        staged.replace(file)
    except OSError as error:
        error.filename = str(file)  # a full disk names no file, and of the other one nobody knows
        raise
    finally:
        staged.unlink(missing_ok=True)


def part(file: Path, begin: str, end: str) -> tuple[str, str, str]:
    """What stands before, between and after two markers, they themselves left out.

    Raises:
        SynthesisError: they are not there, or the file is no text.
        OSError: it cannot be read.
    """
    try:
        document = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SynthesisError(f"{file}: byte {error.start} is not UTF-8: give the document with the tables") from None
    before, found_begin, rest = document.partition(begin)
    between, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise SynthesisError(f"{file}: no lines {begin} and {end}, between which the table belongs")
    return before, between, after


def markdown(results: Sequence[Synthesis]) -> str:
    """The table of units, and below it the critical path of each that misses the goal, or why it is not routed."""
    return _table([_row(result) for result in results], [line for result in results for line in _slow(result)])


def _table(rows: Sequence[str], slow: Sequence[str]) -> str:
    lines = [
        "| unit | target | LUT | of it carry | of it RAM | FF | DSP | block RAM | levels | fmax, MHz |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        *rows,
        "",
        f"Units below {GOAL_MHZ:g} MHz:{'' if slow else ' none.'}",
        *([""] if slow else []),
        *slow,
    ]
    return "\n".join(lines) + "\n"


def _renewed(old: str, unit: str, cached: Cached, progress: Progress) -> str:
    """A table of units with the rows of one unit as they are now, at their place or at the end."""
    config = load_config(PRESET)
    choices = [(name, target) for name, target in CHOICES if name == unit] or [(unit, PRESET)]
    rows = [line for line in old.splitlines()[3:] if line.startswith("| ")]
    slow = [line for line in old.splitlines() if line.startswith("- ") and not line.startswith(f"- {unit}:")]
    for name, target in choices:
        result = synthesize(config, name, target, cached=cached, progress=progress)
        places = [index for index, row in enumerate(rows) if row.startswith(f"| {name} | {target} |")]
        if places:
            rows[places[0]] = _row(result)
        else:
            rows.append(_row(result))
        slow += _slow(result)
    return _table(rows, slow)


def targets_markdown(results: Sequence[Synthesis]) -> str:
    """The table of targets: what a unit takes of the device, and how fast it is where it fits."""
    lines = [
        "| unit | config | target | device | LUT | of the device | FF | DSP | block RAM | levels | fmax, MHz |",
        "|---|---|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for result in results:
        area, share = result.area, f"{result.area.lut / result.totals.lut:.1%}"
        speed = f"too large: {', '.join(result.lacking)}" if result.lacking else _speed(result)
        lines.append(
            f"| {result.unit} | {result.config} | {result.target} | {result.device} | {area.lut} "
            f"| {share} | {area.ff} | {area.dsp:g} | {area.block_ram:g} | {result.levels} | {speed} |"
        )
    return "\n".join(lines) + "\n"


def _targets_renewed(old: str, new: str, order: Sequence[str]) -> str:
    """Head and rows of a new table of targets, and of the old one those that are not in it, by how rows begin."""
    head, rows = new.splitlines()[:2], [*new.splitlines()[2:], *old.splitlines()]
    found = [next((row for row in rows if row.startswith(begin)), None) for begin in order]
    return "\n".join([*head, *(row for row in found if row is not None)]) + "\n"


def _row(result: Synthesis) -> str:
    area = result.area
    return (
        f"| {result.unit} | {result.target} | {area.lut} | {area.carry_lut} | {area.ram_lut} | {area.ff} "
        f"| {area.dsp:g} | {area.block_ram:g} | {result.levels} | {_speed(result)} |"
    )


def _slow(result: Synthesis) -> list[str]:
    path = result.critical_path
    if result.refused:
        return [f"- {result.unit}: {result.refused}"]
    if path is None or result.fmax_mhz is None or result.fmax_mhz >= GOAL_MHZ:
        return []
    return [
        f"- {result.unit}: `{path.start}` to `{path.end}`, {path.delay_ns:g} ns in {path.levels} levels, "
        f"{path.routing_ns:g} ns of it wires"
    ]


def _speed(result: Synthesis) -> str:
    if result.fmax_mhz is None:
        return "not routed" if result.refused else "-"
    return f"{result.fmax_mhz:.1f}{f' (seed {result.seed})' if result.seed not in (None, 1) else ''}"


def _all(jobs: Sequence[tuple[AcceleratorConfig, str, str]], cached: Cached, progress: Progress) -> list[Synthesis]:
    return [
        synthesize(config, unit, target, cached=cached, progress=share(progress, index, len(jobs)))
        for index, (config, unit, target) in enumerate(jobs)
    ]


def share(progress: Progress, index: int, count: int) -> Progress:
    """Progress of one of `count` units as progress of all of them."""

    def report(done: int, total: int, text: str) -> None:
        progress(index * total + done, count * total, text)

    return report
