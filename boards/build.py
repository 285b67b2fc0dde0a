"""`celosia build`: from a board and a model to its bitstream."""

import gzip
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..arch.model import Model
from ..driver.compiler import check_folder, compile_model, write_folder
from ..hdl.verilog import platform_verilog
from .board import Board, find_board
from .boot import check_tokenizer
from .errors import SynthesisError
from .memories import BITSTREAM, FILLED, PLACED
from .netlist import Count, area
from .synth import (
    NETLIST,
    RESULT,
    Cached,
    Progress,
    key_of,
    lacking,
    nextpnr_arguments,
    place,
    placement_key,
    synthesized,
)
from .timing import CriticalPath
from .tools import check_package, yosys_package

TOP = "top"
CONFIGURATION = "placed.config.gz"
"""What an entry of the cache keeps beside the report: the bitstream as text, with the pattern in its memory."""
STEPS = 4
FULL_DEVICE = ("--placer", "static", "--router", "router2")
"""Arguments of nextpnr for a design that fills a device: with its defaults wires are a quarter longer, and the router
is not done within hours (docs/boards.md)."""
DETOUR = {f"router2/bbMargin/{axis}": "15" for axis in "xy"}
"""How many tiles a wire may leave the box around its ends, and not 3: the way out of a crowded place."""


@dataclass(frozen=True)
class Built:
    """What a bitstream takes of the device and how fast it is.

    Attributes:
        board, model, config: names.
        context: positions of a text.
        device, area, totals: what is used of what is there.
        memory_bytes: of the memory behind the accelerator; image_bytes, cache_bytes: of them.
        goal_mhz, fmax_mhz: the clock that the design has, and the fastest that it would work with; slack_ns: what is
            left of a period.
        critical_path: what limits it.
        files: written into the folder.
    """

    board: str
    model: str
    config: str
    context: int
    device: str
    area: Count
    totals: dict[str, float]
    memory_bytes: int
    image_bytes: int
    cache_bytes: int
    goal_mhz: float
    fmax_mhz: float
    slack_ns: float
    critical_path: CriticalPath | None
    files: list[str]

    def to_json(self) -> dict[str, Any]:
        """One object."""
        data = asdict(self)
        used = data.pop("area")
        return {**data, **used}

    def rows(self) -> dict[str, Any]:
        """The same for people."""
        rows = self.to_json()
        for name, total in self.totals.items():
            rows[name] = f"{rows[name]:,g} of {total:,g} ({rows[name] / total:.1%})"
        del rows["totals"]
        return rows


def build(
    board: str, model: Model, folder: Path, *, cached: Cached, progress: Progress = lambda done, total, text: None
) -> Built:
    """Write Verilog, constraints, netlist, bitstream as text and as the board takes it, memory contents and a report.

    The design knows no model: it is synthesized, placed and routed once, and the model then comes into its memory as
    `memories` says. Another model costs seconds.

    Raises:
        SynthesisError: no such board, a tool is missing or fails, or the design does not reach its clock.
        FitError, RequestError: the model is not for this board; says what is missing, or by how much it is too large.
        OSError: the folder cannot be written.
    """
    chosen = find_board(board)
    config, placement = chosen.config, chosen.family.placement
    if placement is None:
        raise SynthesisError(f"{chosen.title} has no open place and route")
    check_folder(folder)
    check_package(placement.package)
    yosys_package()
    check_tokenizer(model.config.name, model.tokenizer)

    def report(done: int, what: str) -> None:
        progress(done, STEPS, f"{board}: {what}")

    report(0, "elaborating")
    compiled = compile_model(model, config)
    chosen.memory.contents(compiled)  # whether it fits, before the tools take their time
    source, constraints = design(chosen)
    mapped = synthesized(
        source, chosen.family, cached, lambda line: report(1, f"Yosys: {line}"), before=chosen.attributes
    )
    used = area(json.loads((mapped / RESULT).read_text())["cells"], chosen.family.resources)
    short = lacking(used, chosen.family.totals)
    if short:
        raise SynthesisError(f"the design does not fit {chosen.family.device}: {', '.join(short)}")
    placed = _placed(chosen, mapped, constraints, cached, lambda line: report(2, f"nextpnr: {line}"))
    result = json.loads((placed / RESULT).read_text())
    goal, fmax = config.control.clock_mhz, min(result["clocks"].values())
    if fmax < goal:
        raise SynthesisError(
            f"the design reaches {fmax:g} MHz of {goal:g}: lower control.clock_mhz of arch/presets/{chosen.preset}.toml"
        )
    path = result["critical_path"]
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / PLACED).write_bytes(gzip.decompress((placed / CONFIGURATION).read_bytes()))
        more = chosen.memory.pack(Path(work), compiled, lambda tool: report(3, tool))
        copied = {f"{board}.config": FILLED, f"{board}.bit": BITSTREAM, **{name: name for name in more}}
        files: dict[str, Callable[[Path], object]] = {
            f"{board}.v": lambda place: place.write_text(source),
            f"{board}.lpf": lambda place: place.write_text(constraints),
            f"{board}.json": lambda place: place.write_bytes(gzip.decompress((mapped / NETLIST).read_bytes())),
            **{name: _copy_of(Path(work) / made) for name, made in copied.items()},
        }
        built = Built(
            board=board,
            model=compiled.model.name,
            config=config.name,
            context=compiled.context,
            device=chosen.family.device,
            area=used,
            totals=asdict(chosen.family.totals),
            memory_bytes=chosen.memory_bytes,
            image_bytes=compiled.memory.image_bytes,
            cache_bytes=compiled.memory.kv_bytes,
            goal_mhz=goal,
            fmax_mhz=fmax,
            slack_ns=round(1000 / goal - 1000 / fmax, 2),
            critical_path=None if path is None else CriticalPath(**path),
            files=[*files, "report.json"],
        )
        files["report.json"] = lambda place: place.write_text(json.dumps(built.to_json(), indent=1) + "\n")
        write_folder(folder, files)
    return built


def design(board: Board, **arguments: Any) -> tuple[str, str]:
    """Verilog and constraints.

    Args:
        arguments: of the top level, those that are not as in the bitstream.
    """
    platform, top = board.make(**arguments)
    source, constraints = platform_verilog(platform, top, name=TOP)
    return source + "".join(platform.extra_files[name] for name in platform.iter_files(".v")), constraints


def _copy_of(made: Path) -> Callable[[Path], object]:
    return lambda place: place.write_bytes(made.read_bytes())


def _placed(board: Board, mapped: Path, constraints: str, cached: Cached, tick: Callable[[str], None]) -> Path:
    """A folder with the placed and routed design as text and its timing; from the cache if it was placed before."""
    placement = board.family.placement
    assert placement is not None, "checked before anything was run"
    clock = nextpnr_arguments(board.config.control.clock_mhz)
    arguments = [*clock, *FULL_DEVICE, "--lpf", "pins.lpf", "--textcfg", PLACED]
    parts = [mapped.name, constraints, *placement_key(placement), *arguments, *map("=".join, DETOUR.items())]

    def fill(folder: Path) -> None:
        place(mapped, placement, arguments, {"pins.lpf": constraints}, folder, tick, settings=DETOUR)
        (folder / CONFIGURATION).write_bytes(gzip.compress((folder / PLACED).read_bytes()))
        (folder / PLACED).unlink()

    return cached("board", key_of(parts), fill)
