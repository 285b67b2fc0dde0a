"""Exponents of keys and values: from the stream and the tail buffer to merger and softmax."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.formats import BLOCK
from ..cache.tail_buffer import tail_ports
from ..common import bits_for, block_ram, parts, pick
from ..interfaces import Interfaces, read_port
from .shape import AttentionShape


class ExponentBuffer(wiring.Component):
    """Loads the exponents of one page of one virtual head: K's blocks, then V's, a beat a cycle, of wide ones a block.

    In the last page the positions of the chunk come from the tail buffer and those past it are zero; that costs another
    2 KB + 1 cycles. A last page without stored positions takes nothing from the stream.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    start : In(1), pulse: load; page : In(page_job), held until `done`
    done : Out(1), pulse: all can be read
    settled : In(1), the tail buffer has the chunk's exponents
    stored, chunk : In(32), positions of this page that come from the stream and from the tail buffer, a bit each
    head_blocks : In(4)
    i : In(stream.Signature(beat)), exponent beats
    tail : Out(read_port), exponents of the tail buffer
    keys : In(read_port), address: block
    values : In(read_port), a block for each quantizer; address: block / quantizers, then slot
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.shape = shape = AttentionShape(interfaces)
        self.bus_bytes = interfaces.bus_bytes
        super().__init__(
            {
                "start": In(1),
                "page": In(shape.page_job),
                "done": Out(1),
                "settled": In(1),
                "stored": In(BLOCK),
                "chunk": In(BLOCK),
                "head_blocks": In(4),
                "i": In(stream.Signature(self.bus_bytes * 8)),
                "tail": Out(tail_ports(interfaces)["exponents"]),
                "keys": In(read_port(shape.block_bits, BLOCK * 8)),
                "values": In(read_port(shape.exponent_bits, shape.quantizers * BLOCK * 8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        m.submodules.keys = keys = block_ram(shape=BLOCK * 8, depth=1 << shape.block_bits)
        m.submodules.values = values = block_ram(shape=shape.quantizers * BLOCK * 8, depth=1 << shape.exponent_bits)
        block = Signal(4)
        value = Signal()
        write = Signal(BLOCK)
        word = Signal(BLOCK * 8)
        pair = bits_for(shape.quantizers)
        key_port, value_port = keys.write_port(granularity=8), values.write_port(granularity=8)
        m.d.comb += [
            key_port.addr.eq(block[: shape.block_bits]),
            key_port.data.eq(word),
            key_port.en.eq(Mux(value, 0, write)),
            value_port.addr.eq(Cat(block[pair:][: shape.block_bits - pair], self.page.slot)),
            value_port.data.eq(word.replicate(shape.quantizers)),
            value_port.en.eq(Mux(value, write, 0) << (block[:pair] * BLOCK)),
        ]
        for store, ours in ((keys, self.keys), (values, self.values)):
            port = store.read_port()
            m.d.comb += [port.addr.eq(ours.address), port.en.eq(ours.en), ours.data.eq(port.data)]
        last_block = Signal()
        m.d.comb += last_block.eq(block + 1 == self.head_blocks)

        def next_block() -> None:
            m.d.sync += block.eq(Mux(last_block, 0, block + 1))
            with m.If(last_block):
                m.d.sync += value.eq(~value)

        with m.FSM(name="load"):
            with m.State("Wait For Page"):
                with m.If(self.start):
                    with m.If(self.stored.any()):
                        m.next = "Load"
                    with m.Else():
                        m.next = "Read Tail"
            with m.State("Load"):
                advance = self._load(m, write, word, last_block & value)
                with m.If(advance):
                    next_block()
                    with m.If(last_block & value):
                        m.d.comb += self.done.eq(~self.page.last)
                        with m.If(self.page.last):
                            m.next = "Read Tail"
                        with m.Else():
                            m.next = "Wait For Page"
            with m.State("Read Tail"):
                m.d.comb += [
                    self.tail.en.eq(1),
                    self.tail.address.eq(Cat((self.page.head_block + block)[: len(self.tail.address) - 1], value)),
                ]
                with m.If(self.settled):
                    m.next = "Merge Tail"
            with m.State("Merge Tail"):
                for position in range(BLOCK):
                    own = slice(position * 8, position * 8 + 8)
                    m.d.comb += word[own].eq(Mux(self.chunk[position], self.tail.data[own], 0))
                m.d.comb += write.eq(~self.stored)
                next_block()
                with m.If(last_block & value):
                    m.d.comb += self.done.eq(1)
                    m.next = "Wait For Page"
                with m.Else():
                    m.next = "Read Tail"
        return m

    def _load(self, m: Module, write: Signal, word: Signal, ends: Value) -> Value:
        """Writes beats, or parts of beats, into blocks; returns whether a block is complete. `ends`: it is the last."""
        if self.bus_bytes <= BLOCK:
            count = BLOCK // self.bus_bytes
            part = Signal(max(1, bits_for(count)), name="part_of_block")
            m.d.comb += [
                self.i.ready.eq(1),
                word.eq(self.i.payload.replicate(count)),
                write.word_select(part, self.bus_bytes).eq(self.i.valid.replicate(self.bus_bytes)),
            ]
            with m.If(self.i.valid):
                m.d.sync += part.eq(Mux(part == count - 1, 0, part + 1))
            return self.i.valid & (part == count - 1)
        # A wide beat holds several blocks; the last one of a head may have fewer.
        count = self.bus_bytes // BLOCK
        part = Signal(bits_for(count), name="part_of_beat")
        m.d.comb += [
            self.i.ready.eq(ends | (part == count - 1)),
            word.eq(pick(m, parts(self.i.payload, BLOCK * 8), part, name="block_of_beat")),
            write.eq(self.i.valid.replicate(BLOCK)),
        ]
        with m.If(self.i.valid):
            m.d.sync += part.eq(Mux(ends, 0, part + 1))
        return self.i.valid
