"""The memories around the vector unit: block RAM with one write port and one read port each."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, ShapeLike, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from ..common import block_ram
from ..interfaces import Interfaces, read_port, write_port
from ..shared import shared


@shared
class MaskedMemory(wiring.Component):
    """A memory of whole words whose parts are written independently.

    A read answers one cycle after its address, with anything where that is written in the same cycle. Contents survive
    a reset. Cost: block RAM. Whoever shares a port combines its askers outside.

    Parameters
    ----------
    address : range
        Word addresses.
    part : ShapeLike
        Shape of one independently written part.
    parts : int
        Parts of a word.

    Members
    -------
    write : In(write_port), one mask bit per part
    read : In(read_port)
    """

    def __init__(self, *, address: range, part: ShapeLike, parts: int) -> None:
        self.depth = len(address)
        self.part_bits = data.ArrayLayout(part, 1).size
        word = data.ArrayLayout(part, parts)
        self.parts = parts
        super().__init__({"write": In(write_port(address, word, parts)), "read": In(read_port(address, word))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = block_ram(shape=self.parts * self.part_bits, depth=self.depth)
        m.submodules.words = words
        write, read = words.write_port(granularity=self.part_bits), words.read_port()
        m.d.comb += [
            write.addr.eq(self.write.address),
            write.data.eq(self.write.data),
            write.en.eq(self.write.mask & self.write.en.replicate(self.parts)),
            read.addr.eq(self.read.address),
            read.en.eq(self.read.en),
            Value.cast(self.read.data).eq(read.data),
        ]
        return m


class Scratchpad(MaskedMemory):
    """Float32 tensors: words of V lanes, each lane with its own write mask bit; ports as of `MaskedMemory`."""

    def __init__(self, interfaces: Interfaces) -> None:
        super().__init__(address=interfaces.spm_address, part=32, parts=interfaces.lanes)


class ParameterMemory(MaskedMemory):
    """Gains and biases: words of V lanes, each lane with its own write mask bit; ports as of `MaskedMemory`."""

    def __init__(self, interfaces: Interfaces) -> None:
        super().__init__(address=interfaces.pm_address, part=32, parts=interfaces.lanes)


class ActivationMemory(wiring.Component):
    """Quantized blocks in R banks; a write goes to the banks of its mask, a read takes one address in all of them.

    Each chunk has words of its own: one chunk's blocks are written while another's are read. A read answers one cycle
    after its address, with anything where that is written in the same cycle. Contents survive a reset. Cost: block RAM.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    write : In(write_port(am_address, am_word, R)), write_chunk : In(1)
    read : In(read_port(am_address, R x am_word)), read_chunk : In(1)
    """

    def __init__(self, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        address, word, rows = interfaces.am_address, interfaces.am_word, interfaces.rows
        super().__init__(
            {
                "write": In(write_port(address, word, rows)),
                "read": In(read_port(address, data.ArrayLayout(word, rows))),
                "write_chunk": In(1),
                "read_chunk": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        chunks, words = self.interfaces.config.vector.chunks, len(self.interfaces.am_address)
        depth = words if chunks == 1 else chunks << (words - 1).bit_length()
        for row in range(self.interfaces.rows):
            bank = block_ram(shape=self.interfaces.am_word, depth=depth)
            m.submodules[f"bank_{row}"] = bank
            write, read = bank.write_port(), bank.read_port()
            m.d.comb += [
                write.addr.eq(Cat(self.write.address, self.write_chunk)),
                write.data.eq(self.write.data),
                write.en.eq(self.write.en & self.write.mask[row]),
                read.addr.eq(Cat(self.read.address, self.read_chunk)),
                read.en.eq(self.read.en),
                self.read.data[row].eq(read.data),
            ]
        return m


def share_read(
    m: Module, memories: Sequence[wiring.PureInterface], readers: Sequence[tuple[wiring.PureInterface, Value]]
) -> None:
    """Readers with the chunk that each works on."""
    for chunk, own in enumerate(memories):
        mine = [reader.en & (its == chunk) for reader, its in readers]
        addresses = [Mux(asks, reader.address, 0) for asks, (reader, _) in zip(mine, readers, strict=True)]
        m.d.comb += [own.read.en.eq(Cat(mine).any()), own.read.address.eq(reduce(or_, addresses))]
    for reader, its in readers:
        words = [Value.cast(own.read.data) for own in memories]
        m.d.comb += Value.cast(reader.data).eq(words[0] if len(words) == 1 else Mux(its, words[1], words[0]))


def share_write(
    m: Module, memories: Sequence[wiring.PureInterface], writers: Sequence[tuple[wiring.PureInterface, Value]]
) -> None:
    """Writers with the chunk that each works on."""
    for chunk, own in enumerate(memories):
        mine = [writer.en & (its == chunk) for writer, its in writers]
        m.d.comb += own.write.en.eq(Cat(mine).any())
        for field in ("address", "mask", "data"):
            values = [
                Mux(asks, Value.cast(getattr(writer, field)), 0)
                for asks, (writer, _) in zip(mine, writers, strict=True)
            ]
            m.d.comb += Value.cast(getattr(own.write, field)).eq(reduce(or_, values))
