"""An AXI4 memory of the block RAMs of an FPGA."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In

from ...hdl.axi import RESPONSE_DECERR, RESPONSE_OKAY, axi4_read, axi4_write
from ...hdl.common import ANY_ON_COLLISION, bits_for, pick

COLUMN_BEATS = 2048
"""Beats of a column: the depth of an ECP5 block RAM that is a byte wide (2048 x 9 bits, of which 8 are used)."""

GROUP = 4
"""Columns that share registers at their addresses and behind their data."""


class BlockMemory(wiring.Component):
    """Columns of block RAM, a byte lane each, behind an AXI4 port that reads and writes at the same time.

    Reads: one beat a cycle, burst after burst without a gap, the first beat six cycles after its address was taken;
    a `rready` that is low stops all of it. Writes: a burst of n beats takes n + 2 cycles and is answered behind its
    last beat, when reads see it. A burst that begins behind the memory is answered with DECERR and writes nothing.
    What a read gives of bytes that are written in the cycle in which it reads them is not defined; of the other bytes
    of the beat it is, since no two lanes share a block RAM. The accelerator reads pages in which it writes other
    positions. Bursts must be INCR, of full width and within a page of 4 KiB, as its are.

    Cost on ECP5: `beats` / 2048 x bus bytes block RAMs of 2 KiB each, and some 40 LUTs and 60 registers a column of
    64 bits.

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
        self.columns = len(contents) // COLUMN_BEATS
        widths = {"address_bits": address_bits, "data_bits": data_bits, "id_bits": 1}
        super().__init__({"reads": In(axi4_read(**widths)), "writes": In(axi4_write(**widths))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._shift = bits_for(self.data_bits // 8)
        self._beat_bits = bits_for(len(self.contents))
        self._write_ports, self._read_ports = [], []
        for column in range(self.columns):
            words = self.contents[column * COLUMN_BEATS : (column + 1) * COLUMN_BEATS]
            store = memory.Memory(shape=self.data_bits, depth=COLUMN_BEATS, init=words, attrs=ANY_ON_COLLISION)
            m.submodules[f"column_{column}"] = store
            self._write_ports.append(store.write_port(granularity=8))
            self._read_ports.append(store.read_port())
        self._read(m)
        self._write(m)
        return m

    def _outside(self, address: Value) -> Value:
        return address[self._shift :] >= len(self.contents)

    def _read(self, m: Module) -> None:
        """A burst's beats, then five registers, since the block RAMs are all over the chip.

        At the addresses of the beat's group of columns, in the block RAM, behind the choice of a column, on the way
        from the group, behind the choice of a group.
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
        low, group_low = bits_for(COLUMN_BEATS), bits_for(GROUP)
        valid, tag, where = issued, first, beat[low:]
        column_at = {}
        for name in ("addressed", "fetched", "chosen", "carried"):
            before_valid, before, before_where = valid, tag, where
            valid, tag = Signal(name=name), _Tag(name)
            where = Signal.like(before_where, name=f"{name}_column")
            with m.If(go):
                m.d.sync += [valid.eq(before_valid), where.eq(before_where), *tag.take(before)]
            column_at[name] = where
        carried = []
        for index in range(0, self.columns, GROUP):
            ports = self._read_ports[index : index + GROUP]
            address = Signal(low, name=f"read_address_{index}", reset_less=True)
            word = Signal(self.data_bits, name=f"word_{index}", reset_less=True)
            on_its_way = Signal(self.data_bits, name=f"carried_{index}", reset_less=True)
            # Those of other groups stand still, which also keeps synthesis from making one register of all.
            with m.If(go & (beat[low + group_low :] == index // GROUP)):
                m.d.sync += address.eq(beat[:low])
            for port in ports:
                m.d.comb += [port.addr.eq(address), port.en.eq(go)]
            words = [Value.cast(port.data) for port in ports]
            choice = pick(m, words, column_at["fetched"][:group_low], name=f"choice_{index}")
            with m.If(go):
                m.d.sync += [word.eq(choice), on_its_way.eq(word)]
            carried.append(on_its_way)
        with m.If(go):
            m.d.sync += [
                bus.rvalid.eq(valid),
                bus.rid.eq(tag.id),
                bus.rlast.eq(tag.last),
                bus.rresp.eq(RESPONSE_OKAY),
                bus.rdata.eq(pick(m, carried, where[group_low:], name="read_word")),
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
        low = bits_for(COLUMN_BEATS)
        where = Signal.like(beat)
        # Two registers before the block RAMs; between them a group, and a column, knows itself.
        m.d.sync += [enable.eq(0), word.eq(bus.wdata), where.eq(beat)]
        for index in range(0, self.columns, GROUP):
            address = Signal(low, name=f"write_address_{index}", reset_less=True)
            data = Signal(self.data_bits, name=f"write_data_{index}", reset_less=True)
            with m.If(where[low + bits_for(GROUP) :] == index // GROUP):
                m.d.sync += [address.eq(where[:low]), data.eq(word)]
            for column, port in enumerate(self._write_ports[index : index + GROUP], index):
                lanes = Signal(len(enable), name=f"lanes_{column}")
                m.d.sync += lanes.eq(enable & (where[low:] == column).replicate(len(enable)))
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
