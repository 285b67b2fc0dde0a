"""An AXI4 memory of the block RAMs of an FPGA."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ...hdl.axi import RESPONSE_DECERR, RESPONSE_OKAY, axi4_read, axi4_write
from ...hdl.common import bits_for, block_ram

COLUMN_BEATS = 2048
"""Beats of a column: the depth of an ECP5 block RAM that is a byte wide (2048 x 9 bits, of which 8 are used)."""

BANK_BEATS = 8192
"""Beats of a bank, where there are so many: the depth of a block RAM that is two bits wide. To each go a quarter of the
data wires that go to one of a column."""


def banks(beats: int) -> list[range]:
    """The beats of every bank of a memory: large ones first, then columns."""
    large, rest = divmod(beats, BANK_BEATS)
    depths = [BANK_BEATS] * large + [COLUMN_BEATS] * (rest // COLUMN_BEATS)
    starts = [sum(depths[:index]) for index in range(len(depths))]
    return [range(start, start + depth) for start, depth in zip(starts, depths, strict=True)]


class BlockMemory(wiring.Component):
    """Banks of block RAM behind an AXI4 port that reads and writes at the same time.

    Reads: one beat a cycle, burst after burst without a gap, the first beat five cycles after its address was taken;
    a `rready` that is low stops all of it. Writes: a burst of n beats takes n + 2 cycles and is answered behind its
    last beat, when reads see it. A burst that begins behind the memory is answered with DECERR and writes nothing.
    What a read gives of bytes that are written in the cycle in which it reads them is not defined; of the other bytes
    of the beat it is, since no two bytes share a block RAM. The accelerator reads pages in which it writes other
    positions. Bursts must be INCR, of full width and within a page of 4 KiB, as its are.

    Cost on ECP5: `beats` / 2048 x bus bytes block RAMs of 2 KiB each, and some 50 LUTs and 165 registers a bank
    of 64 bits.

    Parameters
    ----------
    data_bits, address_bits : int
        Of the port.
    contents : sequence of int
        A word of `data_bits` a beat; a whole number of columns.

    Members
    -------
    reads : In(axi4_read), writes : In(axi4_write); ids have one bit
    """

    def __init__(self, *, data_bits: int, address_bits: int, contents: Sequence[int]) -> None:
        if not contents or len(contents) % COLUMN_BEATS:
            raise ValueError(f"contents has {len(contents)} words: must be a multiple of {COLUMN_BEATS}, a column")
        self.data_bits, self.address_bits = data_bits, address_bits
        self.contents = contents
        self.banks = banks(len(contents))
        widths = {"address_bits": address_bits, "data_bits": data_bits, "id_bits": 1}
        super().__init__({"reads": In(axi4_read(**widths)), "writes": In(axi4_write(**widths))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._shift = bits_for(self.data_bits // 8)
        self._beat_bits = bits_for(len(self.contents))
        self._write_ports, self._read_ports = [], []
        for number, beats in enumerate(self.banks):
            words = self.contents[beats.start : beats.stop]
            store = block_ram(shape=self.data_bits, depth=len(beats), init=words)
            m.submodules[f"bank_{number}"] = store
            self._write_ports.append(store.write_port(granularity=8))
            self._read_ports.append(store.read_port())
        self._read(m)
        self._write(m)
        return m

    def _outside(self, address: Value) -> Value:
        return address[self._shift :] >= len(self.contents)

    def _bank(self, beat: Value) -> Value:
        """A bit for every bank: whether a beat is in it."""
        return Cat(beat >> bits_for(len(beats)) == beats.start // len(beats) for beats in self.banks)

    def _read(self, m: Module) -> None:
        """A burst's beats, then four registers, since the block RAMs are all over the chip.

        At the addresses of the beat's bank, in the block RAM, behind it, which are zero unless the beat is the bank's,
        and at the port.
        """
        bus = self.reads
        go = Signal()
        left = Signal(9)
        beat = Signal(self._beat_bits)
        issued = Signal()
        first = _Tag("issued")
        m.d.comb += [
            go.eq(~bus.rvalid | bus.rready),
            bus.arready.eq(go & (left <= 1)),
            issued.eq(left != 0),
            first.last.eq(left == 1),
        ]
        with m.If(go & issued):
            m.d.sync += [left.eq(left - 1), beat.eq(beat + 1)]
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [
                left.eq(bus.arlen + 1),
                beat.eq(bus.araddr[self._shift :]),
                first.id.eq(bus.arid),
                first.outside.eq(self._outside(bus.araddr)),
            ]
        valid, tag = issued, first
        for name in ("addressed", "fetched", "held"):
            before_valid, before = valid, tag
            valid, tag = Signal(name=name), _Tag(name)
            with m.If(go):
                m.d.sync += [valid.eq(before_valid), *tag.take(before)]
        words = []
        for number, (port, selected) in enumerate(zip(self._read_ports, self._bank(beat), strict=True)):
            address = Signal(len(port.addr), name=f"read_address_{number}", reset_less=True)
            word = Signal(self.data_bits, name=f"word_{number}", reset_less=True)
            # The other banks' stand still, which also keeps synthesis from making one register of all.
            with m.If(go & selected):
                m.d.sync += address.eq(beat)
            addressed = Signal(name=f"addressed_{number}")
            fetched = Signal(name=f"fetched_{number}")
            with m.If(go):
                m.d.sync += [addressed.eq(selected), fetched.eq(addressed), word.eq(Mux(fetched, port.data, 0))]
            m.d.comb += [port.addr.eq(address), port.en.eq(go)]
            words.append(word)
        with m.If(go):
            m.d.sync += [
                bus.rvalid.eq(valid),
                bus.rid.eq(tag.id),
                bus.rlast.eq(tag.last),
                bus.rresp.eq(RESPONSE_OKAY),
                bus.rdata.eq(reduce(or_, words)),
            ]
            with m.If(tag.outside):
                m.d.sync += bus.rresp.eq(RESPONSE_DECERR)

    def _write(self, m: Module) -> None:
        """One burst at a time: its address, its beats, its response."""
        bus = self.writes
        beat = Signal(self._beat_bits)
        outside = Signal()
        written = Signal()
        enable = Signal(self.data_bits // 8)
        word = Signal(self.data_bits)
        where = Signal.like(beat)
        # Two registers before the block RAMs; between them a bank knows itself.
        m.d.sync += [enable.eq(0), word.eq(bus.wdata), where.eq(beat)]
        for number, (port, selected) in enumerate(zip(self._write_ports, self._bank(where), strict=True)):
            address = Signal(len(port.addr), name=f"write_address_{number}", reset_less=True)
            data = Signal(self.data_bits, name=f"write_data_{number}", reset_less=True)
            lanes = Signal(len(enable), name=f"lanes_{number}")
            with m.If(selected):
                m.d.sync += [address.eq(where), data.eq(word)]
            m.d.sync += lanes.eq(enable & selected.replicate(len(enable)))
            m.d.comb += [port.addr.eq(address), port.data.eq(data), port.en.eq(lanes)]
        with m.FSM(name="write"):
            with m.State("Wait For Address"):
                m.d.comb += bus.awready.eq(1)
                m.d.sync += [
                    bus.bid.eq(bus.awid),
                    beat.eq(bus.awaddr[self._shift :]),
                    outside.eq(self._outside(bus.awaddr)),
                ]
                with m.If(bus.awvalid):
                    m.next = "Take Beats"
            with m.State("Take Beats"):
                m.d.comb += [bus.wready.eq(1), written.eq(bus.wvalid)]
                with m.If(written):
                    m.d.sync += [beat.eq(beat + 1), enable.eq(bus.wstrb & (~outside).replicate(len(enable)))]
                    with m.If(bus.wlast):
                        m.next = "Respond"
            with m.State("Respond"):
                m.d.comb += bus.bvalid.eq(1)
                with m.If(outside):
                    m.d.comb += bus.bresp.eq(RESPONSE_DECERR)
                with m.If(bus.bready):
                    m.next = "Wait For Address"


class _Tag:
    """What travels with a beat through the stages of a read."""

    def __init__(self, stage: str) -> None:
        self.id = Signal(name=f"{stage}_id")
        self.last = Signal(name=f"{stage}_last")
        self.outside = Signal(name=f"{stage}_outside")

    def take(self, other: "_Tag") -> list[Value]:
        """Assignments of another's."""
        pairs = ((self.id, other.id), (self.last, other.last), (self.outside, other.outside))
        return [mine.eq(theirs) for mine, theirs in pairs]
