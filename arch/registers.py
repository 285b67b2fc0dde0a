"""The register map as plain data, read from `registers.rdl` (SystemRDL 2.0) once.

RTL, C header, documentation and driver derive from that file; nothing else states an offset.
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from systemrdl import RDLCompiler
from systemrdl.node import AddrmapNode, FieldNode, RegNode
from systemrdl.rdltypes import OnWriteType

RDL_FILE = Path(str(resources.files(__package__) / "registers.rdl"))


@dataclass(frozen=True)
class Field:
    """One field: bits `low` .. `low` + `width` - 1.

    Attributes:
        writable: software can write it.
        stored: the register file holds its value (else hardware drives what software reads).
        pulse: reads 0; a written 1 is a pulse of one cycle.
        write_one_clears: software clears it by writing 1, hardware sets it.
        hardware_writes: stored, and hardware may load it.
    """

    name: str
    low: int
    width: int
    reset: int
    writable: bool
    stored: bool
    pulse: bool
    write_one_clears: bool
    hardware_writes: bool


@dataclass(frozen=True)
class Register:
    """One 32-bit register at byte `offset`."""

    name: str
    offset: int
    fields: tuple[Field, ...]


def compile_rdl() -> AddrmapNode:
    """The elaborated SystemRDL address map, for the exporters."""
    compiler = RDLCompiler()
    compiler.compile_file(str(RDL_FILE))
    return compiler.elaborate().top


def _field(node: FieldNode) -> Field:
    pulse = bool(node.get_property("singlepulse"))
    clears = node.get_property("onwrite") is OnWriteType.woclr
    constant = not node.is_sw_writable and not node.is_hw_writable
    hardware_writes = bool(node.get_property("we"))
    reset = node.get_property("reset")
    return Field(
        name=node.inst_name,
        low=node.low,
        width=node.width,
        reset=reset if isinstance(reset, int) else 0,
        writable=node.is_sw_writable,
        stored=constant or clears or hardware_writes or (node.is_sw_writable and not node.is_hw_writable),
        pulse=pulse,
        write_one_clears=clears,
        hardware_writes=hardware_writes,
    )


@cache
def registers() -> tuple[Register, ...]:
    """All registers in ascending order of offset."""
    return tuple(
        Register(node.inst_name, node.absolute_address, tuple(_field(field) for field in node.fields()))
        for node in compile_rdl().children(unroll=True)
        if isinstance(node, RegNode)
    )


@cache
def offsets() -> dict[str, int]:
    """Byte offset of every register by name."""
    return {register.name: register.offset for register in registers()}
