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
from .flows.board_core import board_core, memory_script
from .netlist import Count, area
from .placement import (
    NETLIST,
    REFUSED,
    REPORT,
    RESULT,
    SEEDS,
    TOP,
    Cached,
    attempt,
    nextpnr_arguments,
    place,
    placement_key,
    placement_progress,
)
from .synth import Progress, lacking, synthesized
from .timing import Clock, CriticalPath, limiting_clock
from .tools import LIMITS, check_package, yosys_package

STEPS = 4
PROMISE = 0.9
"""Of its clock that a placement must reach by estimate to be routed, which takes longest; routed ones were found 11 %
slower to 13 % faster."""


@dataclass(frozen=True)
class Built:
    """What a bitstream takes of the device and how fast it is.

    Attributes:
        board, model, config: names.
        context: positions of a text.
        device, area, totals: what is used of what is there.
        memory_bytes: of the memory behind the accelerator; image_bytes, cache_bytes: of them.
        goal_mhz, fmax_mhz: of the clock that reaches least of its goal, what it is in the design, and the fastest that
            would work; slack_ns: what is left of its period.
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
    placed = _placed(chosen, mapped, constraints, cached, lambda line: report(2, line))
    result = json.loads((placed / RESULT).read_text())
    clock = _clock(placed, result)
    goal, fmax = round(clock.goal_mhz, 2), round(clock.fmax_mhz, 1)
    path, flow = result["critical_path"], chosen.flow
    text = f"placed.{flow.text}"
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / text).write_bytes(gzip.decompress((placed / f"{text}.gz").read_bytes()))
        more = chosen.memory.pack(Path(work), compiled, flow, lambda line: report(3, f"the model: {line}"))
        made = {f"{board}.{ending}": f"model.{ending}" for ending in (flow.text, flow.bitstream)}
        copied = {**made, **{name: name for name in more}}
        files: dict[str, Callable[[Path], object]] = {
            f"{board}.v": lambda place: place.write_text(source),
            f"{board}.{flow.constraints}": lambda place: place.write_text(constraints),
            f"{board}.core": lambda place: place.write_text(board_core(board, chosen, TOP)),
            f"{board}.tcl": lambda place: place.write_text(memory_script(chosen, TOP)),
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
    source, constraints = platform_verilog(platform, top, board.flow.constraints, name=TOP)
    return source + "".join(platform.extra_files[name] for name in platform.iter_files(".v")), constraints


def _copy_of(made: Path) -> Callable[[Path], object]:
    return lambda place: place.write_bytes(made.read_bytes())


def _placed(board: Board, mapped: Path, constraints: str, cached: Cached, tick: Callable[[str], None]) -> Path:
    """The folder of the first of `SEEDS` placements that is routed and whose clocks all reach their goals.

    Raises:
        SynthesisError: none is; says how fast the fastest would be.
    """
    tried: list[Clock] = []
    refused = ""
    for seed in range(1, SEEDS + 1):
        folder = _attempt(board, mapped, constraints, cached, tick, seed)
        result = json.loads((folder / RESULT).read_text())
        refused = result.get(REFUSED, refused)
        tried.append(_clock(folder, result))
        if tried[-1].share >= 1:
            return folder
    fastest = max(tried, key=lambda clock: clock.share)
    if not fastest.fmax_mhz:
        raise SynthesisError(f"{refused} ({SEEDS} placements were tried)")
    fmax, goal = round(fastest.fmax_mhz, 2), round(fastest.goal_mhz, 2)
    raise SynthesisError(
        f"the design reaches {fmax:g} MHz of {goal:g} in the fastest of {SEEDS} placements: lower control.clock_mhz "
        f"of arch/presets/{board.preset}.toml"
    )


def _clock(folder: Path, result: dict[str, Any]) -> Clock:
    """The clock that limits a placement, by estimate if it was refused."""
    if REFUSED in result:
        return Clock(**result["estimate"])
    clock = limiting_clock(json.loads((folder / REPORT).read_text()))
    assert clock is not None, "a board's design has registers"
    return clock


def _attempt(
    board: Board, mapped: Path, constraints: str, cached: Cached, tick: Callable[[str], None], seed: int
) -> Path:
    """A folder with the placed and routed design as text, compressed, with the pattern in its memory, and its timing,
    or why there is none; from the cache if it was placed with this seed before."""
    placement, flow = board.family.placement, board.flow
    assert placement is not None, "checked before anything was run"
    clock = nextpnr_arguments(board.config.control.clock_mhz, seed)
    arguments, settings = [*clock, *flow.arguments], flow.settings
    parts = [mapped.name, constraints, *placement_key(placement), *arguments, *map("=".join, settings.items())]
    pins, text = f"pins.{flow.constraints}", f"placed.{flow.text}"

    def fill(folder: Path) -> None:
        show = placement_progress(seed, tick)
        place(mapped, placement, arguments, {pins: constraints}, folder, show, settings=settings, promise=PROMISE)
        (folder / f"{text}.gz").write_bytes(gzip.compress((folder / text).read_bytes()))
        (folder / text).unlink()

    return attempt("board", parts, fill, cached, [PROMISE, *LIMITS])
