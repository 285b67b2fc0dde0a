"""Reads nextpnr's report: how fast, and the slowest path from register to register in our names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .harness import INPUT, INSTANCE, OUTPUT
from .netlist import MADE_BY_YOSYS, Netlist


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


_CLOCK = re.compile(rf"^\$glbnet\$|^{INSTANCE}\.|(?<=.)\$.*")
"""What nextpnr and the harness put around the name of a clock: global buffers, the instance."""


def read_timing(report: Mapping[str, Any], netlist: Netlist) -> tuple[dict[str, float], CriticalPath | None]:
    """Fmax in MHz of each clock, and the slowest path; nothing for a design without paths between registers."""
    clocks = {_CLOCK.sub("", name): round(clock["achieved"], 1) for name, clock in report["fmax"].items()}
    # A path from or to a pin is none between registers.
    paths = [path["path"] for path in report["critical_paths"] if "posedge" in path["from"] and "posedge" in path["to"]]
    if not clocks or not paths:
        return {}, None
    return clocks, _critical_path(max(paths, key=_delay), netlist)


def _delay(segments: list[Mapping[str, Any]]) -> float:
    return sum(float(segment["delay"]) for segment in segments)


def _critical_path(segments: list[Mapping[str, Any]], netlist: Netlist) -> CriticalPath:
    first, last = segments[0]["from"], segments[-1]["to"]
    nets = [str(segment["net"]) for segment in segments if segment["type"] == "routing"]
    return CriticalPath(
        start=_end(first, netlist),
        end=_end(last, netlist),
        delay_ns=round(_delay(segments), 2),
        routing_ns=round(sum(float(s["delay"]) for s in segments if s["type"] == "routing"), 2),
        levels=sum(segment["type"] == "logic" for segment in segments),
        through=[_ours(net) for net in dict.fromkeys(nets[1:]) if not MADE_BY_YOSYS.search(net)],
    )


def _end(place: Mapping[str, Any], netlist: Netlist) -> str:
    """A register, the signal at a port of a multiplier, or a block RAM and its port."""
    cell, port = str(place["cell"]), str(place["port"])
    return _ours(netlist.packed_register(cell) or netlist.unnamed_port(cell, port) or f"{cell} {port}")


def _ours(name: str) -> str:
    """A signal as the unit calls it."""
    for prefix, shown in ((f"{INPUT}__", "input "), (f"{OUTPUT}__", "output "), (f"{INSTANCE}.", "")):
        if name.startswith(prefix):
            return shown + name.removeprefix(prefix)
    return name
