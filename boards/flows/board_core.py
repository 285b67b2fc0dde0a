"""`BOARD.core`: what `celosia build` wrote for a board with open tools, as a FuseSoC core (CAPI2)."""

import json
from importlib import metadata
from itertools import pairwise

from ..board import Board
from ..trellis import Trellis
from .design import DESCRIPTION, VENDOR

NAMED_BY_FUSESOC = {"--lpf", "--textcfg"}
"""Of nextpnr's arguments, those with a file's name behind them."""


def board_core(name: str, board: Board, top: str) -> str:
    """The core's text, YAML: its files, a target to depend on (`default`) and, for an ECP5, one that makes a bitstream.

    For Gowin there is no such target: edalize 0.6 calls the device GW5A-138, which neither nextpnr nor gowin_pack
    knows, and the netlist must be changed before nextpnr takes it (`boards/gw5a.py`).
    """
    constraints = board.flow.constraints
    text = f"""\
CAPI=2:
name: {VENDOR}:board:{name}:{metadata.version("celosia")}
description: {json.dumps(f"{DESCRIPTION} on {board.title}")}

filesets:
  rtl:
    files: [{name}.v]
    file_type: verilogSource
  memories:
    files: [{name}.tcl]
    file_type: tclSource
  constraints:
    files: [{name}.{constraints}]
    file_type: {constraints.upper()}

targets:
  # The design on the board's pins, for a flow of your own.
  default:
    filesets: [rtl, constraints]
    toplevel: {top}
"""
    return text + _bitstream(board, top) if isinstance(board.flow, Trellis) else text


def memory_script(board: Board, top: str) -> str:
    """Tcl for Yosys, after the Verilog is read: which memories become block RAM and which LUT RAM."""
    # Quotes are Yosys's: Tcl must leave them where they are.
    commands = [" ".join(f"{{{word}}}" for word in command.split()) for command in board.attributes]
    return "".join(f"yosys {command}\n" for command in [f"hierarchy -top {top}", *commands])


def _bitstream(board: Board, top: str) -> str:
    """Target with the options that `celosia build` gives the tools."""
    placement = board.family.placement
    assert placement is not None, "nextpnr places ECP5"
    synthesis = board.family.synthesis.split()[1:]
    arguments = [*placement.arguments, *board.flow.arguments]
    kept = [word for before, word in pairwise(["", *arguments]) if NAMED_BY_FUSESOC.isdisjoint((before, word))]
    frequency = ["--freq", f"{board.config.control.clock_mhz:g}"]
    return f"""
  bitstream:
    description: Yosys, nextpnr and ecppack; without the model, which celosia build puts in
    flow: trellis
    flow_options:
      yosys_synth_options: {json.dumps(synthesis)}
      nextpnr_options: {json.dumps([*kept, *frequency])}
      ecppack_options: ["--compress"]
    filesets: [rtl, memories, constraints]
    toplevel: {top}
"""
