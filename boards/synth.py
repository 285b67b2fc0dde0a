"""`celosia synth`: area of a unit on a target and, where nextpnr places it, how fast it is and why not faster."""

import gzip
import json
from collections.abc import Callable, Sequence
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
from .netlist import Count, area, load_netlist
from .placement import (
    NETLIST,
    REFUSED,
    RESULT,
    SEEDS,
    TOP,
    Cached,
    attempt,
    key_of,
    nextpnr_arguments,
    place,
    placement_key,
    placement_progress,
)
from .timing import CriticalPath, DeepestPath, longest_path, read_depth
from .tools import LIMITS, Tick, check_package, run_yosys, version, yosys_log, yosys_package
from .units import ACCELERATOR, find_unit

READER_VERSION = "4"
"""Of what is read from netlist and report: part of the key of cached results, and by them of cached placements."""
GOAL_MHZ = 80.0
"""What every unit must reach on ECP5, speed grade 6."""
UNIT_MHZ = 100
"""Clock that the placement of a unit aims at, at least."""


Progress = Callable[[int, int, str], None]
"""Steps done, steps, and what is being done."""


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
        refused: why no placement was routed.
        seed: of the placement that was.
        mapped: what `synthesized` gave.
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
    refused: str | None = None
    seed: int | None = None
    mapped: Path | None = None

    @property
    def fmax_mhz(self) -> float | None:
        """Fmax of the slowest clock."""
        return min(self.clocks.values(), default=None)

    @property
    def deepest_path(self) -> DeepestPath | None:
        """The one of these levels; None if it is no longer than what the harness has. Reads the whole netlist."""
        if self.mapped is None:
            return None
        netlist = load_netlist(gzip.decompress((self.mapped / NETLIST).read_bytes()), TOP)
        return read_depth(yosys_log(self.mapped), netlist)

    @property
    def lacking(self) -> list[str]:
        """What the device has too little of."""
        return lacking(self.area, self.totals)

    def to_json(self) -> dict[str, Any]:
        """One object: area beside what the device has, fmax and the path."""
        names = {"config": self.config, "unit": self.unit, "target": self.target, "device": self.device}
        path = None if self.critical_path is None else asdict(self.critical_path)
        speed = {"fmax_mhz": self.fmax_mhz, "clocks": self.clocks, "critical_path": path, "hint": self.hint}
        placement = {"refused": self.refused, "seed": self.seed}
        deepest = self.deepest_path
        depth = {"levels": self.levels, "deepest_path": None if deepest is None else asdict(deepest)}
        return {**names, **asdict(self.area), "totals": asdict(self.totals), **depth, **speed, **placement}

    def rows(self) -> dict[str, Any]:
        """The same for people."""
        used, totals, rows = asdict(self.area), asdict(self.totals), self.to_json()
        for name, total in totals.items():
            share = f"{used[name] / total:.1%}" if total else "none there"
            rows[name] = f"{used[name]:,g} of {total:,g} ({share})"
        del rows["totals"]
        if self.lacking:
            rows["fmax_mhz"] = f"not placed: {', '.join(self.lacking)}"
        if rows.pop("refused"):
            rows["fmax_mhz"] = f"not routed: {self.refused}"
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
    placed: dict[str, Any] = {}
    if placement is not None and not lacking(used, chosen.totals):
        goal = config.control.clock_mhz if config.control.family == target else 0
        mhz = max(UNIT_MHZ, goal)
        placed = _placed(mapped, placement, mhz, cached, lambda line: report(2, line))
    path = CriticalPath(**placed["critical_path"]) if placed.get("critical_path") else None
    return Synthesis(
        config=config.name,
        unit=unit,
        target=target,
        device=chosen.device,
        area=used,
        totals=chosen.totals,
        levels=result["levels"],
        clocks=placed.get("clocks", {}),
        critical_path=path,
        hint=None if path is None else hint(find_unit(unit), path, config),
        refused=placed.get(REFUSED),
        seed=placed.get("seed"),
        mapped=mapped,
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
    longest = longest_path(log)
    if longest is None:
        raise SynthesisError(
            f"{version(yosys_package())} prints no length of the longest path: install another version"
        )
    return int(longest[1])


def _placed(mapped: Path, placement: Placement, mhz: float, cached: Cached, tick: Tick) -> dict[str, Any]:
    """What the first of `SEEDS` placements that is routed says: clocks and slowest path; or why the last is not."""
    result: dict[str, Any] = {}
    for seed in range(1, SEEDS + 1):
        result = json.loads((_attempt(mapped, placement, mhz, cached, tick, seed) / RESULT).read_text())
        if REFUSED not in result:
            return {**result, "seed": seed}
    return result


def _attempt(mapped: Path, placement: Placement, mhz: float, cached: Cached, tick: Tick, seed: int) -> Path:
    arguments = nextpnr_arguments(mhz, seed)
    parts = [mapped.name, *placement_key(placement), *placement.constraints.values(), *arguments]

    def fill(folder: Path) -> None:
        place(mapped, placement, arguments, placement.constraints, folder, placement_progress(seed, tick))

    return attempt("placement", parts, fill, cached, LIMITS)
