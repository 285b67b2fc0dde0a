"""A Vivado project for a board: scripts, addresses, device tree, instructions, as text."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from string import Template

from ...arch.config import AcceleratorConfig, load_config
from ..flows.design import CLOCK, INTERRUPT, LIBRARY, REGISTER_PORT, RESET, VENDOR, Design
from ..flows.ipxact import COMPONENT_FILE
from ..flows.vivado import PACKAGE_IP
from .address_map import AddressMap, card_map, zynq_map
from .device_tree import overlay

SCRIPT_FILE, MAP_FILE, OVERLAY_FILE, README_FILE = "project.tcl", "address_map.json", "celosia.dtso", "README.md"


@dataclass(frozen=True)
class Project:
    """A board and how its project is made.

    Attributes:
        title: for people.
        preset: of the config.
        part: as Vivado calls it; board_files: a pattern of its board files.
        script: of this folder, the block design; readme: what to do with the result.
        files: of this folder, which the script reads.
        make_map: addresses of a config.
        linux_on_board: the host is on the same chip, and gets a device tree.
    """

    title: str
    preset: str
    part: str
    board_files: str
    script: str
    readme: str
    files: tuple[str, ...]
    make_map: Callable[[AcceleratorConfig], AddressMap]
    linux_on_board: bool

    @property
    def config(self) -> AcceleratorConfig:
        """The accelerator that is on it."""
        return load_config(self.preset)

    @property
    def address_map(self) -> AddressMap:
        """Where everything is."""
        return self.make_map(self.config)


PROJECTS: dict[str, Project] = {
    "kv260": Project(
        title="KV260 (Zynq UltraScale+, K26)",
        preset="kv260",
        part="xck26-sfvc784-2LV-c",
        board_files="*:kv260_som:*",
        script="zynq.tcl",
        readme="zynq.md",
        files=(),
        make_map=zynq_map,
        linux_on_board=True,
    ),
    "u280": Project(
        title="Alveo U280 (HBM)",
        preset="u280",
        part="xcu280-fsvh2892-2L-e",
        board_files="*:au280:*",
        script="card.tcl",
        readme="card.md",
        files=("card.xdc", "interrupt.v"),
        make_map=card_map,
        linux_on_board=False,
    ),
}
"""Name to board."""


def project_files(project: Project, design: Design) -> dict[str, str]:
    """Name to text of what stands beside the generated accelerator, whose folder is `accelerator`."""
    addresses = project.address_map
    files = {
        SCRIPT_FILE: _script(project, design, addresses),
        MAP_FILE: json.dumps({"board": project.title, "config": design.config.name, **addresses.to_json()}, indent=1)
        + "\n",
        README_FILE: Template(_text(project.readme)).substitute(
            title=project.title, config=project.preset, script=SCRIPT_FILE, clock=f"{design.config.control.clock_mhz:g}"
        ),
        **{name: _text(name) for name in project.files},
    }
    if project.linux_on_board:
        files[OVERLAY_FILE] = overlay(addresses, design.clock_hz)
    return files


def _text(name: str) -> str:
    return (resources.files(__package__) / name).read_text()


def _script(project: Project, design: Design, addresses: AddressMap) -> str:
    memory = " ".join(f"{region.port} {region.address:#x} {region.bytes:#x}" for region in addresses.memory)
    settings = {
        "project": design.top,
        "part": project.part,
        "board_files": project.board_files,
        "verilog": design.verilog,
        "component": COMPONENT_FILE,
        "vlnv": f"{VENDOR}:{LIBRARY}:{design.top}:{design.ip_version}",
        "clock_mhz": f"{design.config.control.clock_mhz:g}",
        "clock": CLOCK,
        "reset_port": RESET,
        "interrupt": INTERRUPT,
        "register_port": REGISTER_PORT,
        "masters": " ".join(design.config.bus.masters),
        "register_address": f"{addresses.registers.address:#x}",
        "register_bytes": f"{addresses.registers.bytes:#x}",
        "memory": memory,
        "hardware_description": str(int(project.linux_on_board)),
    }
    head = f"""\
# {project.title}: block design, bitstream and reports.
#
#   vivado -mode batch -source {SCRIPT_FILE} [-tclargs design]
#
# With `design` it ends when the block design is made and valid, before synthesis. Everything goes into the folder
# `vivado` beside this script. {MAP_FILE} has the same addresses.

"""
    values = "".join(f"set {name} {{{value}}}\n" for name, value in settings.items())
    return head + values + PACKAGE_IP + "".join(_text(name) for name in ("common.tcl", project.script, "finish.tcl"))
