"""`celosia.core`: the generated folder as a FuseSoC core (CAPI2)."""

import json

from .design import DESCRIPTION, LIBRARY, VENDOR, Design


def core_description(design: Design) -> str:
    """The core's text, YAML: its files, and targets to depend on (`default`), to lint and to synthesize.

    Target `synth` leaves the part to the user (`--part`), since the same design goes into any.
    """
    return f"""\
CAPI=2:
name: {VENDOR}:{LIBRARY}:{design.top}:{design.version}
description: {json.dumps(f"{DESCRIPTION} (config {design.config.name})")}

filesets:
  rtl:
    files: [{design.verilog}]
    file_type: verilogSource
  waivers:
    files: [{design.waivers}]
    file_type: vlt
  constraints:
    files: [{design.constraints}]
    file_type: xdc

targets:
  # What another core gets that depends on this one.
  default:
    filesets: [rtl]
    toplevel: {design.top}

  lint:
    description: Verilator, every warning on
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]
    filesets: [waivers, rtl]
    toplevel: {design.top}

  synth:
    description: Vivado, synthesis only; give --part
    flow: vivado
    flow_options:
      pnr: none
    filesets: [rtl, constraints]
    toplevel: {design.top}
"""
