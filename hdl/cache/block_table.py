"""Which physical page holds which positions of which sequence."""

from amaranth.hdl import C, Cat, Module, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ..common import address_bits, pick
from ..interfaces import Interfaces, lookup_port

LOOKUPS = ("stream", "writer")


class BlockTable(wiring.Component):
    """A block table for every sequence; a lookup answers one cycle after `sequence` and `index`.

    A lookup is `mapped` when the sequence exists and is open, `index` is below its mapped length, and the page number
    is one of the cache's; otherwise `page` means nothing. Opening a sequence, or closing it, unmaps all its pages.
    Writing a page maps it and, if it was the last, makes the sequence longer: the host writes pages in ascending order.
    A write outside the table, or to a closed sequence, is ignored.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    write : In(1), pulse: store `page` at `write_index` of `write_sequence`, visible two cycles later
    control : In(1), pulse: open (`control_open`) or close `write_sequence`
    write_sequence : In(6), write_index : In(16), write_page : In(16), control_open : In(1)
    status_sequence : In(6), sequence_open : Out(1), whether it is open, in the same cycle
    stream, writer : In(lookup_port())
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        cache = interfaces.config.cache
        self.pages = cache.pages
        self.sequences = cache.sequences
        self.length = cache.pages_per_sequence
        super().__init__(
            {
                "write": In(1),
                "control": In(1),
                "control_open": In(1),
                "write_sequence": In(6),
                "write_index": In(16),
                "write_page": In(16),
                "status_sequence": In(6),
                "sequence_open": Out(1),
            }
            | {name: In(lookup_port()) for name in LOOKUPS}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        index_bits, sequence_bits = address_bits(self.length), address_bits(self.sequences)
        table = memory.Memory(shape=16, depth=1 << (index_bits + sequence_bits), init=[])
        lengths = memory.Memory(shape=index_bits + 1, depth=1 << sequence_bits, init=[])
        m.submodules.entries, m.submodules.lengths = table, lengths
        is_open = Signal(self.sequences)
        flags = [is_open[s] for s in range(self.sequences)]

        def known(sequence: Signal, name: str) -> Signal:
            """Whether a sequence exists and is open."""
            result = Signal(name=f"{name}_open")
            m.d.comb += result.eq(
                pick(m, flags, sequence[:sequence_bits], name=f"{name}_flag") & self._exists(sequence)
            )
            return result

        m.d.comb += self.sequence_open.eq(known(self.status_sequence, "status"))
        for name in LOOKUPS:
            port = getattr(self, name)
            entry, length = table.read_port(), lengths.read_port()
            open_now, index = Signal(name=f"{name}_was_open"), Signal(15, name=f"{name}_index")
            m.d.sync += [open_now.eq(known(port.sequence, name)), index.eq(port.index)]
            m.d.comb += [
                entry.addr.eq(Cat(port.index[:index_bits], port.sequence[:sequence_bits])),
                entry.en.eq(1),
                length.addr.eq(port.sequence[:sequence_bits]),
                length.en.eq(1),
                port.page.eq(entry.data),
                port.mapped.eq(open_now & (index < length.data) & (entry.data < self.pages)),
            ]
        self._writes(m, table, lengths, is_open, known(self.write_sequence, "write"))
        return m

    def _exists(self, sequence: Value) -> Value:
        return sequence < self.sequences if self.sequences < 1 << len(sequence) else C(1)

    def _writes(
        self, m: Module, table: memory.Memory, lengths: memory.Memory, is_open: Signal, legal_sequence: Signal
    ) -> None:
        index_bits, sequence_bits = address_bits(self.length), address_bits(self.sequences)
        entry, length, before = table.write_port(), lengths.write_port(), lengths.read_port()
        sequence = self.write_sequence[:sequence_bits]
        legal = Signal()
        m.d.comb += [
            legal.eq(self.write & legal_sequence & (self.write_index < self.length)),
            entry.addr.eq(Cat(self.write_index[:index_bits], sequence)),
            entry.data.eq(self.write_page),
            entry.en.eq(legal),
            before.addr.eq(sequence),
            before.en.eq(legal),
        ]
        # The length follows a cycle later.
        mapped = Signal()
        reset = Signal()
        last_sequence = Signal(sequence_bits)
        last_index = Signal(index_bits + 1)
        m.d.sync += [
            mapped.eq(legal),
            reset.eq(self.control & self._exists(self.write_sequence)),
            last_sequence.eq(sequence),
            last_index.eq(self.write_index[:index_bits] + 1),
        ]
        m.d.comb += length.addr.eq(last_sequence)
        with m.If(reset):
            m.d.comb += length.en.eq(1)
        with m.Elif(mapped & (last_index > before.data)):
            m.d.comb += [length.en.eq(1), length.data.eq(last_index)]
        with m.If(self.control):
            for number in range(self.sequences):
                with m.If(self.write_sequence == number):
                    m.d.sync += is_open[number].eq(self.control_open)
