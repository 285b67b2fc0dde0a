"""What a normalisation must know of a row before it scales it: its mean, or the reciprocal of its deviation."""

from amaranth.hdl import C, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic.add import FloatAdd
from ..arithmetic.block_sum import BlockSum
from ..arithmetic.common import delay_valid
from ..arithmetic.multiply import FloatMultiply
from ..arithmetic.reciprocal import ReciprocalSqrt
from ..interfaces import FLOAT


class RowStatistics(wiring.Component):
    """Sums `blocks` blocks of 32 values in the order of docs/numerics.md, section 2, and finishes as section 5 asks.

    mean = mul(sum, inv_n), or r = rsqrt(add(mul(sum, inv_n), eps)). Words come V a cycle, but a block may not begin
    earlier than `FloatAdd.latency` cycles after the one before it. Cost: the adders of `BlockSum`, an adder, a
    multiplier and a reciprocal square root. From the last word to the result: `BlockSum`'s tree, then 11 cycles for the
    mean, 23 for r; `done` is `lead` cycles earlier.

    Parameters
    ----------
    lanes : int
        V.

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

    def __init__(self, *, lanes: int) -> None:
        self.lanes = lanes
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
        m.submodules.block_sum = block_sum = BlockSum(lanes=self.lanes)
        m.submodules.add = add = FloatAdd()
        m.submodules.multiply = multiply = FloatMultiply()
        m.submodules.root = root = ReciprocalSqrt()
        m.d.comb += [
            block_sum.valid.eq(self.valid),
            block_sum.i.eq(self.i),
            add.en.eq(C(1)),
            multiply.en.eq(C(1)),
            root.en.eq(C(1)),
        ]

        # The sum so far comes out of the adder in the very cycle in which the next block may need it.
        total = Signal(32, reset_less=True)
        left = Signal(12)
        with_eps = Signal()
        summed = delay_valid(m, block_sum.o_valid, FloatAdd.latency, name="summed")
        with m.If(summed):
            m.d.sync += [total.eq(add.o), left.eq(left - 1)]
        with m.If(self.start):
            m.d.sync += [total.eq(0), left.eq(self.blocks)]
        complete = Signal()
        m.d.comb += [
            complete.eq(summed & (left == 1)),
            add.a.eq(Mux(with_eps, multiply.o, Mux(summed, add.o, total))),
            add.b.eq(Mux(with_eps, self.eps, block_sum.o)),
            multiply.a.eq(add.o),
            multiply.b.eq(self.inv_n),
            root.a.eq(add.o),
        ]
        averaged = delay_valid(m, complete & self.mean_wanted, FloatMultiply.latency, name="averaged")
        product = delay_valid(m, complete & ~self.mean_wanted, FloatMultiply.latency, name="product")
        m.d.comb += with_eps.eq(product)
        deviation = delay_valid(m, with_eps, FloatAdd.latency, name="deviation")
        rooted = delay_valid(m, deviation, ReciprocalSqrt.latency, name="rooted")

        with m.If(averaged):
            m.d.sync += self.mean.eq(multiply.o)
        with m.If(rooted):
            m.d.sync += self.r.eq(root.o)
        mean_soon = delay_valid(m, complete & self.mean_wanted, FloatMultiply.latency - self.lead, name="mean_soon")
        root_soon = delay_valid(m, deviation, ReciprocalSqrt.latency - self.lead, name="root_soon")
        m.d.sync += [
            self.done.eq(mean_soon | root_soon),
            self.overflow.eq(((summed | deviation) & add.overflow) | ((averaged | product) & multiply.overflow)),
        ]
        return m
