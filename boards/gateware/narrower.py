"""A wide AXI4 port on a narrow memory."""

from functools import partial

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...hdl.axi import axi4_read, axi4_write
from ...hdl.common import bits_for
from .addresses import held_addresses, member

LONGEST = 256
"""Beats of a burst of AXI4."""


class Narrower(wiring.Component):
    """Each beat becomes several, lowest bytes first, and each burst a single longer one.

    An address takes a cycle; a beat read is complete a cycle after its last part came, a beat written begins
    the cycle after it was taken. Neither loses a cycle: the narrow side sets the pace. Bursts must be INCR and of full
    width, as the accelerator's are. A read's response is that of its last part.

    Cost: a beat read, a beat written, and two addresses each way in registers.

    Parameters
    ----------
    data_bits, narrow_bits : int
        Of the two sides; the ratio is a power of two, 2 at least.
    address_bits : int
        Of both.
    burst_beats : int
        Longest burst.

    Members
    -------
    reads : In(axi4_read), writes : In(axi4_write); ids have one bit
    narrow_reads : Out(axi4_read), narrow_writes : Out(axi4_write)
    """

    def __init__(self, *, data_bits: int, narrow_bits: int, address_bits: int, burst_beats: int) -> None:
        ratio = data_bits // narrow_bits
        if ratio < 2 or ratio & (ratio - 1) or ratio * narrow_bits != data_bits:
            raise ValueError(f"data_bits = {data_bits!r}: must be {narrow_bits} times a power of two, 2 at least")
        if burst_beats * ratio > LONGEST:
            raise ValueError(f"burst_beats = {burst_beats!r}: must be {LONGEST // ratio} at most")
        self.ratio, self.narrow_bits = ratio, narrow_bits
        wide = {"address_bits": address_bits, "data_bits": data_bits, "id_bits": 1}
        narrow = {**wide, "data_bits": narrow_bits}
        super().__init__(
            {
                "reads": In(axi4_read(**wide)),
                "writes": In(axi4_write(**wide)),
                "narrow_reads": Out(axi4_read(**narrow)),
                "narrow_writes": Out(axi4_write(**narrow)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._addresses(m, "ar", self.reads, self.narrow_reads)
        self._addresses(m, "aw", self.writes, self.narrow_writes)
        self._gather(m)
        self._scatter(m)
        return m

    def _addresses(self, m: Module, channel: str, wide: wiring.PureInterface, narrow: wiring.PureInterface) -> None:
        taken = held_addresses(m, channel, wide)
        of, now = partial(member, narrow, channel), taken.payload
        low = bits_for(self.ratio * self.narrow_bits // 8)
        m.d.comb += [
            # Of a first beat that begins behind its start all parts are wanted.
            of("addr").eq(Cat(Const(0, low), now.addr[low:])),
            of("len").eq(Cat(Const(self.ratio - 1, bits_for(self.ratio)), now.len)),
            of("size").eq(bits_for(self.narrow_bits // 8)),
            of("burst").eq(now.burst),
            of("id").eq(now.id),
            of("valid").eq(taken.valid),
            taken.ready.eq(of("ready")),
        ]

    def _gather(self, m: Module) -> None:
        """Parts that were read, shifted in from above."""
        wide, narrow = self.reads, self.narrow_reads
        part = Signal(range(self.ratio))
        m.d.comb += narrow.rready.eq(~wide.rvalid | wide.rready)
        with m.If(narrow.rready):
            m.d.sync += wide.rvalid.eq(0)
            with m.If(narrow.rvalid):
                m.d.sync += [
                    part.eq(part + 1),
                    wide.rvalid.eq(part == self.ratio - 1),
                    wide.rdata.eq(Cat(wide.rdata[self.narrow_bits :], narrow.rdata)),
                    wide.rid.eq(narrow.rid),
                    wide.rresp.eq(narrow.rresp),
                    wide.rlast.eq(narrow.rlast),
                ]

    def _scatter(self, m: Module) -> None:
        """A beat to write, shifted out from below."""
        wide, narrow = self.writes, self.narrow_writes
        part = Signal(range(self.ratio))
        words, strobes = Signal.like(wide.wdata), Signal.like(wide.wstrb)
        last, ends, gone = Signal(), Signal(), Signal()
        m.d.comb += [
            ends.eq(part == self.ratio - 1),
            gone.eq(narrow.wvalid & narrow.wready),
            narrow.wdata.eq(words),
            narrow.wstrb.eq(strobes),
            narrow.wlast.eq(last & ends),
            wide.wready.eq(~narrow.wvalid | (gone & ends)),
            wide.bid.eq(narrow.bid),
            wide.bresp.eq(narrow.bresp),
            wide.bvalid.eq(narrow.bvalid),
            narrow.bready.eq(wide.bready),
        ]
        with m.If(gone):
            m.d.sync += [
                part.eq(part + 1),
                words.eq(words >> self.narrow_bits),
                strobes.eq(strobes >> self.narrow_bits // 8),
                narrow.wvalid.eq(~ends),
            ]
        with m.If(wide.wvalid & wide.wready):
            m.d.sync += [words.eq(wide.wdata), strobes.eq(wide.wstrb), last.eq(wide.wlast), narrow.wvalid.eq(1)]
