"""The many additions of a tree, one after the other through one adder."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ..common import Queue
from ..interfaces import FLOAT
from .add import FloatAdd
from .common import check_flag

_WAITING = 4
"""Places for pairs of inputs that wait for the adder. No pace of inputs makes more than two wait (a test searches all
states); a full queue refuses a pair even as it gives one, and four places are as cheap as three."""
_NOTHING = 0
"""What an addition makes where there is none; else a level of a tree, then a total, then what was added beside."""


class SerialSum(wiring.Component):
    """A balanced tree over each 2^levels floats, lowest first, at any pace up to one a cycle; or the sum of all trees.

    One adder is enough: a tree of n floats has n - 1 additions, its total one more. What the adder gives is kept where
    it is a left operand; where it is a right one it goes back at once, with the left one. Pairs of inputs wait for a
    cycle that no result takes. From the last float to the result: `latency` cycles for each level and for the total,
    and those that its pair has waited.

    Parameters
    ----------
    levels : int
        3 or 4; 4 where there is a total, which is back before the next tree is complete: trees are 14 cycles apart at
        least, as the same search finds.
    total : bool
        Whether the result is the sum of the trees so far, in ascending order.
    positive : bool
        No input is negative, and the adder is that of `FloatAdd` with `positive`.

    Members
    -------
    valid : In(1); i : In(32)
    o_valid : Out(1); o : Out(32), sum of a tree, or of all so far
    start : In(1), pulse: the total begins anew; where there is one
    add_valid : In(1); a, b : In(32), an addition beside while no tree is summed; where there is a total
    added : Out(1), `o` is the sum of a and b, `latency` cycles later
    overflow : Out(1), a total or a sum beside was saturated; of the trees nobody asks

    Attributes
    ----------
    latency : int
        Of an addition.
    """

    latency = 1 + FloatAdd.latency

    def __init__(self, *, levels: int, total: bool, positive: bool = False) -> None:
        if levels not in ((4,) if total else (3, 4)):
            raise ValueError(f"SerialSum: levels must be {'4' if total else '3 or 4'}, not {levels!r}")
        check_flag("SerialSum", "positive", positive)
        self.levels = levels
        self.total = total
        self.positive = positive
        signature = {"valid": In(1), "i": In(FLOAT), "o_valid": Out(1), "o": Out(FLOAT)}
        if total:
            signature |= {"start": In(1), "add_valid": In(1), "a": In(FLOAT), "b": In(FLOAT), "added": Out(1)}
            signature |= {"overflow": Out(1)}
        super().__init__(signature)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.add = adder = FloatAdd(positive=self.positive)
        pairs = self._pairs(m)
        tree, total, beside = self.levels, self.levels + 1, self.levels + 2
        goal = Signal(range(beside + 1))
        made = goal
        for stage in range(FloatAdd.latency):
            before, made = made, Signal.like(goal, name=f"made_{stage + 1}")
            m.d.sync += made.eq(before)

        # Left operands: of a level at its number, the total at that of the tree, of which two bits are enough.
        m.submodules.lefts = lefts = memory.Memory(shape=FLOAT, depth=4, init=[])
        write, left = lefts.write_port(), lefts.read_port(domain="comb")
        held = Signal(4)
        place = Signal(2)
        operand = Signal()
        again = Signal()
        m.d.comb += [
            place.eq(Mux(made == total, tree, made)),
            operand.eq((made != _NOTHING) & (made <= (total if self.total else tree - 1))),
            again.eq(operand & (made != total) & held.bit_select(place, 1)),
            left.addr.eq(place),
            write.addr.eq(place),
            write.data.eq(adder.o),
            write.en.eq(operand & ~again),
            self.o.eq(adder.o),
            self.o_valid.eq((made == total) | ((made == tree) & ~again)),
        ]
        with m.If(operand):
            m.d.sync += held.bit_select(place, 1).eq(~again)

        a = Signal(32, reset_less=True)
        b = Signal(32, reset_less=True)
        m.d.comb += [adder.en.eq(C(1)), adder.a.eq(a), adder.b.eq(b), pairs.o.ready.eq(~again)]
        m.d.sync += [Cat(a, b).eq(pairs.o.payload), goal.eq(Mux(pairs.o.valid, 1, _NOTHING))]
        if self.total:
            m.d.comb += [
                self.added.eq(made == beside),
                self.overflow.eq(adder.overflow & ((made == total) | (made == beside))),
            ]
            with m.If(self.start):
                m.d.sync += held[tree & 3].eq(0)
            with m.If(self.add_valid):
                m.d.sync += [a.eq(self.a), b.eq(self.b), goal.eq(beside)]
        with m.If(again):
            m.d.sync += [a.eq(left.data), b.eq(adder.o), goal.eq(made + 1)]
        return m

    def _pairs(self, m: Module) -> Queue:
        """Pairs of inputs: the leaves' level of the tree."""
        m.submodules.pairs = pairs = Queue(shape=64, depth=_WAITING)
        first = Signal(32, reset_less=True)
        second = Signal()
        with m.If(self.valid):
            m.d.sync += second.eq(~second)
            with m.If(~second):
                m.d.sync += first.eq(self.i)
        m.d.comb += [pairs.i.valid.eq(self.valid & second), pairs.i.payload.eq(Cat(first, self.i))]
        return pairs
