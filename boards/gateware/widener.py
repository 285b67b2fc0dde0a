"""A narrow AXI4 port on a memory that is twice as wide."""

from functools import partial

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...hdl.axi import axi4_read, axi4_write
from ...hdl.common import Queue, bits_for
from .addresses import held_addresses, member

IN_FLIGHT = 16
"""Bursts of a direction that are known at a time, as many as are read or written; further ones wait."""


class Widener(wiring.Component):
    """Two beats become one, and each burst a single shorter one, whose first and last beat may be used by half.

    An address takes a cycle; a beat written leaves the cycle after its second half was taken, a beat read begins a
    cycle after it came. Neither loses a cycle: the narrow side sets the pace. Bursts must be INCR and of full width, as
    the accelerator's are. A half that was not to be written has no strobes. Data to write waits for its address.

    Cost: both widths and half of the narrow one, two addresses each way, and what is known of the bursts in registers.

    Parameters
    ----------
    data_bits : int
        Of the narrow side.
    address_bits : int
        Of both.

    Members
    -------
    reads : In(axi4_read), writes : In(axi4_write); ids have one bit
    wide_reads : Out(axi4_read), wide_writes : Out(axi4_write)
    """

    def __init__(self, *, data_bits: int, address_bits: int) -> None:
        self.data_bits = data_bits
        self.lane = bits_for(data_bits // 8)
        narrow = {"address_bits": address_bits, "data_bits": data_bits, "id_bits": 1}
        wide = {**narrow, "data_bits": 2 * data_bits}
        super().__init__(
            {
                "reads": In(axi4_read(**narrow)),
                "writes": In(axi4_write(**narrow)),
                "wide_reads": Out(axi4_read(**wide)),
                "wide_writes": Out(axi4_write(**wide)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._scatter(m, self._addresses(m, "ar", self.reads, self.wide_reads))
        self._gather(m, self._addresses(m, "aw", self.writes, self.wide_writes))
        return m

    def _addresses(self, m: Module, channel: str, narrow: wiring.PureInterface, wide: wiring.PureInterface) -> Queue:
        """Passes them on; returns for each burst in which half it begins and ends."""

        m.submodules[f"{channel}_known"] = known = Queue(
            shape=data.StructLayout({"begin": 1, "end": 1}), depth=IN_FLIGHT
        )
        taken = held_addresses(m, channel, narrow)
        of, now = partial(member, wide, channel), taken.payload
        beats = Signal(9, name=f"{channel}_beats")
        begin = now.addr[self.lane]
        m.d.comb += [
            beats.eq(now.len + begin),
            of("addr").eq(Cat(Const(0, self.lane + 1), now.addr[self.lane + 1 :])),
            of("len").eq(beats[1:]),
            of("size").eq(self.lane + 1),
            of("burst").eq(now.burst),
            of("id").eq(now.id),
            # Both take it, or neither.
            of("valid").eq(taken.valid & known.i.ready),
            known.i.valid.eq(taken.valid & of("ready")),
            taken.ready.eq(of("ready") & known.i.ready),
            known.i.payload.begin.eq(begin),
            known.i.payload.end.eq(beats[0]),
        ]
        return known

    def _scatter(self, m: Module, known: Queue) -> None:
        """What was read: one half goes into a register before the port, the other one waits behind it."""
        narrow, wide, burst = self.reads, self.wide_reads, known.o.payload
        first, waits = Signal(init=1), Signal()
        half, last = Signal(self.data_bits), Signal()
        free, only_low, only_high = Signal(), Signal(), Signal()
        m.d.comb += [
            free.eq(~narrow.rvalid | narrow.rready),
            wide.rready.eq(free & ~waits),
            only_high.eq(first & burst.begin),
            only_low.eq(wide.rlast & ~burst.end),
            known.o.ready.eq(wide.rvalid & wide.rready & wide.rlast),
        ]
        with m.If(free):
            m.d.sync += narrow.rvalid.eq(waits | wide.rvalid)
            with m.If(waits):
                m.d.sync += [waits.eq(0), narrow.rdata.eq(half), narrow.rlast.eq(last)]
            with m.Elif(wide.rvalid):
                low, high = wide.rdata[: self.data_bits], wide.rdata[self.data_bits :]
                m.d.sync += [
                    first.eq(wide.rlast),
                    waits.eq(~only_low & ~only_high),
                    half.eq(high),
                    last.eq(wide.rlast),
                    narrow.rdata.eq(Mux(only_high, high, low)),
                    narrow.rlast.eq(wide.rlast & (only_low | only_high)),
                    narrow.rid.eq(wide.rid),
                    narrow.rresp.eq(wide.rresp),
                ]

    def _gather(self, m: Module, known: Queue) -> None:
        """What is to be written: a beat leaves with its upper half, or with the last half of a burst."""
        narrow, wide = self.writes, self.wide_writes
        first, upper, in_upper, takes = Signal(init=1), Signal(), Signal(), Signal()
        m.d.comb += [
            narrow.wready.eq(known.o.valid & (~wide.wvalid | wide.wready)),
            takes.eq(narrow.wvalid & narrow.wready),
            known.o.ready.eq(takes & narrow.wlast),
            in_upper.eq(Mux(first, known.o.payload.begin, upper)),
            narrow.bid.eq(wide.bid),
            narrow.bresp.eq(wide.bresp),
            narrow.bvalid.eq(wide.bvalid),
            wide.bready.eq(narrow.bready),
        ]
        lanes = len(narrow.wstrb)
        with m.If(wide.wready):
            m.d.sync += wide.wvalid.eq(0)
        with m.If(takes):
            m.d.sync += [
                first.eq(narrow.wlast),
                upper.eq(~in_upper),
                wide.wvalid.eq(in_upper | narrow.wlast),
                wide.wlast.eq(narrow.wlast),
            ]
            with m.If(in_upper):
                m.d.sync += [wide.wdata[self.data_bits :].eq(narrow.wdata), wide.wstrb[lanes:].eq(narrow.wstrb)]
                with m.If(first):
                    m.d.sync += wide.wstrb[:lanes].eq(0)
            with m.Else():
                m.d.sync += [wide.wdata[: self.data_bits].eq(narrow.wdata), wide.wstrb.eq(narrow.wstrb)]
