"""A register on both directions of a stream."""

from amaranth.hdl import Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class SkidBuffer(wiring.Component):
    """Cuts a stream's valid, payload and ready with registers; one transfer a cycle, latency one cycle.

    Holds two payloads. A slot follows the input until it is taken, so that neither side's handshake, which may be late
    in a cycle, reaches registers as wide as the payload.

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
        full = Signal(2)
        write = Signal()
        read = Signal()
        pushed = Signal()
        popped = Signal()
        slots = [Signal(self.shape, name=f"slot_{number}", reset_less=True) for number in range(2)]
        m.d.comb += [
            self.i.ready.eq(~full.all()),
            self.o.valid.eq(full.any()),
            self.o.payload.eq(Mux(read, Value.cast(slots[1]), Value.cast(slots[0]))),
            pushed.eq(self.i.valid & self.i.ready),
            popped.eq(self.o.valid & self.o.ready),
        ]
        m.d.sync += [write.eq(write ^ pushed), read.eq(read ^ popped)]
        for number, slot in enumerate(slots):
            with m.If(~full[number]):
                m.d.sync += [slot.eq(self.i.payload), full[number].eq(pushed & (write == number))]
            with m.Elif(popped & (read == number)):
                m.d.sync += full[number].eq(0)
        with m.If(self.clear):
            m.d.sync += [full.eq(0), write.eq(0), read.eq(0)]
        return m
