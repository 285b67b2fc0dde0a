"""The accelerator as Verilog text."""

from amaranth.back import verilog

from ..arch.config import AcceleratorConfig
from .control.accelerator import Accelerator

TOP = "top"


def accelerator_verilog(config: AcceleratorConfig, *, trace: bool = False, name: str = TOP) -> str:
    """One Verilog file with the whole design; the same config gives the same text.

    Parameters:
        trace: add the `trace_*` output ports, for simulation only.
        name: of the top module.
    """
    return verilog.convert(Accelerator(config, trace=trace), name=name, emit_src=False, strip_internal_attrs=True)
