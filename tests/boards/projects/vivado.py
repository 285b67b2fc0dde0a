"""A Vivado that is not there: its commands in a real Tcl, on a block design that must hang together."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from ...harness.tcl import tkinter
from .catalog import CATALOG, Border

SPIRIT = "{http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009}"


SILENT = (
    *("create_project", "update_ip_catalog", "update_compile_order", "generate_target", "create_bd_design"),
    *("validate_bd_design", "save_bd_design", "launch_runs", "wait_on_run", "open_run", "report_utilization"),
    *("report_timing_summary", "write_hw_platform", "close_project", "ipx::create_xgui_files"),
    *("ipx::update_checksums", "ipx::check_integrity", "ipx::save_core"),
)
"""Commands that are written down and answer nothing."""


def accelerator(component: Path) -> Border:
    """The border that the generated IP-XACT gives the accelerator."""
    border = Border()
    for interface in ElementTree.parse(component).iter(f"{SPIRIT}busInterface"):
        name = interface.findtext(f"{SPIRIT}name") or ""
        kind = interface.find(f"{SPIRIT}busType").get(f"{SPIRIT}name")
        master = interface.find(f"{SPIRIT}master") is not None
        if kind != "aximm":
            (border.outputs if master else border.inputs).add(name)
            continue
        border.interfaces[name] = "master" if master else "slave"
        if master:
            space = interface.find(f"{SPIRIT}master/{SPIRIT}addressSpaceRef").get(f"{SPIRIT}addressSpaceRef")
            border.spaces[space] = name
        else:
            place = interface.find(f"{SPIRIT}slave/{SPIRIT}memoryMapRef").get(f"{SPIRIT}memoryMapRef")
            border.segments[name] = [f"{place}/registers"]
    return border


def module(source: Path) -> Border:
    ports = re.findall(r"(input|output)\s+wire\s+(\w+)", source.read_text())
    return Border(
        inputs={name for kind, name in ports if kind == "input"},
        outputs={name for kind, name in ports if kind == "output"},
    )


@dataclass
class Cell:
    kind: str
    properties: dict[str, str] = field(default_factory=dict)
    fixed: Border | None = None

    @property
    def border(self) -> Border:
        return self.fixed or CATALOG[self.kind](self.properties)


class Vivado:
    """Answers a script, and keeps what it made.

    Parameters
    ----------
    board_files, takes_ip, slack, progress : what it answers where a script looks at it.
    """

    def __init__(
        self, board_files: str = "b:1.3 b:1.4", takes_ip: bool = True, slack: str = "0.1", progress: str = "100%"
    ) -> None:
        self.cells: dict[str, Cell] = {}
        self.ports: dict[str, str] = {}  # of the design: direction, or end of an interface
        self.files: list[Path] = []
        self.component = Path()
        self.drivers: dict[str, str] = {}
        self.links: list[tuple[str, str]] = []
        self.assigned: dict[tuple[str, str], tuple[int, int]] = {}
        self.excluded: set[tuple[str, str]] = set()
        self.removed: list[str] = []
        self.done: list[str] = []
        self.answers = {
            "get_board_parts": board_files,
            "get_timing_paths": "path",
            "current_project": "project",
            "current_fileset": "sources",
            "get_runs": "impl_1",
            "get_files": "system.bd",
            "make_wrapper": "wrapper.v",
        }
        self.takes_ip, self.slack, self.progress = takes_ip, slack, progress

    def run(self, script: Path, *arguments: str) -> None:
        """Source a script."""
        tcl = tkinter.Tcl()
        tcl.eval("namespace eval ipx {}")
        for name in dir(self):
            if name.startswith("do_"):
                command = name.removeprefix("do_").replace("ipx__", "ipx::")
                tcl.createcommand(command, self._told(command, getattr(self, name)))
        for name, answer in self.answers.items():
            tcl.createcommand(name, lambda *_, answer=answer: answer)
        for name in SILENT:
            tcl.createcommand(name, self._told(name, lambda *_: ""))
        tcl.setvar("argv", arguments)
        tcl.createcommand("puts", lambda *_: "")
        tcl.call("source", str(script))

    def _told(self, name: str, call: Callable[..., str]) -> Callable[..., str]:
        def told(*arguments: str) -> str:
            self.done.append(name)
            return call(*arguments)

        return told

    def do_get_ipdefs(self, *arguments: str) -> str:
        if arguments[0] != "-all":
            return arguments[0] if self.takes_ip else ""
        kind = arguments[1].split(":")[2]
        return f"xilinx.com:ip:{kind}:1.9 xilinx.com:ip:{kind}:1.10" if kind in CATALOG else ""

    def do_add_files(self, *arguments: str) -> str:
        self.files.append(Path(arguments[-1]))
        return ""

    def do_ipx__open_core(self, path: str) -> str:
        self.component = Path(path)
        return "core"

    def do_ipx__get_bus_interfaces(self, name: str, *_: str) -> str:
        assert name in accelerator(self.component).inputs
        return name

    def do_ipx__remove_bus_parameter(self, parameter: str, interface: str) -> str:
        self.removed.append(f"{interface}.{parameter}")
        return ""

    def do_create_bd_cell(self, _: str, kind: str, how: str, what: str, name: str) -> str:
        assert name not in self.cells
        if kind == "module":
            (source,) = [path for path in self.files if path.stem == what]
            self.cells[name] = Cell(what, fixed=module(source))
        elif what.startswith("celosia:"):
            self.cells[name] = Cell(what, fixed=accelerator(self.component))
        else:
            assert what.endswith(":1.10"), "the newest"
            self.cells[name] = Cell(what.split(":")[2])
        return name

    def do_apply_bd_automation(self, *arguments: str) -> str:
        assert self.cells[arguments[-1]].kind == "zynq_ultra_ps_e"
        return ""

    def do_set_property(self, *arguments: str) -> str:
        tcl = tkinter.Tcl()
        *what, place = arguments
        pairs = tcl.splitlist(what[1]) if what[0] == "-dict" else what
        for name, value in zip(pairs[::2], pairs[1::2], strict=True):
            if place in self.cells:
                assert name.startswith("CONFIG.")
                self.cells[place].properties[name.removeprefix("CONFIG.")] = value
        return ""

    def do_create_bd_intf_port(self, *arguments: str) -> str:
        self.ports[arguments[-1]] = "slave" if arguments[1] == "Master" else "master"  # as the inside sees it
        return ""

    def do_create_bd_port(self, *arguments: str) -> str:
        self.ports[arguments[-1]] = "output" if arguments[1] == "I" else "input"
        return ""

    def do_get_bd_cells(self, name: str) -> str:
        assert name in self.cells, name
        return name

    def _port(self, name: str) -> str:
        assert name in self.ports, name
        return f"/{name}"

    do_get_bd_ports = do_get_bd_intf_ports = _port

    def do_get_bd_pins(self, name: str) -> str:
        cell, pin = name.split("/")
        border = self.cells[cell].border
        assert pin in border.inputs | border.optional | border.outputs, f"{cell} has no pin {pin}"
        return name

    def do_get_bd_intf_pins(self, name: str) -> str:
        cell, interface = name.split("/")
        assert interface in self.cells[cell].border.interfaces, f"{cell} has no interface {interface}"
        return name

    def _drives(self, name: str) -> bool:
        cell, pin = name.split("/")
        return self.ports[pin] == "output" if not cell else pin in self.cells[cell].border.outputs

    def do_connect_bd_net(self, one: str, other: str) -> str:
        assert self._drives(one) and not self._drives(other), (one, other)
        assert other not in self.drivers, f"{other} has a second driver"
        self.drivers[other] = one
        return ""

    def _end(self, name: str) -> str:
        cell, interface = name.split("/")
        return self.ports[interface] if not cell else self.cells[cell].border.interfaces[interface]

    def do_connect_bd_intf_net(self, one: str, other: str) -> str:
        assert {self._end(one), self._end(other)} == {"master", "slave"}, (one, other)
        assert not {one, other} & {name for link in self.links for name in link}, (one, other)
        self.links.append((one, other))
        return ""

    def do_get_bd_addr_spaces(self, name: str) -> str:
        cell, space = name.split("/")
        assert space in self.cells[cell].border.spaces, name
        return name

    def do_get_bd_addr_segs(self, *arguments: str) -> str:
        cell, segment = arguments[-1].split("/", 1)
        assert segment in [one for found in self.cells[cell].border.segments.values() for one in found], arguments
        return arguments[-1]

    def do_assign_bd_address(self, *arguments: str) -> str:
        options = dict(zip(arguments[0:6:2], arguments[1:6:2], strict=True))
        place = options["-target_address_space"], arguments[6]
        assert place[1] in self.reachable(place[0]), place
        self.assigned[place] = int(options["-offset"], 0), int(options["-range"], 0)
        return ""

    def do_exclude_bd_addr_seg(self, segment: str, _: str, space: str) -> str:
        self.excluded.add((space, segment))
        return ""

    def reachable(self, space: str) -> list[str]:
        """Segments that a master gets to, through whatever is in between."""
        cell, name = space.split("/")
        place = f"{cell}/{self.cells[cell].border.spaces[name]}"
        (end,) = [b if a == place else a for a, b in self.links if place in (a, b)]
        cell, interface = end.split("/")
        if self.cells[cell].kind == "smartconnect":
            (after,) = [name for name, kind in self.cells[cell].border.interfaces.items() if kind == "master"]
            (end,) = [b if a == f"{cell}/{after}" else a for a, b in self.links if f"{cell}/{after}" in (a, b)]
            cell, interface = end.split("/")
        return [f"{cell}/{segment}" for segment in self.cells[cell].border.segments[interface]]

    def open_ends(self) -> list[str]:
        """Inputs without a driver and interfaces that lead nowhere."""
        linked = {name for link in self.links for name in link}
        found = [f"/{name}" for name, kind in self.ports.items() if kind in ("input",)]
        found = [name for name in found if name not in self.drivers]
        for name, cell in self.cells.items():
            border = cell.border
            found += [f"{name}/{pin}" for pin in sorted(border.inputs) if f"{name}/{pin}" not in self.drivers]
            found += [f"{name}/{end}" for end in border.interfaces if f"{name}/{end}" not in linked]
        return found

    def unplaced(self) -> list[tuple[str, str]]:
        """Segments that a master reaches and that are neither assigned nor excluded: Vivado complains."""
        spaces = [f"{name}/{space}" for name, cell in self.cells.items() for space in cell.border.spaces]
        places = [(space, segment) for space in spaces for segment in self.reachable(space)]
        return [place for place in places if place not in self.assigned and place not in self.excluded]

    def do_get_property(self, name: str, place: str) -> str:
        return {"SLACK": self.slack, "PROGRESS": self.progress, "STATUS": "failed", "DIRECTORY": "."}[name]
