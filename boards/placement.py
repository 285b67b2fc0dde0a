"""Places and routes a netlist with nextpnr; what could not be routed is remembered, so that it is not tried again."""

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from .errors import RoutingError
from .families import Placement
from .netlist import Netlist
from .timing import Clock, read_timing
from .tools import Tick, run_nextpnr, version

TOP = "top"
RESULT, NETLIST, REPORT = "result.json", "netlist.json.gz", "report.json"
"""What an entry of the cache keeps."""
REFUSED = "refused"
"""In the result of a placement that was not routed: why not."""
SEEDS = 3
"""Placements that are tried: whether one can be routed, and how fast it is, is luck."""

Cached = Callable[[str, str, Callable[[Path], None]], Path]
"""Kind, key and what fills the folder; returns the folder: `sim.cache.cached_build`, handed in by the caller."""


def attempt(
    kind: str, parts: Sequence[str], fill: Callable[[Path], None], cached: Cached, limits: Sequence[float]
) -> Path:
    """The folder of a placement, from the cache if it was tried before.

    What is not routed is kept as well: its `RESULT` says why, as `REFUSED`, and what was estimated.

    Args:
        kind: of entry of the cache.
        parts: what decides the result, for the key.
        fill: places and routes in a folder; may raise `RoutingError`.
        limits: by which `fill` refuses: what was refused by others is tried again, what was routed is good under any.
    """

    def remember(folder: Path) -> None:
        try:
            fill(folder)
        except RoutingError as error:
            for left in folder.iterdir():
                left.unlink()
            estimate = Clock("estimate", error.fmax_mhz, error.goal_mhz)
            refusal = {REFUSED: str(error), "estimate": asdict(estimate), "limits": limits}
            (folder / RESULT).write_text(json.dumps(refusal))

    folder = cached(kind, key_of(parts), remember)
    result = json.loads((folder / RESULT).read_text())
    if REFUSED in result and result.get("limits") != list(limits):
        folder = cached(kind, key_of([*parts, *map(str, limits)]), remember)
    return folder


def placement_progress(seed: int, tick: Tick) -> Tick:
    """The progress of one placement, behind which of them it is."""
    which = "" if seed == 1 else f", placement {seed} of {SEEDS}"
    return lambda line: tick(f"nextpnr{which}: {line}")


def place(
    mapped: Path,
    placement: Placement,
    arguments: Sequence[str],
    files: Mapping[str, str],
    folder: Path,
    tick: Tick,
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


def key_of(parts: Sequence[str]) -> str:
    """Of an entry of the cache."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
