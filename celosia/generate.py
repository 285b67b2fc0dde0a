"""`celosia generate`: everything that an FPGA flow or a testbench needs of an accelerator, in one folder."""

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from .arch.config import AcceleratorConfig, derive
from .arch.export import write_c_header, write_html, write_markdown, write_rdl
from .arch.registers import offsets
from .boards.flows.design import Design, Port
from .boards.flows.fusesoc import core_description
from .boards.flows.ipxact import COMPONENT_FILE, component_xml
from .boards.flows.vivado import SCRIPT_FILE, clock_constraint, vivado_script
from .driver.compiler import check_folder, write_folder
from .hdl.verilog import accelerator_ports, accelerator_verilog
from .sim.build import WAIVERS

VERILOG_FILE, LIST_FILE, MANIFEST_FILE = "celosia.v", "files.f", "manifest.json"
CORE_FILE, CONSTRAINTS_FILE, WAIVERS_FILE = "celosia.core", "celosia.xdc", "celosia.vlt"
TOP = "celosia"


def generate(config: AcceleratorConfig, folder: Path, status: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Write Verilog, file list, manifest, register map (SystemRDL, C header, pages) and what FPGA flows read.

    Either all files are written or none is. Returns the manifest.

    Raises:
        OSError: the folder cannot be written.
    """
    started = time.perf_counter()
    check_folder(folder)
    status("elaborating")
    verilog = accelerator_verilog(config, name=TOP)
    ports = accelerator_ports(config)
    manifest = accelerator_manifest(config, verilog, ports)
    status("writing")
    write_folder(
        folder,
        {
            VERILOG_FILE: lambda path: path.write_text(verilog),
            LIST_FILE: lambda path: path.write_text(f"{VERILOG_FILE}\n"),
            MANIFEST_FILE: lambda path: path.write_text(json.dumps(manifest, indent=1) + "\n"),
            **{name: partial(Path.write_text, data=text) for name, text in flow_files(config, ports).items()},
            "celosia.rdl": write_rdl,
            "celosia.h": write_c_header,
            "registers.md": write_markdown,
            "registers": write_html,
        },
    )
    return {**manifest, "seconds": round(time.perf_counter() - started, 1)}


def design_of(config: AcceleratorConfig, ports: Sequence[Port]) -> Design:
    """What flows are told of a generated accelerator."""
    version = metadata.version("celosia")
    return Design(config, ports, TOP, VERILOG_FILE, WAIVERS_FILE, CONSTRAINTS_FILE, version)


def flow_files(config: AcceleratorConfig, ports: Sequence[Port]) -> dict[str, str]:
    """Name to text of the files that FPGA flows read: FuseSoC, IP-XACT, Vivado, and Verilator's waivers."""
    design = design_of(config, ports)
    return {
        CORE_FILE: core_description(design),
        WAIVERS_FILE: WAIVERS.read_text(),
        COMPONENT_FILE: component_xml(design),
        SCRIPT_FILE: vivado_script(design),
        CONSTRAINTS_FILE: clock_constraint(design),
    }


def accelerator_manifest(config: AcceleratorConfig, verilog: str, ports: Sequence[Port]) -> dict[str, Any]:
    """Parameters, ports and address map of a generated accelerator, as JSON data."""
    derived = derive(config)
    return {
        "top": TOP,
        "clock": "clk",
        "reset": {"port": "rst", "active": "high", "synchronous": True},
        "config": config.to_dict(),
        "derived": {
            "bus_bytes": derived.bus_bytes,
            "macs_per_cycle": derived.macs,
            "accumulators": derived.accumulators,
        },
        "ports": [{"name": name, "direction": direction, "bits": bits} for name, direction, bits in ports],
        "interfaces": {
            **memory_ports(config),
            "s_axil": "AXI4-Lite subordinate, 4 KiB: the registers",
            "irq": "level, active high",
        },
        "flows": {
            "fusesoc": CORE_FILE,
            "ip_xact": COMPONENT_FILE,
            "vivado": SCRIPT_FILE,
            "constraints": CONSTRAINTS_FILE,
            "verilator_waivers": WAIVERS_FILE,
        },
        "registers": offsets(),
        "verilog_bytes": len(verilog),
    }


def memory_ports(config: AcceleratorConfig) -> dict[str, str]:
    """What each AXI4 master is for."""
    bus = config.bus
    if bus.ports == 1:
        return {"m_axi": "AXI4 master: read id 0 stream, id 1 embedding and program; writes: KV cache"}
    whole, part = derive(config).bus_bytes, derive(config).port_bytes
    return {
        name: f"AXI4 master: bytes {index * part} to {index * part + part - 1} of every {whole} of the memory, "
        f"at address / {bus.ports} from {index << bus.port_address_bits:#x} on"
        for index, name in enumerate(bus.masters)
    }
