"""Single accesses as an AXI4-Lite master."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...hdl.axi import axi4_lite

ACCESS = data.StructLayout({"write": 1, "address": 12, "value": 32})
"""A register's byte offset, and what to write; `value` means nothing in a read."""


class RegisterMaster(wiring.Component):
    """One access after the other: three cycles and what the other side takes. Responses are not looked at.

    Parameters
    ----------
    address_bits : int
        Of the bus; 12 at least.

    Members
    -------
    i : In(stream.Signature(ACCESS))
    done : Out(1), a pulse at the end of each access; value : Out(32), what a read gave, until the next one
    bus : Out(axi4_lite)
    """

    def __init__(self, *, address_bits: int) -> None:
        super().__init__(
            {
                "i": In(stream.Signature(ACCESS)),
                "done": Out(1),
                "value": Out(32),
                "bus": Out(axi4_lite(address_bits=address_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, access = self.bus, self.i.payload
        busy = Signal()
        m.d.comb += [
            self.i.ready.eq(~busy),
            bus.bready.eq(1),
            bus.rready.eq(1),
            bus.wstrb.eq(0b1111),
        ]
        for channel in ("aw", "w", "ar"):
            with m.If(getattr(bus, f"{channel}ready")):
                m.d.sync += getattr(bus, f"{channel}valid").eq(0)
        m.d.sync += self.done.eq(0)
        with m.If(self.i.valid & ~busy):
            m.d.sync += [
                busy.eq(1),
                bus.awaddr.eq(access.address),
                bus.araddr.eq(access.address),
                bus.wdata.eq(access.value),
                bus.awvalid.eq(access.write),
                bus.wvalid.eq(access.write),
                bus.arvalid.eq(~access.write),
            ]
        with m.If(bus.bvalid | bus.rvalid):
            m.d.sync += [busy.eq(0), self.done.eq(1)]
        with m.If(bus.rvalid):
            m.d.sync += self.value.eq(bus.rdata)
        return m
