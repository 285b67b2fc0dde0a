"""One AXI4 write master for two writers."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..axi import axi4_write

MASTERS = ("pages", "rows")
"""Who writes, by id."""


class WriteArbiter(wiring.Component):
    """Passes on bursts of two masters, burst by burst, and the responses to whom they belong.

    A master sends one burst at a time: it offers the next address when the last beat of the one before is taken. Who
    sent last may go on without delay; the other one waits a cycle, or for the end of the burst, and then goes first.

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
        for name in ("awaddr", "awlen", "awsize", "awburst", "awvalid", "wdata", "wstrb", "wlast", "wvalid"):
            first, second = (getattr(master, name) for master in masters)
            m.d.comb += getattr(axi, name).eq(Mux(owner, second, first))
        m.d.comb += [axi.awid.eq(owner), axi.bready.eq(1)]
        for index, master in enumerate(masters):
            m.d.comb += [
                master.awready.eq(axi.awready & (owner == index)),
                master.wready.eq(axi.wready & (owner == index)),
                master.bvalid.eq(axi.bvalid & (axi.bid == index)),
                master.bresp.eq(axi.bresp),
                master.bid.eq(axi.bid),
            ]
        address = address_taken | (axi.awvalid & axi.awready)
        written = data_taken | (axi.wvalid & axi.wready & axi.wlast)
        m.d.comb += [
            ends.eq(address & written),
            idle.eq(~axi.awvalid & ~axi.wvalid & ~address_taken & ~data_taken),
        ]
        m.d.sync += [address_taken.eq(address & ~ends), data_taken.eq(written & ~ends)]
        with m.If((ends | idle) & Mux(owner, masters[0].awvalid, masters[1].awvalid)):
            m.d.sync += owner.eq(~owner)
        return m
