"""The sum of a row, and the addition that follows it."""

from amaranth.hdl import C, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...arch.formats import BLOCK
from ..arithmetic.add import FloatAdd
from ..arithmetic.block_sum import BlockSum, add_lanes
from ..arithmetic.common import delay_valid
from ..arithmetic.serial_sum import SerialSum
from ..interfaces import FLOAT

_SERIAL_LANES = 2
"""With two lanes a block takes 16 cycles, and a block's 15 additions above the lanes and the total's fit one adder."""


class RowSum(wiring.Component):
    """Sums blocks of 32 values in the order of docs/numerics.md, section 2; then adds two others, with the same adder.

    Words come V a cycle; a block may not end earlier than `FloatAdd.latency` cycles after the one before it. Two
    lanes take two adders, the second in a `SerialSum`; more lanes take those of `BlockSum` and one for the total.

    Parameters
    ----------
    lanes : int
        V.

    Members
    -------
    start : In(1), pulse: begin a row
    valid : In(1); i : In(ArrayLayout(32 bits, lanes))
    summed : Out(1), `o` is the sum of the blocks so far
    add_valid : In(1); a, b : In(32), an addition between rows
    added : Out(1), `o` is its result
    o : Out(32)
    overflow : Out(1), `o` was saturated
    """

    def __init__(self, *, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(
            {
                "start": In(1),
                "valid": In(1),
                "i": In(data.ArrayLayout(FLOAT, lanes)),
                "summed": Out(1),
                "add_valid": In(1),
                "a": In(FLOAT),
                "b": In(FLOAT),
                "added": Out(1),
                "o": Out(FLOAT),
                "overflow": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.lanes == _SERIAL_LANES:
            self._serial(m)
        else:
            self._parallel(m)
        return m

    def _serial(self, m: Module) -> None:
        m.submodules.serial = serial = SerialSum(levels=(BLOCK // self.lanes).bit_length() - 1, total=True)
        value, valid = add_lanes(m, [self.i[lane] for lane in range(self.lanes)], self.valid)
        m.d.comb += [
            serial.start.eq(self.start),
            serial.valid.eq(valid),
            serial.i.eq(value),
            serial.add_valid.eq(self.add_valid),
            serial.a.eq(self.a),
            serial.b.eq(self.b),
            self.summed.eq(serial.o_valid),
            self.added.eq(serial.added),
            self.o.eq(serial.o),
            self.overflow.eq(serial.overflow),
        ]

    def _parallel(self, m: Module) -> None:
        m.submodules.block_sum = block_sum = BlockSum(lanes=self.lanes)
        m.submodules.add = add = FloatAdd()
        # The sum so far comes out of the adder in the very cycle in which the next block may need it.
        total = Signal(32, reset_less=True)
        with m.If(self.summed):
            m.d.sync += total.eq(add.o)
        with m.If(self.start):
            m.d.sync += total.eq(0)
        m.d.comb += [
            block_sum.valid.eq(self.valid),
            block_sum.i.eq(self.i),
            add.en.eq(C(1)),
            add.a.eq(Mux(self.add_valid, self.a, Mux(self.summed, add.o, total))),
            add.b.eq(Mux(self.add_valid, self.b, block_sum.o)),
            self.summed.eq(delay_valid(m, block_sum.o_valid, FloatAdd.latency, name="summed")),
            self.added.eq(delay_valid(m, self.add_valid, FloatAdd.latency, name="added")),
            self.o.eq(add.o),
            self.overflow.eq(add.overflow & (self.summed | self.added)),
        ]
