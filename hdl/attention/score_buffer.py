"""Scores between the matrix engine and the softmax."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..common import bits_for, block_ram, parts, pick
from ..interfaces import FLOAT, Interfaces
from .shape import AttentionShape


class ScoreBuffer(wiring.Component):
    """Takes R x C scores a cycle, always; gives V scores of one row.

    A slot is written only after the softmax of the page that had it before: P x V of that page is issued ahead of the
    scores of this one.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    i : In(stream.Signature(result)), scores; the tag's `end` marks a page's last result
    page_ready : Out(1), pulse: all scores of a page can be read
    address : In(word of V scores, row, row group, slot), lowest bits first
    data : Out(V floats), `latency` cycles after `address`

    Attributes
    ----------
    latency : int
    """

    latency = 2

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.shape = shape = AttentionShape(interfaces)
        super().__init__(
            {
                "i": In(stream.Signature(interfaces.result)),
                "page_ready": Out(1),
                "address": In(bits_for(shape.words) + shape.state_bits + shape.slot_bits),
                "data": Out(data.ArrayLayout(FLOAT, shape.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        wide = max(shape.channels, shape.lanes)
        result = Signal(self.interfaces.result, reset_less=True)
        write = Signal()
        m.d.comb += self.i.ready.eq(1)
        m.d.sync += [result.eq(self.i.payload), write.eq(self.i.valid), self.page_ready.eq(write & result.tag.end)]

        # A memory word has C or V positions, whichever is more.
        write_part, write_word = _split(result.tag.group[: bits_for(shape.tiles)], wide // shape.channels)
        split = bits_for(shape.words)
        read_part, read_word = _split(self.address[:split], wide // shape.lanes)
        row = self.address[split : split + shape.row_bits]
        upper = self.address[split + shape.row_bits :]
        depth_bits = len(read_word) + len(upper)
        rows = []
        for r in range(shape.rows):
            store = block_ram(shape=wide * 32, depth=1 << depth_bits)
            m.submodules[f"bank_{r}"] = store
            writer, reader = store.write_port(granularity=shape.channels * 32), store.read_port()
            m.d.comb += [
                writer.addr.eq(Cat(write_word, result.tag.row_group[: shape.group_bits], result.tag.slot)),
                writer.data.eq(Value.cast(result["values"][r]).replicate(wide // shape.channels)),
                writer.en.eq(Mux(write, 1 << write_part, 0)),
                reader.addr.eq(Cat(read_word, upper)),
                reader.en.eq(1),
            ]
            rows.append(reader.data)
        chosen = Signal(max(1, shape.row_bits), reset_less=True)
        part = Signal(max(1, len(read_part)), reset_less=True)
        own = pick(m, rows, chosen, name="own")
        m.d.sync += [
            chosen.eq(row),
            part.eq(read_part),
            Value.cast(self.data).eq(pick(m, parts(own, shape.lanes * 32), part, name="own_part")),
        ]
        return m


def _split(index: Value, parts: int) -> tuple[Value, Value]:
    """Low bits of an index that choose one of `parts` parts of a word, and the word."""
    bits = bits_for(parts)
    return (index[:bits] if bits else C(0, 1)), index[bits:]
