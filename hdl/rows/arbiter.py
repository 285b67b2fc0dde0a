"""One AXI4 write master for two writers."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..axi import axi4_write
from ..common import SkidBuffer

MASTERS = ("pages", "rows")
"""Who writes, by id."""

ADDRESS = ("awaddr", "awlen", "awsize", "awburst")
DATA = ("wdata", "wstrb", "wlast")


class WriteArbiter(wiring.Component):
    """Passes on bursts of two masters, burst by burst, and the responses to whom they belong.

    A master sends one burst at a time: it offers the next address when the last beat of the one before is taken. Who
    sent last may go on without delay; the other one waits a cycle, or for the end of the burst, and then goes first.

    Registers stand between masters and bus, as the memory may be far away: latency one cycle, a beat a cycle, an
    address every other one. A burst's data may leave before its address, not before the address of the burst before.

    Parameters
    ----------
    address_bits, data_bits : int

    Members
    -------
    pages, rows : In(axi4_write), id 0 and 1; axi : Out(axi4_write)
    """

    def __init__(self, *, address_bits: int, data_bits: int) -> None:
        signature = axi4_write(address_bits=address_bits, data_bits=data_bits, id_bits=1)
        super().__init__({"axi": Out(signature), **{name: In(signature) for name in MASTERS}})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        axi, masters = self.axi, [getattr(self, name) for name in MASTERS]
        owner = Signal()
        address_taken = Signal()
        data_taken = Signal()
        ends = Signal()
        idle = Signal()
        beat = data.StructLayout({name: len(getattr(axi, name)) for name in DATA})
        m.submodules.beats = beats = SkidBuffer(beat)

        def chosen(name: str) -> Value:
            return Mux(owner, getattr(masters[1], name), getattr(masters[0], name))

        address = Signal()
        written = Signal()
        takes_address = ~axi.awvalid
        # What is in the register is the address of the burst before, or of this one.
        due = address_taken | takes_address
        takes_beat = beats.i.ready & due
        m.d.comb += [
            beats.i.valid.eq(chosen("wvalid") & due),
            *(beats.i.payload[name].eq(chosen(name)) for name in DATA),
            *(getattr(axi, name).eq(beats.o.payload[name]) for name in DATA),
            axi.wvalid.eq(beats.o.valid),
            beats.o.ready.eq(axi.wready),
            axi.bready.eq(1),
        ]
        with m.If(takes_address):
            m.d.sync += [axi.awvalid.eq(chosen("awvalid")), axi.awid.eq(owner)]
            m.d.sync += [getattr(axi, name).eq(chosen(name)) for name in ADDRESS]
        with m.Elif(axi.awready):
            m.d.sync += axi.awvalid.eq(0)
        for index, master in enumerate(masters):
            m.d.comb += [
                master.awready.eq(takes_address & (owner == index)),
                master.wready.eq(takes_beat & (owner == index)),
                master.bvalid.eq(axi.bvalid & (axi.bid == index)),
                master.bresp.eq(axi.bresp),
                master.bid.eq(axi.bid),
            ]
        m.d.comb += [
            address.eq(address_taken | (chosen("awvalid") & takes_address)),
            written.eq(data_taken | (chosen("wvalid") & takes_beat & chosen("wlast"))),
            ends.eq(address & written),
            idle.eq(~chosen("awvalid") & ~chosen("wvalid") & ~address_taken & ~data_taken),
        ]
        m.d.sync += [address_taken.eq(address & ~ends), data_taken.eq(written & ~ends)]
        with m.If((ends | idle) & Mux(owner, masters[0].awvalid, masters[1].awvalid)):
            m.d.sync += owner.eq(~owner)
        return m
