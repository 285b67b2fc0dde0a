"""What units of every area use: bits of an index, choosing and cutting values, the queue between streams."""

from amaranth.hdl import Module, ShapeLike, Signal, Value
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

ANY_ON_COLLISION = {"no_rw_check": 1}
"""Attributes of a memory whose reads need not give the old word of one that is being written: Yosys then builds no
logic around a block RAM that would see to it."""


def bits_for(count: int) -> int:
    """Bits of an index below `count`; 0 for a single one."""
    return (count - 1).bit_length()


def address_bits(count: int) -> int:
    """Bits of a memory address below `count`, one at least: there are no ports without bits."""
    return max(1, bits_for(count))


def pick(m: Module, values: list[Value], index: Value, *, name: str) -> Value:
    """One of some values of equal width, by a case statement; the only one where there is no choice."""
    if len(values) == 1:
        return values[0]
    result = Signal(len(values[0]), name=name)
    with m.Switch(index):
        for number, value in enumerate(values):
            with m.Case(number):
                m.d.comb += result.eq(value)
    return result


def parts(value: Value, width: int) -> list[Value]:
    """A value cut into words of `width` bits, lowest first."""
    return [value[low : low + width] for low in range(0, len(value), width)]


class Queue(wiring.Component):
    """A queue in LUT RAM or registers; an element is visible at `o` the cycle after it was taken at `i`.

    Parameters
    ----------
    shape : ShapeLike
        Payload.
    depth : int
        Elements it holds, 1 at least.

    Members
    -------
    i : In(stream.Signature(shape))
    o : Out(stream.Signature(shape))
    """

    def __init__(self, *, shape: ShapeLike, depth: int) -> None:
        self.depth = depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        payload = Value.cast(self.i.payload)
        m.submodules.fifo = queue = fifo.SyncFIFO(width=len(payload), depth=self.depth)
        m.d.comb += [
            queue.w_data.eq(payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            Value.cast(self.o.payload).eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
        ]
        return m
