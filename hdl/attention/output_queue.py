"""Results of P x V on their way to the output."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ..interfaces import Interfaces, read_port
from .shape import AttentionShape


class OutputQueue(wiring.Component):
    """Holds the results of a pass over the pages, so that the scores of the next one do not wait behind them.

    Results come all at once and leave slower. Each takes the reciprocals of its rows with it as it comes: those of a
    later page may stand in their place by the time it leaves. One a cycle; it leaves two cycles after it came.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    i : In(stream.Signature(result))
    reciprocals : Out(read_port), of R rows; address: row group of the pass, then slot of its last page
    o : Out(stream.Signature(normal))
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.shape = shape = AttentionShape(interfaces)
        super().__init__(
            {
                "i": In(stream.Signature(interfaces.result)),
                "reciprocals": Out(read_port(shape.group_bits + shape.slot_bits, shape.factors)),
                "o": Out(stream.Signature(shape.normal)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, tag = self.shape, self.i.payload.tag
        result, factors = Value.cast(self.i.payload), Value.cast(self.reciprocals.data)
        m.submodules.results = results = SyncFIFOBuffered(width=len(result), depth=shape.results)
        m.submodules.factors = followers = SyncFIFOBuffered(width=len(factors), depth=shape.results)
        taken = Signal()
        read = Signal()
        leave = Signal()
        m.d.sync += read.eq(taken)
        m.d.comb += [
            taken.eq(self.i.valid & self.i.ready),
            self.i.ready.eq(results.w_rdy),
            results.w_en.eq(taken),
            results.w_data.eq(result),
            self.reciprocals.en.eq(taken),
            self.reciprocals.address.eq(Cat(tag.row_group[: shape.group_bits], tag.slot)),
            # A result's factors come a cycle behind it, hence there is room for them.
            followers.w_en.eq(read),
            followers.w_data.eq(factors),
            self.o.valid.eq(results.r_rdy & followers.r_rdy),
            Value.cast(self.o.payload.result).eq(results.r_data),
            Value.cast(self.o.payload.factors).eq(followers.r_data),
            leave.eq(self.o.valid & self.o.ready),
            results.r_en.eq(leave),
            followers.r_en.eq(leave),
        ]
        return m
