"""The table of all units in `docs/synthesis.md`: written into the file between its two markers."""

from collections.abc import Sequence
from pathlib import Path

from ..arch.config import load_config
from .errors import SynthesisError
from .synth import GOAL_MHZ, Cached, Progress, Synthesis, synthesize
from .units import UNITS

BEGIN, END = "<!-- table -->", "<!-- end of table -->"
PRESET = "ecp5"
CHOICES: list[tuple[str, str]] = [*((name, "ecp5") for name in UNITS), ("engine", "xcup")]
"""What the table holds: unit and target, at the preset `PRESET`."""


def write_table(
    file: Path, *, cached: Cached, progress: Progress, choices: Sequence[tuple[str, str]] = CHOICES
) -> None:
    """Synthesize what the table holds and replace the part of the file between the markers.

    Raises:
        SynthesisError: the file has no markers, or a unit fails.
        OSError: it cannot be read or written.
    """
    text = file.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SynthesisError(f"{file}: no lines {BEGIN} and {END}, between which the table belongs")
    config, results = load_config(PRESET), []
    for index, (unit, target) in enumerate(choices):
        results.append(synthesize(config, unit, target, cached=cached, progress=_part(progress, index, len(choices))))
    # Whole or not at all: the document is the user's, and the disk may be full.
    staged = file.with_name(f".{file.name}.partial")
    try:
        staged.write_text(f"{before}{BEGIN}\n{markdown(results)}{END}{after}", encoding="utf-8")
        staged.replace(file)
    finally:
        staged.unlink(missing_ok=True)


def markdown(results: Sequence[Synthesis]) -> str:
    """A table of all results, and below it the critical path of each unit that misses the goal."""
    lines = [
        "| unit | target | LUT | of it carry | of it RAM | FF | DSP | block RAM | fmax, MHz |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for result in results:
        area = result.area
        speed = "-" if result.fmax_mhz is None else f"{result.fmax_mhz:.1f}"
        lines.append(
            f"| {result.unit} | {result.target} | {area.lut} | {area.carry_lut} | {area.ram_lut} | {area.ff} "
            f"| {area.dsp} | {area.block_ram:g} | {speed} |"
        )
    slow = [result for result in results if result.fmax_mhz is not None and result.fmax_mhz < GOAL_MHZ]
    lines += ["", f"Units below {GOAL_MHZ:g} MHz:{'' if slow else ' none.'}", *([""] if slow else [])]
    for result in slow:
        path = result.critical_path
        if path is not None:
            lines.append(
                f"- {result.unit}: `{path.start}` to `{path.end}`, {path.delay_ns:g} ns in {path.levels} levels, "
                f"{path.routing_ns:g} ns of it wires"
            )
    return "\n".join(lines) + "\n"


def _part(progress: Progress, index: int, count: int) -> Progress:
    """Progress of one of `count` units as progress of all of them."""

    def report(done: int, total: int) -> None:
        progress(index * total + done, count * total)

    return report
