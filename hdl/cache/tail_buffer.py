"""Keys and values of the current chunk's positions in the current layer, until their page is read from memory."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In

from ...arch.formats import BLOCK
from ..common import address_bits, bits_for, block_ram, parts, pick
from ..interfaces import Interfaces, read_port

READERS = ("merger", "writer")


def tail_shapes(interfaces: Interfaces) -> tuple[int, int]:
    """Bits of a tile-word address and of an exponent-word address, the value bit on top included."""
    words = interfaces.config.cache.tail_words
    blocks = words * interfaces.channels // BLOCK
    return address_bits(words) + 1, address_bits(blocks) + 1


def tail_ports(interfaces: Interfaces) -> dict[str, wiring.Signature]:
    """Read ports of tile words and of exponents, seen from the reader; the top address bit selects values."""
    word_bits, block_bits = tail_shapes(interfaces)
    return {
        "words": read_port(word_bits, interfaces.channels * BLOCK * 8),
        "exponents": read_port(block_bits, BLOCK * 8),
    }


class TailBuffer(wiring.Component):
    """Collects quantized key and value blocks as tile words of C channels x 32 bytes, and is read as such.

    Keys: word [head][block][position // C], channel position mod C, byte per dim. Values: word [head][block][dim // C],
    channel dim mod C, byte per position. Exponents: word [head][block], byte per position.

    Words of keys and of values are in one memory, exponents in another, each with a read port for both readers.

    A key block takes two cycles, a value block 1 + 32 / C; `i.ready` comes with the last write, which a read sees two
    cycles later. No block is taken while `enable` is 0. What is not written keeps what an earlier chunk left there;
    readers know the chunk's positions.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    enable : In(1)
    chunk : In(1), whose blocks come and are read by the page writer; merger_chunk : In(1), whose the merger reads
    position : In(5), position of row 0 within its page
    head_blocks : In(4), blocks per virtual head (KB)
    i : In(stream.Signature(kv_block))
    merger_words, writer_words : In(read_port), tile words; the top address bit selects values
    merger_exponents, writer_exponents : In(read_port), 32 exponents, likewise
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.channels = interfaces.channels
        super().__init__(
            {
                "enable": In(1),
                "chunk": In(1),
                "merger_chunk": In(1),
                "position": In(5),
                "head_blocks": In(4),
                "i": In(stream.Signature(interfaces.kv_block)),
            }
            | {f"{name}_{part}": In(port) for name in READERS for part, port in tail_ports(interfaces).items()}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words, chunks = self.interfaces.config.cache.tail_words, self.interfaces.config.vector.chunks
        word_bits, block_bits = tail_shapes(self.interfaces)
        blocks = max(1, words * self.channels // BLOCK)
        write_ports = {}
        for part, bits, entries, width in (
            ("words", word_bits, words, self.channels * BLOCK),
            ("exponents", block_bits, blocks, BLOCK),
        ):
            # An address is entry, value, chunk.
            depth = ((2 * chunks - 1) << (bits - 1)) + entries
            # What is read before all blocks of a page are there is masked, or read again.
            store = block_ram(shape=width * 8, depth=depth)
            m.submodules[part] = store
            write_ports[part] = store.write_port(granularity=8)
            for name, chunk in (("merger", self.merger_chunk), ("writer", self.chunk)):
                ours, port = getattr(self, f"{name}_{part}"), store.read_port()
                m.d.comb += [port.addr.eq(Cat(ours.address, chunk)), port.en.eq(ours.en), ours.data.eq(port.data)]
        self._write(m, write_ports["words"], write_ports["exponents"])
        return m

    def _write(self, m: Module, words: memory.WritePort, exponents: memory.WritePort) -> None:
        channels, tiles = self.channels, BLOCK // self.channels
        word_bits, block_bits = tail_shapes(self.interfaces)
        block = self.i.payload
        # The product is registered: the first cycle of every block only computes where it goes.
        located = Signal()
        head_block = Signal(12)
        position = Signal(5)
        tile = Signal(range(tiles + 1))
        write = Signal()
        last = Signal()
        m.d.comb += [
            write.eq(self.enable & self.i.valid & located),
            last.eq(~block.value | (tile == tiles - 1)),
            self.i.ready.eq(self.enable & located & last),
        ]
        with m.If(~located):
            m.d.sync += [
                located.eq(self.enable & self.i.valid),
                head_block.eq(block.head * self.head_blocks + block.block),
                position.eq(self.position + block.row),
                tile.eq(0),
            ]
        with m.Elif(write):
            m.d.sync += [tile.eq(tile + 1), located.eq(~last)]
        with m.Else():
            m.d.sync += located.eq(0)
        shift, channel_bits = bits_for(tiles), bits_for(channels)
        q = Value.cast(block.q)
        lane = Signal(BLOCK)
        word = Signal(word_bits - 1)
        data = Signal(channels * BLOCK * 8)
        mask = Signal(channels * BLOCK)
        m.d.comb += [
            lane.eq(Mux(write, 1 << position, 0)),
            word.eq(Cat(C(0, shift), head_block) | Mux(block.value, tile, position[channel_bits:])),
        ]
        for channel in range(channels):
            dim = pick(m, parts(q, 8)[channel::channels], tile, name=f"dim_{channel}")
            key_mask = write & (position[:channel_bits] == channel)
            m.d.comb += [
                data.word_select(channel, BLOCK * 8).eq(Mux(block.value, dim.replicate(BLOCK), q)),
                mask.word_select(channel, BLOCK).eq(Mux(block.value, lane, key_mask.replicate(BLOCK))),
            ]
        # Registers: the memories are wide, and where a block goes is known late in a cycle. There is no time for more:
        # a chunk's blocks are `settled` (KvMerger) two cycles after the last one was taken, and read then.
        m.d.sync += [
            words.addr.eq(Cat(word, block.value, self.chunk)),
            words.data.eq(data),
            words.en.eq(mask),
            exponents.addr.eq(Cat(head_block[: block_bits - 1], block.value, self.chunk)),
            exponents.data.eq(Value.cast(block.exponent).replicate(BLOCK)),
            exponents.en.eq(lane),
        ]
