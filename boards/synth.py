"""`celosia synth`: area of a unit on a target and, on ECP5, how fast it is and why not faster."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from amaranth.back import verilog
from amaranth.lib import wiring

from ..arch.config import AcceleratorConfig
from ..hdl.verilog import plain_names
from .errors import SynthesisError
from .harness import TimingHarness
from .netlist import ECP5_RESOURCES, XCUP_RESOURCES, Count, Resources, area, load_netlist
from .timing import CriticalPath, read_timing
from .tools import nextpnr_package, run_nextpnr, run_yosys, version, yosys_package
from .units import ACCELERATOR, find_unit

TOP = "top"
READER_VERSION = "3"
"""Of what is read from netlist and report: part of the key of cached results."""
GOAL_MHZ = 80.0
"""What every unit must reach on ECP5, speed grade 6."""


Progress = Callable[[int, int], None]
Cached = Callable[[str, str, Callable[[Path], None]], Path]
"""Kind, key and what fills the folder; returns the folder: `sim.cache.cached_build`, handed in by the caller."""


@dataclass(frozen=True)
class Target:
    """A family of FPGAs.

    Attributes:
        synthesis: the Yosys pass.
        resources: which cells count as what.
        place: arguments of nextpnr; empty where there is none.
    """

    synthesis: str
    resources: Resources
    place: tuple[str, ...] = ()


# Wide multiplexers of a slice (PFUMX, L6MUX) tie LUTs to fixed places. Without them float units need 17 to 56 % fewer
# LUTs and are 2 to 3 % slower, far above the goal: measured, see docs/synthesis.md.
TARGETS: dict[str, Target] = {
    "ecp5": Target(
        synthesis="synth_ecp5 -nowidelut",
        resources=ECP5_RESOURCES,
        place=("--85k", "--package", "CABGA381", "--speed", "6", "--seed", "1", "--freq", "100"),
    ),
    "xcup": Target(synthesis="synth_xilinx -family xcup -flatten", resources=XCUP_RESOURCES),
}


@dataclass(frozen=True)
class Synthesis:
    """What synthesis says of one unit.

    Attributes:
        config, unit, target: what was synthesized.
        area: cells by kind.
        fmax_mhz: between registers, after place and route; None where the target or the unit has none.
        critical_path: what limits `fmax_mhz`.
    """

    config: str
    unit: str
    target: str
    area: Count
    fmax_mhz: float | None
    critical_path: CriticalPath | None

    def to_json(self) -> dict[str, Any]:
        """One flat object: area, fmax and the path."""
        names = {"config": self.config, "unit": self.unit, "target": self.target}
        path = None if self.critical_path is None else asdict(self.critical_path)
        return {**names, **asdict(self.area), "fmax_mhz": self.fmax_mhz, "critical_path": path}


def synthesize(
    config: AcceleratorConfig,
    unit: str,
    target: str,
    *,
    cached: Cached,
    progress: Progress = lambda done, total: None,
) -> Synthesis:
    """Synthesize a unit of an accelerator, place and route it where that is possible.

    The whole accelerator is synthesized only: its area is what it needs, its speed that of its slowest unit.

    Raises:
        SynthesisError: no such unit or target, a tool is missing, or it refuses the design.
    """
    if target not in TARGETS:
        raise SynthesisError(f"target {target!r} does not exist: choose one of {', '.join(TARGETS)}")
    chosen = TARGETS[target]
    component = find_unit(unit).create(config)
    if unit == ACCELERATOR:
        measured = _measure(component, chosen, place=False, cached=cached, progress=progress)
    else:
        harness = TimingHarness(component)
        measured = _measure(harness, chosen, place=bool(chosen.place), cached=cached, progress=progress)
    path = measured["critical_path"]
    return Synthesis(
        config=config.name,
        unit=unit,
        target=target,
        area=area(measured["cells"], chosen.resources),
        fmax_mhz=measured["fmax_mhz"],
        critical_path=None if path is None else CriticalPath(**path),
    )


def _measure(
    top: wiring.Component, target: Target, *, place: bool, cached: Cached, progress: Progress
) -> dict[str, Any]:
    """Cells, and fmax with its path where `place`; from the cache if this Verilog was seen before."""
    stages = 3 if place else 2
    source = plain_names(verilog.convert(top, name=TOP, emit_src=False, strip_internal_attrs=True))
    progress(1, stages)
    tools = [version(yosys_package()), *([version(nextpnr_package())] if place else [])]
    script = ["read_verilog top.v", f"{target.synthesis} -top {TOP}", "write_json netlist.json"]

    def build(folder: Path) -> None:
        (folder / "top.v").write_text(source)
        run_yosys(script, folder, lambda: progress(1, stages))
        netlist = load_netlist(folder / "netlist.json", TOP)
        result: dict[str, Any] = {"cells": netlist.count(), "fmax_mhz": None, "critical_path": None}
        if place:
            progress(2, stages)
            arguments = [*target.place, "--json", "netlist.json", "--report", "report.json", "--timing-allow-fail"]
            run_nextpnr(arguments, folder, lambda: progress(2, stages))
            fmax, path = read_timing(json.loads((folder / "report.json").read_text()), netlist)
            result |= {"fmax_mhz": fmax, "critical_path": None if path is None else asdict(path)}
        (folder / "netlist.json").unlink()  # most of the size, and quickly made again
        (folder / "result.json").write_text(json.dumps(result))

    parts = [source, *script, *target.place, *tools, str(place), READER_VERSION]
    folder = cached("synthesis", _key(parts), build)
    progress(stages, stages)
    measured: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return measured


def _key(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
