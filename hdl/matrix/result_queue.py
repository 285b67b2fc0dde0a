"""Results of the engine, on their way out."""

from amaranth.hdl import Module, Mux, ResetInserter, Shape, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ..interfaces import Interfaces


class ResultQueue(wiring.Component):
    """Gives out places for results, so that the pipeline in front of it needs no stall.

    There is a place for every accumulator: all of them are ready at once, and leave slower than they come.

    A place is taken with its tag when a micro-op issues, filled with values when they leave the adder, in the same
    order, and free again when the result is transferred at `o`.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    room : Out(1), a place can be taken in this cycle
    take : In(1), takes a place; only while `room`
    tag : In(tag)
    fill : In(1), the values of the oldest place not yet filled
    values : In, R x C float32
    o : Out(stream.Signature(result))
    clear : In(1), forgets everything, the places taken as well
    """

    def __init__(self, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        super().__init__(
            {
                "room": Out(1, init=1),
                "take": In(1),
                "tag": In(interfaces.tag),
                "fill": In(1),
                "values": In(interfaces.result["values"].shape),
                "o": Out(stream.Signature(interfaces.result)),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self.interfaces.derived.accumulators
        tags = SyncFIFO(width=Shape.cast(self.interfaces.tag).width, depth=depth)
        values = SyncFIFOBuffered(width=len(Value.cast(self.values)), depth=depth)
        m.submodules.tags = ResetInserter(self.clear)(tags)
        m.submodules.values = ResetInserter(self.clear)(values)
        places = Signal(range(depth + 1), init=depth)
        transfer = Signal()
        # Known a cycle ahead.
        m.d.sync += self.room.eq(Mux(self.take, places > 1, places != 0) | transfer | self.clear)
        m.d.comb += [
            tags.w_en.eq(self.take),
            tags.w_data.eq(self.tag),
            values.w_en.eq(self.fill),
            values.w_data.eq(self.values),
            self.o.valid.eq(values.r_rdy),
            Value.cast(self.o.payload.tag).eq(tags.r_data),
            Value.cast(self.o.payload["values"]).eq(values.r_data),
            transfer.eq(self.o.valid & self.o.ready),
            tags.r_en.eq(transfer),
            values.r_en.eq(transfer),
        ]
        with m.If(self.clear):
            m.d.sync += places.eq(depth)
        with m.Else():
            m.d.sync += places.eq(places - self.take + transfer)
        return m
