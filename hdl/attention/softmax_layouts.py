"""What the stages of the softmax pass to each other."""

from amaranth.hdl import signed
from amaranth.lib import data

from ..arithmetic.exponential import FRACTION_BITS, INTEGER_BITS
from ..common import bits_for
from ..interfaces import Interfaces
from .shape import AttentionShape

Z_BITS = INTEGER_BITS + FRACTION_BITS
"""Bits of a score in fixed point."""

MAXIMUM_BITS = INTEGER_BITS + 1
"""Bits of a score's ceiling, signed."""


class SoftmaxLayouts:
    """Layouts of one config.

    Attributes
    ----------
    row : data.StructLayout
        A row of a page. row: index within the pass. first, last: page of the pass. end: last row of its page.
    maximum : data.StructLayout
        The row with its new maximum and the shift that follows from it.
    fixed, powers : data.ArrayLayout
        V scores in fixed point and whether they are visible; V probabilities.
    buffers : int
        Rows in a ring between two stages.
    sums : int
        Rows whose probabilities are being summed.
    ring_bits : int
        Bits of an address in a ring: word of V, then row.
    """

    def __init__(self, interfaces: Interfaces) -> None:
        shape = AttentionShape(interfaces)
        self.row = data.StructLayout(
            {"slot": shape.slot_bits, "row": shape.state_bits, "first": 1, "last": 1, "end": 1}
        )
        self.maximum = data.StructLayout({"row": self.row, "maximum": signed(MAXIMUM_BITS), "shift": 8})
        element = data.StructLayout({"z": signed(Z_BITS), "visible": 1})
        self.fixed = data.ArrayLayout(element, shape.lanes)
        self.powers = data.ArrayLayout(32, shape.lanes)
        self.buffers = interfaces.derived.softmax_rows
        self.sums = interfaces.derived.softmax_sums
        self.ring_bits = bits_for(shape.words) + bits_for(self.buffers)
