"""What a normalisation must know of a row before it scales it: its mean, or the reciprocal of its deviation."""

from amaranth.hdl import C, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic.common import delay_valid
from ..arithmetic.multiply import FloatMultiply
from ..arithmetic.reciprocal import ReciprocalSqrt
from ..interfaces import FLOAT
from .row_sum import RowSum


class RowStatistics(wiring.Component):
    """Sums `blocks` blocks of 32 values in the order of docs/numerics.md, section 2, and finishes as section 5 asks.

    mean = mul(sum, inv_n), or r = rsqrt(add(mul(sum, inv_n), eps)). Words come V a cycle, but a block may not end
    earlier than `FloatAdd.latency` cycles after the one before it. Cost: `RowSum`, a multiplier and a reciprocal square
    root. From the sum of the row: 6 cycles to the mean, 13 and an addition to r; `done` is `lead` cycles earlier.

    Parameters
    ----------
    lanes : int
        V.
    multiplier_bits : int
        As in `FloatMultiply`.

    Members
    -------
    start : In(1), pulse: begin a row
    mean_wanted : In(1), constant during a row
    blocks : In(12), inv_n, eps : In(32), constant during a row
    valid : In(1); i : In(ArrayLayout(32 bits, lanes))
    done : Out(1), pulse: `mean` or `r` has its new value `lead` cycles later
    mean, r : Out(32), the last ones
    overflow : Out(1), a result was saturated

    Attributes
    ----------
    lead : int
        Cycles in which the next pass over the row begins: from `done` to where its first word meets the result.
    """

    lead = 5

    def __init__(self, *, lanes: int, multiplier_bits: int = 18) -> None:
        self.lanes = lanes
        self.multiplier_bits = multiplier_bits
        super().__init__(
            {
                "start": In(1),
                "mean_wanted": In(1),
                "blocks": In(12),
                "inv_n": In(FLOAT),
                "eps": In(FLOAT),
                "valid": In(1),
                "i": In(data.ArrayLayout(FLOAT, lanes)),
                "done": Out(1),
                "mean": Out(FLOAT),
                "r": Out(FLOAT),
                "overflow": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.sum = row_sum = RowSum(lanes=self.lanes)
        m.submodules.multiply = multiply = FloatMultiply(multiplier_bits=self.multiplier_bits)
        m.submodules.root = root = ReciprocalSqrt()
        left = Signal(12)
        with m.If(row_sum.summed):
            m.d.sync += left.eq(left - 1)
        with m.If(self.start):
            m.d.sync += left.eq(self.blocks)
        complete = Signal()
        m.d.comb += complete.eq(row_sum.summed & (left == 1))
        averaged = delay_valid(m, complete & self.mean_wanted, FloatMultiply.latency, name="averaged")
        product = delay_valid(m, complete & ~self.mean_wanted, FloatMultiply.latency, name="product")
        deviation = row_sum.added
        rooted = delay_valid(m, deviation, ReciprocalSqrt.latency, name="rooted")
        m.d.comb += [
            row_sum.start.eq(self.start),
            row_sum.valid.eq(self.valid),
            row_sum.i.eq(self.i),
            multiply.en.eq(C(1)),
            multiply.a.eq(row_sum.o),
            multiply.b.eq(self.inv_n),
            row_sum.add_valid.eq(product),
            row_sum.a.eq(multiply.o),
            row_sum.b.eq(self.eps),
            root.en.eq(C(1)),
            root.a.eq(row_sum.o),
        ]

        with m.If(averaged):
            m.d.sync += self.mean.eq(multiply.o)
        with m.If(rooted):
            m.d.sync += self.r.eq(root.o)
        mean_soon = delay_valid(m, complete & self.mean_wanted, FloatMultiply.latency - self.lead, name="mean_soon")
        root_soon = delay_valid(m, deviation, ReciprocalSqrt.latency - self.lead, name="root_soon")
        m.d.sync += [
            self.done.eq(mean_soon | root_soon),
            self.overflow.eq(row_sum.overflow | ((averaged | product) & multiply.overflow)),
        ]
        return m
