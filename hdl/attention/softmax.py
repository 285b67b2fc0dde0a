"""The online softmax: scores of a page to quantized probabilities (docs/numerics.md, section 8, steps 1 to 6)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...arch.formats import BLOCK
from ..common import SkidBuffer
from ..interfaces import FLOAT, Interfaces, read_port, write_port
from .shape import AttentionShape
from .softmax_power import SoftmaxPower
from .softmax_quantize import SoftmaxQuantize
from .softmax_scale import SoftmaxScale
from .totals import Totals


class Softmax(wiring.Component):
    """Three stages with rings of rows between them, each V lanes a cycle.

    1. `SoftmaxScale`, as soon as a page has all its scores: scale, fixed point, mask, the row's new integer maximum.
    2. `SoftmaxPower`: the exponentials and, to `Totals`, their sum.
    3. `SoftmaxQuantize`, for each block of 32 lanes of V: times 2^exponent of each position, quantized, written to the
       probability memory.

    A row takes 32 / V cycles in stages 1 and 2 and KB x 32 / V in stage 3, half of that with two quantizers. Rows past
    the last one of a virtual head are left out; what the probability memory holds for them is old.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    launch : In(1), a new instruction
    last_row : In(16), rows of a virtual head - 1; group : In(8), sub_heads_log2 : In(4), head_blocks : In(4)
    position : In(5), of the first token within the last page
    scale : In(32), float
    i_pages : In(stream.Signature(page_job)), the K segments in order
    i : In(stream.Signature(result)), scores, never refused
    exponents : Out(read_port), V's, a block for each quantizer; address: block / quantizers, then slot
    probabilities : Out(write_port), address: block, row group, slot; one mask bit per bank
    page_done : Out(1), pulse: everything about a page is written
    reciprocals : In(read_port), 1 / total of R rows; address: row group of the pass, then slot of its last page
    overflow : Out(1), a score was saturated
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.shape = shape = AttentionShape(interfaces)
        super().__init__(
            {
                "launch": In(1),
                "last_row": In(16),
                "group": In(8),
                "sub_heads_log2": In(4),
                "head_blocks": In(4),
                "position": In(5),
                "scale": In(FLOAT),
                "i_pages": In(stream.Signature(shape.page_job)),
                "i": In(stream.Signature(interfaces.result)),
                "exponents": Out(read_port(shape.exponent_bits, shape.quantizers * BLOCK * 8)),
                "probabilities": Out(write_port(shape.probability_bits, interfaces.am_word, shape.rows)),
                "page_done": Out(1),
                "reciprocals": In(read_port(shape.group_bits + shape.slot_bits, shape.factors)),
                "overflow": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.scale = scale = SoftmaxScale(interfaces=self.interfaces)
        m.submodules.power = power = SoftmaxPower(interfaces=self.interfaces)
        m.submodules.quantize = quantize = SoftmaxQuantize(interfaces=self.interfaces)
        # Wide multipliers: every lane takes four and keeps them busy. A reciprocal, one a row, is left to LUTs.
        wide = self.interfaces.config.array.multiplier_bits > 18
        m.submodules.totals = totals = Totals(shape=self.shape, in_logic=wide)
        for name in ("launch", "last_row", "group", "sub_heads_log2", "position", "scale"):
            m.d.comb += getattr(scale, name).eq(getattr(self, name))
        connect(m, flipped(self.i_pages), scale.i_pages)
        connect(m, flipped(self.i), scale.i)
        connect(m, scale.o, power.i)
        connect(m, power.fixed, scale.ring)
        connect(m, power.o, quantize.i)
        connect(m, quantize.powers, power.ring)
        # Whether a total is free is late in a cycle, and the queue of sums decides what the exponentials begin.
        m.submodules.summed = summed_rows = SkidBuffer(totals.layout)
        connect(m, power.o_sum, summed_rows.i)
        connect(m, summed_rows.o, totals.i)
        connect(m, quantize.exponents, flipped(self.exponents))
        connect(m, quantize.probabilities, flipped(self.probabilities))
        connect(m, flipped(self.reciprocals), totals.reciprocals)
        # A page is done when its probabilities and its totals are; either may come first.
        written = Signal(range(self.shape.slots + 1))
        summed = Signal(range(self.shape.slots + 1))
        m.d.comb += [
            scale.freed.eq(power.freed),
            power.ring_freed.eq(quantize.freed),
            quantize.head_blocks.eq(self.head_blocks),
            self.overflow.eq(scale.overflow),
            self.page_done.eq((written != 0) & (summed != 0)),
        ]
        m.d.sync += [
            written.eq(written + quantize.page_done - self.page_done),
            summed.eq(summed + totals.page_done - self.page_done),
        ]
        return m
