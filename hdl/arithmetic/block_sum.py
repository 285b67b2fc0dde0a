"""The sum of 32 floats in the one order that numerics.md, section 2, defines."""

from amaranth.hdl import C, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...arch.formats import BLOCK
from ..interfaces import FLOAT
from .add import FloatAdd
from .common import check_flag, delay_valid
from .serial_sum import SerialSum


def add_lanes(m: Module, values: list[Value], valid: Value, *, positive: bool = False) -> tuple[Value, Value]:
    """A tree of adders over some values, a result a cycle: the sum, and `valid` as late as that."""
    level = 0
    while len(values) > 1:
        pairs = zip(values[::2], values[1::2], strict=True)
        values = [_add(m, a, b, f"add_{level}_{i}", positive) for i, (a, b) in enumerate(pairs)]
        valid = delay_valid(m, valid, FloatAdd.latency, name=f"valid_{level}")
        level += 1
    return values[0], valid


class BlockSum(wiring.Component):
    """Balanced tree over blocks of 32 floats that arrive V a cycle, lowest first, at any pace; nothing waits.

    A tree of V - 1 adders. For the levels above, with 2 or 4 lanes, a `SerialSum`; with more, whose blocks follow each
    other more quickly than that gives its results, an adder for each and a register that holds the left operand until
    the right one comes.

    Parameters
    ----------
    lanes : int
        V, a power of two from 2 to 32.
    positive : bool
        No value is negative, and the adders are those of `FloatAdd` with `positive`.

    Members
    -------
    valid : In(1)
    i : In(ArrayLayout(32 bits, lanes))
    o_valid : Out(1)
    o : Out(32)
    """

    def __init__(self, *, lanes: int, positive: bool = False) -> None:
        if lanes not in (2, 4, 8, 16, 32):
            raise ValueError(f"BlockSum: lanes must be 2, 4, 8, 16 or 32, not {lanes!r}")
        check_flag("BlockSum", "positive", positive)
        self.lanes = lanes
        self.positive = positive
        super().__init__({"valid": In(1), "i": In(data.ArrayLayout(FLOAT, lanes)), "o_valid": Out(1), "o": Out(FLOAT)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = [self.i[lane] for lane in range(self.lanes)]
        value, valid = add_lanes(m, lanes, self.valid, positive=self.positive)
        levels = (BLOCK // self.lanes).bit_length() - 1
        if self.lanes <= 4:
            m.submodules.serial = serial = SerialSum(levels=levels, total=False, positive=self.positive)
            m.d.comb += [serial.valid.eq(valid), serial.i.eq(value)]
            value, valid = serial.o, serial.o_valid
        else:
            for level in range(levels):
                value, valid = self._level(m, value, valid, f"above_{level}")
        m.d.comb += [self.o.eq(value), self.o_valid.eq(valid)]
        return m

    def _level(self, m: Module, value: Value, valid: Value, name: str) -> tuple[Value, Value]:
        """Sums of two values that follow each other."""
        left = Signal(32, name=f"{name}_left", reset_less=True)
        holds = Signal(name=f"{name}_holds")
        with m.If(valid):
            m.d.sync += [holds.eq(~holds), left.eq(value)]
        result = _add(m, left, value, f"{name}_add", self.positive)
        return result, delay_valid(m, valid & holds, FloatAdd.latency, name=f"{name}_valid")


def _add(m: Module, a: Value, b: Value, name: str, positive: bool) -> Signal:
    m.submodules[name] = adder = FloatAdd(positive=positive)
    m.d.comb += [adder.en.eq(C(1)), adder.a.eq(a), adder.b.eq(b)]
    return adder.o
