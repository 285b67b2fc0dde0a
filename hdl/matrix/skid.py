"""A register on both directions of a stream."""

from amaranth.hdl import Module, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class SkidBuffer(wiring.Component):
    """Cuts a stream's valid, payload and ready with registers; one transfer a cycle, latency one cycle.

    Holds two payloads: one on offer and one that came while the first was refused.

    Parameters
    ----------
    shape : ShapeLike

    Members
    -------
    i : In(stream.Signature(shape))
    o : Out(stream.Signature(shape))
    clear : In(1), forgets both
    """

    def __init__(self, shape: ShapeLike) -> None:
        self.shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)), "clear": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spare = Signal(self.shape, reset_less=True)
        held = Signal()
        m.d.comb += self.i.ready.eq(~held)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(held | self.i.valid), held.eq(0)]
            with m.If(held):
                m.d.sync += self.o.payload.eq(spare)
            with m.Else():
                m.d.sync += self.o.payload.eq(self.i.payload)
        with m.Elif(self.i.valid & ~held):
            m.d.sync += [spare.eq(self.i.payload), held.eq(1)]
        with m.If(self.clear):
            m.d.sync += [self.o.valid.eq(0), held.eq(0)]
        return m
