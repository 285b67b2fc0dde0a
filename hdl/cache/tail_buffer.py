"""Keys and values of the current chunk's positions in the current layer, until their page is read from memory."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In

from ...arch.formats import BLOCK
from ..common import address_bits, parts, pick
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


class _Half(wiring.Component):
    """Keys or values: tile words and exponents with byte enables, read at both ports at once."""

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.word_bytes = interfaces.channels * BLOCK
        words, chunks = interfaces.config.cache.tail_words, interfaces.config.vector.chunks
        word_bits, block_bits = tail_shapes(interfaces)
        blocks = max(2, words * interfaces.channels // BLOCK)
        # The chunk is the top bit of an address.
        self.words = words if chunks == 1 else chunks << (word_bits - 1)
        self.blocks = blocks if chunks == 1 else chunks << (block_bits - 1)
        reader = {
            "words": read_port(word_bits - 1, self.word_bytes * 8),
            "exponents": read_port(block_bits - 1, BLOCK * 8),
        }
        super().__init__(
            {
                "chunk": In(1),
                "merger_chunk": In(1),
                "writer_chunk": In(1),
                "word": In(word_bits - 1),
                "word_data": In(self.word_bytes * 8),
                "word_mask": In(self.word_bytes),
                "block": In(block_bits - 1),
                "block_data": In(BLOCK * 8),
                "block_mask": In(BLOCK),
            }
            | {f"{name}_{part}": In(port) for name in READERS for part, port in reader.items()}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.words = words = memory.Memory(shape=self.word_bytes * 8, depth=self.words, init=[])
        m.submodules.blocks = blocks = memory.Memory(shape=BLOCK * 8, depth=self.blocks, init=[])
        writers = [
            (words.write_port(granularity=8), self.word, self.word_data, self.word_mask),
            (blocks.write_port(granularity=8), self.block, self.block_data, self.block_mask),
        ]
        for port, address, value, mask in writers:
            m.d.comb += [port.addr.eq(Cat(address, self.chunk)), port.data.eq(value), port.en.eq(mask)]
        for name in READERS:
            for part, store in (("words", words), ("exponents", blocks)):
                ours, port = getattr(self, f"{name}_{part}"), store.read_port()
                address = Cat(ours.address, getattr(self, f"{name}_chunk"))
                m.d.comb += [port.addr.eq(address), port.en.eq(ours.en), ours.data.eq(port.data)]
        return m


class TailBuffer(wiring.Component):
    """Collects quantized key and value blocks as tile words of C channels x 32 bytes, and is read as such.

    Keys: word [head][block][position // C], channel position mod C, byte per dim. Values: word [head][block][dim // C],
    channel dim mod C, byte per position. Exponents: word [head][block], byte per position.

    A key block takes two cycles, a value block 1 + 32 / C; `i.ready` comes with the last write, so that a block that
    was taken is visible to a read in the next cycle. No block is taken while `enable` is 0. What is not written keeps
    what an earlier chunk left there; readers know the chunk's positions.

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
        m.submodules.keys = keys = _Half(interfaces=self.interfaces)
        m.submodules.values = values = _Half(interfaces=self.interfaces)
        self._write(m, keys, values)
        for half in (keys, values):
            m.d.comb += [
                half.chunk.eq(self.chunk),
                half.writer_chunk.eq(self.chunk),
                half.merger_chunk.eq(self.merger_chunk),
            ]
        for name in READERS:
            for part in ("words", "exponents"):
                ours = getattr(self, f"{name}_{part}")
                halves = [getattr(keys, f"{name}_{part}"), getattr(values, f"{name}_{part}")]
                chosen = Signal(name=f"{name}_{part}_value")
                with m.If(ours.en):
                    m.d.sync += chosen.eq(ours.address[-1])
                for half, wanted in zip(halves, (~ours.address[-1], ours.address[-1]), strict=True):
                    m.d.comb += [half.en.eq(ours.en & wanted), half.address.eq(ours.address[:-1])]
                m.d.comb += ours.data.eq(Mux(chosen, halves[1].data, halves[0].data))
        return m

    def _write(self, m: Module, keys: _Half, values: _Half) -> None:
        channels, tiles = self.channels, BLOCK // self.channels
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
        shift = (tiles - 1).bit_length()
        first_word = Cat(C(0, shift), head_block)
        q = Value.cast(block.q)
        key_channel = position[: (channels - 1).bit_length()]
        lane = Signal(BLOCK)
        m.d.comb += [
            lane.eq(1 << position),
            keys.word.eq(first_word | position[(channels - 1).bit_length() :]),
            keys.word_data.eq(q.replicate(channels)),
            values.word.eq(first_word | tile),
        ]
        for channel in range(channels):
            mine = slice(channel * BLOCK, (channel + 1) * BLOCK)
            m.d.comb += [
                keys.word_mask[mine].eq((write & ~block.value & (key_channel == channel)).replicate(BLOCK)),
                values.word_mask[mine].eq(Mux(write & block.value, lane, 0)),
                values.word_data.word_select(channel, BLOCK * 8).eq(
                    pick(m, parts(q, 8)[channel::channels], tile, name=f"dim_{channel}").replicate(BLOCK)
                ),
            ]
        for half, chosen in ((keys, ~block.value), (values, block.value)):
            m.d.comb += [
                half.block.eq(head_block),
                half.block_data.eq(Value.cast(block.exponent).replicate(BLOCK)),
                half.block_mask.eq(Mux(write & chosen, lane, 0)),
            ]
