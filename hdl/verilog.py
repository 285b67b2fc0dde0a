"""The accelerator as Verilog text."""

import re

from amaranth.back import verilog
from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from ..arch.config import AcceleratorConfig
from .control.accelerator import Accelerator

TOP = "top"

ZERO_MEMORY = re.compile(r"^ *initial begin\n(?: *\S+ *\[\d+\] = \d+'h0+;\n)+ *end\n", re.MULTILINE)
"""The initial zeros of a memory. No unit reads what it has not written, and a line a word is megabytes."""


def accelerator_verilog(config: AcceleratorConfig, *, trace: bool = False, name: str = TOP) -> str:
    """One Verilog file with the whole design; the same config gives the same text.

    Parameters:
        trace: add the `trace_*` output ports, for simulation only.
        name: of the top module.
    """
    text = verilog.convert(Accelerator(config, trace=trace), name=name, emit_src=False, strip_internal_attrs=True)
    return ZERO_MEMORY.sub("", text)


def accelerator_ports(config: AcceleratorConfig) -> list[tuple[str, str, int]]:
    """Name, direction ("in", "out") and bits of every port, clock and reset first."""
    members = Accelerator(config).signature.members
    ports = [("clk", "in", 1), ("rst", "in", 1)]
    for name, member in members.items():
        ports.append((name, "in" if member.flow is In else "out", Shape.cast(member.shape).width))
    return ports
