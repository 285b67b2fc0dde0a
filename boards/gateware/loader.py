"""Replays what the memory says of registers, once after reset."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import Out

from ...hdl.axi import BURST_INCR, axi4_read
from ...hdl.common import bits_for
from ..boot import ENTRY_FIELDS, LAST

SETTING = data.StructLayout(ENTRY_FIELDS)


class Loader(wiring.Component):
    """Reads the boot list beat by beat and hands out its entries, until one is the last.

    Parameters
    ----------
    data_bits, address_bits : int
        Of the memory's port.
    base : int
        Address of the first entry.

    Members
    -------
    reads : Out(axi4_read), single beats
    o : Out(stream.Signature(SETTING)), without the last entry, which only says that it is the last
    busy : Out(1), until that was read
    """

    def __init__(self, *, data_bits: int, address_bits: int, base: int) -> None:
        self.data_bits, self.base = data_bits, base
        super().__init__(
            {
                "reads": Out(axi4_read(address_bits=address_bits, data_bits=data_bits, id_bits=1)),
                "o": Out(stream.Signature(SETTING)),
                "busy": Out(1, init=1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        reads, entry = self.reads, self.o.payload
        address = Signal(len(reads.araddr), init=self.base)
        asked = Signal()
        # Not while it is held in reset: the memory is not, and would answer later.
        begun = Signal()
        m.d.sync += begun.eq(1)
        m.d.comb += [
            reads.araddr.eq(address),
            reads.arsize.eq(bits_for(self.data_bits // 8)),
            reads.arburst.eq(BURST_INCR),
            reads.arvalid.eq(begun & self.busy & ~asked),
            reads.rready.eq(1),
        ]
        with m.If(reads.arvalid & reads.arready):
            m.d.sync += [asked.eq(1), address.eq(address + self.data_bits // 8)]
        with m.If(reads.rvalid):
            arrived = data.View(SETTING, reads.rdata[: SETTING.size])
            m.d.sync += entry.eq(arrived)
            with m.If(arrived.register == LAST):
                m.d.sync += self.busy.eq(0)
            with m.Else():
                m.d.sync += self.o.valid.eq(1)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [self.o.valid.eq(0), asked.eq(0)]
        return m
