"""`celosia synth`: area of a unit on a target and, where nextpnr places it, how fast it is and why not faster."""

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from amaranth.back import verilog

from ..arch.config import AcceleratorConfig
from ..hdl.verilog import plain
from .errors import SynthesisError
from .families import TARGETS, Placement, Target, Totals
from .harness import TimingHarness
from .hints import hint
from .netlist import Count, Netlist, area, load_netlist
from .timing import CriticalPath, read_timing
from .tools import check_package, run_nextpnr, run_yosys, version, yosys_package
from .units import ACCELERATOR, find_unit

TOP = "top"
RESULT, NETLIST, REPORT = "result.json", "netlist.json.gz", "report.json"
"""What an entry of the cache keeps."""
READER_VERSION = "4"
"""Of what is read from netlist and report: part of the key of cached results, and by them of cached placements."""
GOAL_MHZ = 80.0
"""What every unit must reach on ECP5, speed grade 6."""
UNIT_MHZ = 100
"""Clock that the placement of a unit aims at, at least."""
_LEVELS = re.compile(r"Longest topological path in \S+ \(length=(\d+)\)")


Progress = Callable[[int, int, str], None]
"""Steps done, steps, and what is being done."""
Cached = Callable[[str, str, Callable[[Path], None]], Path]
"""Kind, key and what fills the folder; returns the folder: `sim.cache.cached_build`, handed in by the caller."""


@dataclass(frozen=True)
class Synthesis:
    """What synthesis says of one unit.

    Attributes:
        config, unit, target, device: what was synthesized, and for what.
        area: cells by kind.
        totals: what the device has of them.
        levels: LUTs and carry cells on the longest path between registers, memories and multipliers, as Yosys counts.
        clocks: fmax of each clock in MHz, between registers, after place and route; empty where that is not done.
        critical_path: what limits the slowest clock.
        hint: which parameter shortens that path.
    """

    config: str
    unit: str
    target: str
    device: str
    area: Count
    totals: Totals
    levels: int
    clocks: dict[str, float]
    critical_path: CriticalPath | None
    hint: str | None

    @property
    def fmax_mhz(self) -> float | None:
        """Fmax of the slowest clock."""
        return min(self.clocks.values(), default=None)

    @property
    def lacking(self) -> list[str]:
        """What the device has too little of."""
        return lacking(self.area, self.totals)

    def to_json(self) -> dict[str, Any]:
        """One object: area beside what the device has, fmax and the path."""
        names = {"config": self.config, "unit": self.unit, "target": self.target, "device": self.device}
        path = None if self.critical_path is None else asdict(self.critical_path)
        speed = {"fmax_mhz": self.fmax_mhz, "clocks": self.clocks, "critical_path": path, "hint": self.hint}
        return {**names, **asdict(self.area), "totals": asdict(self.totals), "levels": self.levels, **speed}

    def rows(self) -> dict[str, Any]:
        """The same for people."""
        used, totals, rows = asdict(self.area), asdict(self.totals), self.to_json()
        for name, total in totals.items():
            share = f"{used[name] / total:.1%}" if total else "none there"
            rows[name] = f"{used[name]:,g} of {total:,g} ({share})"
        del rows["totals"]
        if self.lacking:
            rows["fmax_mhz"] = f"not placed: {', '.join(self.lacking)}"
        return rows


def synthesize(
    config: AcceleratorConfig,
    unit: str,
    target: str,
    *,
    cached: Cached,
    place: bool = True,
    progress: Progress = lambda done, total, text: None,
) -> Synthesis:
    """Synthesize a unit of an accelerator; where `place`, place and route it if that is possible.

    The whole accelerator is synthesized only: its area is what it needs, its speed that of its slowest unit.

    Raises:
        SynthesisError: no such unit or target, a tool is missing, or it refuses the design.
    """
    if target not in TARGETS:
        raise SynthesisError(f"target {target!r} does not exist: choose one of {', '.join(TARGETS)}")
    chosen = TARGETS[target]
    component = find_unit(unit).create(config)
    top = component if unit == ACCELERATOR else TimingHarness(component)
    placement = chosen.placement if place and unit != ACCELERATOR else None
    if placement is not None:
        check_package(placement.package)

    def report(done: int, what: str) -> None:
        progress(done, 2 if placement is None else 3, f"{unit} on {target}: {what}")

    report(0, "elaborating")
    source = plain(verilog.convert(top, name=TOP, emit_src=False, strip_internal_attrs=True))
    mapped = synthesized(source, chosen, cached, lambda line: report(1, f"Yosys: {line}"))
    result = json.loads((mapped / RESULT).read_text())
    used = area(result["cells"], chosen.resources)
    clocks: dict[str, float] = {}
    path: CriticalPath | None = None
    if placement is not None and not lacking(used, chosen.totals):
        goal = config.control.clock_mhz if config.control.family == target else 0
        mhz = max(UNIT_MHZ, goal)
        clocks, path = _placed(mapped, placement, mhz, cached, lambda line: report(2, f"nextpnr: {line}"))
    return Synthesis(
        config=config.name,
        unit=unit,
        target=target,
        device=chosen.device,
        area=used,
        totals=chosen.totals,
        levels=result["levels"],
        clocks=clocks,
        critical_path=path,
        hint=None if path is None else hint(find_unit(unit), path, config),
    )


def lacking(used: Count, totals: Totals) -> list[str]:
    """What a device has too little of, each with how much is needed of how much there is."""
    pairs = ((name, getattr(used, name), total) for name, total in asdict(totals).items())
    return [f"{name} {needed:g} of {total:g}" for name, needed, total in pairs if needed > total]


def _script(target: Target, before: Sequence[str]) -> list[str]:
    logic = " ".join(f"t:{kind}" for kind in target.resources.logic)
    synthesis = f"{target.synthesis} -top {TOP}"
    return ["read_verilog top.v", *before, synthesis, f"ltp w:* {logic}", "write_json netlist.json"]


def synthesized(
    source: str, target: Target, cached: Cached, tick: Callable[[str], None], *, before: Sequence[str] = ()
) -> Path:
    """A folder with cells, levels and netlist; from the cache if this Verilog was seen before.

    Args:
        before: Yosys commands between reading and synthesis.

    Raises:
        SynthesisError: Yosys is missing or refuses the design, or its log is not as it should be.
    """
    script = _script(target, before)

    def build(folder: Path) -> None:
        (folder / "top.v").write_text(source)
        levels = _levels(run_yosys(script, folder, tick))
        netlist = folder / "netlist.json"
        cells = load_netlist(netlist.read_bytes(), TOP).count()
        (folder / RESULT).write_text(json.dumps({"cells": cells, "levels": levels}))
        (folder / NETLIST).write_bytes(gzip.compress(netlist.read_bytes(), compresslevel=1))
        netlist.unlink()

    return cached("synthesis", key_of([source, *script, version(yosys_package()), READER_VERSION]), build)


def _levels(log: str) -> int:
    """Length of the longest path; Yosys prints 0 for a design that has none."""
    lengths = [int(match[1]) for match in _LEVELS.finditer(log)]
    if not lengths:
        raise SynthesisError(
            f"{version(yosys_package())} prints no length of the longest path: install another version"
        )
    return max(lengths)


def _placed(
    mapped: Path, placement: Placement, mhz: float, cached: Cached, tick: Callable[[str], None]
) -> tuple[dict[str, float], CriticalPath | None]:
    """Clocks and the slowest path of a netlist; from the cache if it was placed before."""
    arguments = nextpnr_arguments(mhz)

    def build(folder: Path) -> None:
        place(mapped, placement, arguments, placement.constraints, folder, tick)

    parts = [mapped.name, *placement_key(placement), *placement.constraints.values(), *arguments]
    result = json.loads((cached("placement", key_of(parts), build) / RESULT).read_text())
    path = result["critical_path"]
    return result["clocks"], None if path is None else CriticalPath(**path)


def place(
    mapped: Path,
    placement: Placement,
    arguments: Sequence[str],
    files: Mapping[str, str],
    folder: Path,
    tick: Callable[[str], None],
    *,
    settings: Mapping[str, str] | None = None,
    promise: float = 0.0,
) -> None:
    """Place and route a netlist in `folder`, into which clocks and slowest path are written as `RESULT`.

    Args:
        mapped: what `synthesized` gives.
        files: by name, what the arguments name.
        settings: of nextpnr, those that are no arguments: it takes them from the netlist.
        promise: as `run_nextpnr` has it.

    Raises:
        SynthesisError: nextpnr refuses the design.
        RoutingError: this placement of it.
    """
    design = json.loads(gzip.decompress((mapped / NETLIST).read_bytes()))
    module = design["modules"][TOP]
    if placement.prepare is not None:
        placement.prepare(module)
    if settings:
        module["settings"] = dict(settings)
    netlist = folder / "netlist.json"
    netlist.write_text(json.dumps(design))
    for name, content in files.items():
        (folder / name).write_text(content)
    run_nextpnr(placement.package, [*placement.arguments, *arguments], folder, tick, promise=promise)
    netlist.unlink()  # most of the size, and kept beside the cells
    clocks, path = read_timing(json.loads((folder / REPORT).read_text()), Netlist(module))
    result = {"clocks": clocks, "critical_path": None if path is None else asdict(path)}
    (folder / RESULT).write_text(json.dumps(result))


def placement_key(placement: Placement) -> list[str]:
    """What of a placement, besides the files and the arguments of a design, decides its result."""
    return [placement.preparation, version(placement.package), *placement.arguments]


def nextpnr_arguments(mhz: float, seed: int = 1) -> list[str]:
    """Of every nextpnr: the netlist, the report, and a clock that need not be reached."""
    files = ["--json", "netlist.json", "--report", REPORT]
    return ["--seed", str(seed), "--freq", f"{mhz:g}", *files, "--timing-allow-fail"]


def key_of(parts: list[str]) -> str:
    """Of an entry of the cache."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
