"""Reads nextpnr's report: how fast, and the slowest path from register to register in our names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .harness import INPUT, INSTANCE, OUTPUT, PARITY
from .netlist import MADE_BY_YOSYS, Netlist


@dataclass(frozen=True)
class Clock:
    """How fast a clock can be, and how fast it is in the design, in MHz; by which name, says nextpnr."""

    name: str
    fmax_mhz: float
    goal_mhz: float

    @property
    def share(self) -> float:
        """Of its goal that it reaches: 1 and more is good."""
        return self.fmax_mhz / self.goal_mhz


@dataclass(frozen=True)
class CriticalPath:
    """The slowest path between two registers.

    Attributes:
        start, end: signals that it begins and ends at; `input ...` and `output ...` are ports of the unit, which the
            registers of its neighbours stand behind.
        delay_ns: all of it, clock-to-output and setup included.
        routing_ns: the part of it that is wires.
        levels: cells that it goes through.
        through: signals on its way, without those that Yosys made.
    """

    start: str
    end: str
    delay_ns: float
    routing_ns: float
    levels: int
    through: list[str]


@dataclass(frozen=True)
class DeepestPath:
    """Of those between registers, memories and multipliers the one with most LUTs and carry cells, whatever they take.

    Attributes:
        start, end: as of a `CriticalPath`.
    """

    start: str
    end: str


_LONGEST = re.compile(r"Longest topological path in \S+ \(length=(\d+)\):?\n?((?: +\d+: .*\n?)*)")
_NET = re.compile(r"^ +\d+: (?:\\(?![$\\\d]))?(\S+)(?: \[(\d+)\])?", re.MULTILINE)
"""Names as in the netlist, where a backslash stays only before what Yosys could have named."""
CONSTANTS = frozenset({"VCC", "GND", "VHI", "VLO"})
"""Cells of Gowin and Nexus."""
_CLOCK = re.compile(r"^\$glbnet\$|(?<=.)\$.*")
"""What nextpnr puts around the name of a clock: global buffers."""


def _clock_name(name: str) -> str:
    """A clock as its domain is called, whichever part of the design its wire is named after."""
    return _CLOCK.sub("", name).rsplit(".", 1)[-1]


def limiting_clock(report: Mapping[str, Any]) -> Clock | None:
    """The clock that reaches least of its goal; None for a design without paths between registers."""
    clocks = (Clock(name, float(of["achieved"]), float(of["constraint"])) for name, of in report["fmax"].items())
    return min(clocks, key=lambda clock: clock.share, default=None)


def read_timing(report: Mapping[str, Any], netlist: Netlist) -> tuple[dict[str, float], CriticalPath | None]:
    """Fmax in MHz of each clock, and the slowest path of the one that limits; nothing for a design without any."""
    clock = limiting_clock(report)
    if clock is None:
        return {}, None
    # A path from or to a pin is none between registers, and one between two clocks is of neither.
    ends = {f"posedge {clock.name}"}
    paths = [path["path"] for path in report["critical_paths"] if {path["from"], path["to"]} == ends]
    if not paths:
        return {}, None
    clocks = {_clock_name(name): round(of["achieved"], 1) for name, of in report["fmax"].items()}
    return clocks, _critical_path(max(paths, key=_delay), netlist)


def _delay(segments: list[Mapping[str, Any]]) -> float:
    return sum(float(segment["delay"]) for segment in segments)


def _critical_path(segments: list[Mapping[str, Any]], netlist: Netlist) -> CriticalPath:
    first, last = segments[0]["from"], segments[-1]["to"]
    nets = [str(segment["net"]) for segment in segments if segment["type"] == "routing"]
    return CriticalPath(
        start=_end(first["cell"], first["port"], netlist),
        end=_end(last["cell"], last["port"], netlist),
        delay_ns=round(_delay(segments), 2),
        routing_ns=round(sum(float(s["delay"]) for s in segments if s["type"] == "routing"), 2),
        levels=sum(segment["type"] == "logic" for segment in segments),
        through=[_ours(net) for net in dict.fromkeys(nets[1:]) if not MADE_BY_YOSYS.search(net)],
    )


def longest_path(log: str) -> re.Match[str] | None:
    """What Yosys's pass ``ltp`` printed of the longest path: its levels, and its nets, a line each."""
    return max(_LONGEST.finditer(log), key=lambda match: int(match[1]), default=None)


def read_depth(log: str, netlist: Netlist) -> DeepestPath | None:
    """The longest path that Yosys's pass ``ltp`` found; None if none is deeper than what is in the harness."""
    found = longest_path(log)
    nets = [(name, int(index or 0)) for name, index in _NET.findall(found[2])] if found else []
    if not nets:
        return None
    start, end = _start(*nets[0], netlist), _taker(*nets[-1], netlist)
    return None if PARITY in start or PARITY in end else DeepestPath(start, end)


def _start(net: str, index: int, netlist: Netlist) -> str:
    """What a net comes from: by our name, or else by its cell."""
    if net not in netlist:
        return "a constant"
    driver = netlist.driver(net, index)
    kind = netlist.types[driver[0]] if driver else ""
    if kind in CONSTANTS:
        return "a constant"
    return _ours(netlist.signal(net, index) or (f"{kind} {driver[1]}" if driver else net))


def _taker(net: str, index: int, netlist: Netlist) -> str:
    """What takes a net; the net itself where nothing does, as the last carry of a chain."""
    reader = next(netlist.readers(net, index), None)
    if reader is None:
        return _ours(netlist.signal(net, index) or net)
    cell, port = reader
    # Yosys names cells after lines of its own source, too.
    return _end(cell, port, netlist, named=netlist.types[cell] if cell.startswith("$") else cell)


def _end(cell: str, port: str, netlist: Netlist, *, named: str | None = None) -> str:
    """A register, the signal at a port of a multiplier, or a block RAM and its port.

    Args:
        named: what a cell is called of which no signal is known, if not by its name.
    """
    return _ours(netlist.packed_register(cell) or netlist.unnamed_port(cell, port) or f"{named or cell} {port}")


def _ours(name: str) -> str:
    """A signal as the unit calls it."""
    for prefix, shown in ((f"{INPUT}__", "input "), (f"{OUTPUT}__", "output "), (f"{INSTANCE}.", "")):
        if name.startswith(prefix):
            return shown + name.removeprefix(prefix)
    return name.removeprefix("\\")  # stays in a netlist before names with a $
