"""Pages from the stream and from the tail buffer, as the tiles that the engine multiplies."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...arch.formats import BLOCK
from ..cache.tail_buffer import tail_ports
from ..common import bits_for, parts, pick
from ..interfaces import Interfaces, read_port
from .exponent_buffer import ExponentBuffer
from .shape import AttentionShape


class KvMerger(wiring.Component):
    """K and V segments to tiles: KB x 32 / C tiles a segment, one a cycle.

    A K segment starts with the exponents of K and V, read before its tiles; V's stay in the slot until `page_done`. In
    the last page, positions that earlier steps completed come from the stream, those of this chunk from the tail
    buffer, the rest are zero. A last page without completed positions takes nothing from the stream.

    Tiles of K: channel = position, with its exponent. Tiles of V: channel = dim, exponent 0 (the softmax takes V's).

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    position : In(5), positions of the last page that are complete in memory
    rows : In(6), positions of the chunk
    head_blocks : In(4)
    i : In(stream.Signature(page_job))
    i_payload : In(stream.Signature(C x 32 bytes))
    i_exponents : In(stream.Signature(beat))
    tail_words, tail_exponents : Out(read_port), of the tail buffer
    exponents : In(read_port), V's, a block for each quantizer; address: block / quantizers, then slot
    settled : In(1), the chunk's keys and values are in the tail buffer, which is not read before
    page_done : In(1), pulse: the softmax needs the exponents of the oldest page no more
    o : Out(stream.Signature(tile))

    Attributes
    ----------
    starved : Signal, the stream's payload is missing; for the trace
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.shape = shape = AttentionShape(interfaces)
        self.starved = Signal()
        tail = tail_ports(interfaces)
        super().__init__(
            {
                "position": In(5),
                "rows": In(6),
                "head_blocks": In(4),
                "i": In(stream.Signature(shape.page_job)),
                "i_payload": In(stream.Signature(shape.channels * BLOCK * 8)),
                "i_exponents": In(stream.Signature(interfaces.bus_bytes * 8)),
                "tail_words": Out(tail["words"]),
                "tail_exponents": Out(tail["exponents"]),
                "exponents": In(read_port(shape.exponent_bits, shape.quantizers * BLOCK * 8)),
                "settled": In(1),
                "page_done": In(1),
                "o": Out(stream.Signature(interfaces.tile)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, page = self.shape, self.i.payload
        m.submodules.buffer = buffer = ExponentBuffer(interfaces=self.interfaces)
        connect(m, flipped(self.i_exponents), buffer.i)
        connect(m, buffer.tail, flipped(self.tail_exponents))
        connect(m, flipped(self.exponents), buffer.values)

        # Which positions of the page come from where.
        stored = Signal(BLOCK)
        chunk = Signal(BLOCK)
        before = Signal(BLOCK)
        through = Signal(BLOCK)
        end = Signal(6)
        m.d.comb += end.eq(self.position + self.rows)
        m.d.sync += [
            Cat(before).eq(Cat(*(self.position > position for position in range(BLOCK - 1)), 0)),
            Cat(through).eq(Cat(end > position for position in range(BLOCK))),
        ]
        m.d.comb += [
            buffer.stored.eq(Mux(page.last, before, ~0)),
            buffer.chunk.eq(Mux(page.last, through & ~before, 0)),
            buffer.page.eq(page),
            buffer.settled.eq(self.settled),
            buffer.head_blocks.eq(self.head_blocks),
        ]

        # Registers, for a tile's width of multiplexers behind them; the first tile follows its page a cycle later.
        takes_payload = Signal()
        m.d.sync += [
            stored.eq(buffer.stored),
            chunk.eq(buffer.chunk),
            takes_payload.eq(buffer.stored.any()),
        ]

        held_pages = Signal(range(shape.slots + 1))
        tile = Signal(9)
        start = Signal()
        issue, here, leave, done = (Signal(name=name) for name in ("issue", "here", "leave", "done"))
        count = Signal(9)
        m.d.comb += count.eq(self.head_blocks << bits_for(shape.tiles))
        with m.FSM(name="merger"):
            with m.State("Wait For Segment"):
                m.d.sync += tile.eq(0)
                with m.If(self.i.valid & page.value):
                    m.next = "Tiles"
                with m.Elif(self.i.valid & (held_pages != shape.slots)):
                    m.d.comb += [start.eq(1), buffer.start.eq(1)]
                    m.next = "Exponents"
            with m.State("Exponents"):
                with m.If(buffer.done):
                    m.next = "Tiles"
            with m.State("Tiles"):
                m.d.comb += [
                    issue.eq((tile != count) & (~here | leave)),
                    done.eq((tile == count) & leave),
                    self.i.ready.eq(done),
                ]
                with m.If(issue):
                    m.d.sync += tile.eq(tile + 1)
                with m.If(done):
                    m.next = "Wait For Segment"
        m.d.sync += held_pages.eq(held_pages + start - self.page_done)
        with m.If(issue):
            m.d.sync += here.eq(1)
        with m.Elif(leave):
            m.d.sync += here.eq(0)

        # One cycle after `issue` the words from the memories are here and stay until the tile leaves.
        block, part = tile[bits_for(shape.tiles) :], tile[: bits_for(shape.tiles)]
        first_word = Cat(C(0, bits_for(shape.tiles)), page.head_block)
        m.d.comb += [
            self.tail_words.en.eq(issue),
            self.tail_words.address.eq(Cat((first_word + tile)[: len(self.tail_words.address) - 1], page.value)),
            buffer.keys.en.eq(issue),
            buffer.keys.address.eq(block),
        ]
        part_here = Signal(max(1, bits_for(shape.tiles)))
        # Of a K tile: its positions that come from where.
        part_stored, part_chunk = (Signal(shape.channels, name=name) for name in ("part_stored", "part_chunk"))
        with m.If(issue):
            m.d.sync += [
                part_here.eq(part),
                part_stored.eq(pick(m, parts(stored, shape.channels), part, name="next_stored")),
                part_chunk.eq(pick(m, parts(chunk, shape.channels), part, name="next_chunk")),
            ]
        m.d.comb += [
            self.o.valid.eq(here & (self.i_payload.valid | ~takes_payload)),
            self.i_payload.ready.eq(here & takes_payload & self.o.ready),
            leave.eq(self.o.valid & self.o.ready),
            self.starved.eq(here & takes_payload & ~self.i_payload.valid),
        ]
        part_exponents = pick(m, parts(buffer.keys.data, shape.channels * 8), part_here, name="part_exponents")
        self._merge(m, (stored, chunk), (part_stored, part_chunk), part_exponents)
        return m

    def _merge(
        self, m: Module, lanes: tuple[Signal, Signal], positions: tuple[Signal, Signal], exponents: Value
    ) -> None:
        """Bytes from the stream and from the tail: of V by lane, of K by channel."""
        shape, value = self.shape, self.i.payload.value
        for channel in range(shape.channels):
            for lane in range(BLOCK):
                low = (channel * BLOCK + lane) * 8
                from_stream, from_tail = (
                    Mux(value, of_lane[lane], of_position[channel])
                    for of_lane, of_position in zip(lanes, positions, strict=True)
                )
                m.d.comb += Value.cast(self.o.payload.weights[channel][lane]).eq(
                    Mux(from_stream, self.i_payload.payload[low : low + 8], 0)
                    | Mux(from_tail, self.tail_words.data[low : low + 8], 0)
                )
            exponent = exponents.word_select(channel, 8).as_signed()
            m.d.comb += [
                self.o.payload.significand[channel].eq(1),
                self.o.payload.exponent[channel].eq(Mux(value, 0, exponent)),
            ]
