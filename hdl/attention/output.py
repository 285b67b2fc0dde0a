"""Results of P x V, normalised, into the scratchpad."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic.common import delay, delay_valid
from ..arithmetic.multiply import FloatMultiply
from ..common import bits_for, parts, pick
from ..interfaces import FLOAT, Interfaces, read_port, write_port
from .row_walk import RowWalk
from .shape import AttentionShape


class AttentionOutput(wiring.Component):
    """Multiplies every row of a result by 1 / total and writes the lanes that belong to the row's head.

    min(C, V) elements a cycle; a result of R rows takes R x max(1, C / V) cycles and two more.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    launch : In(1), a new instruction
    rows, group, sub_heads_log2, pitch, dst : In, as in `RowWalk`
    heads : In(8), virtual heads
    head_dim : In(12), elements of a head, a multiple of V
    group_words : In(20), group x head_dim / V
    i : In(stream.Signature(result)), the tag's `end` marks the last one of a pass
    reciprocals : Out(read_port), 1 / total; address: row of the pass, then slot of its last page
    spm : Out(write_port)
    done : Out(1), pulse: the last word of the last virtual head is written
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.shape = shape = AttentionShape(interfaces)
        self.width = min(shape.channels, shape.lanes)
        self.parts = shape.channels // self.width
        super().__init__(
            {
                "launch": In(1),
                "rows": In(6),
                "group": In(8),
                "sub_heads_log2": In(4),
                "pitch": In(16),
                "dst": In(20),
                "heads": In(8),
                "head_dim": In(12),
                "group_words": In(20),
                "i": In(stream.Signature(interfaces.result)),
                "reciprocals": Out(read_port(shape.state_bits + shape.slot_bits, FLOAT)),
                "spm": Out(write_port(interfaces.spm_address, interfaces.vector, shape.lanes)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        m.submodules.walk = walk = RowWalk()
        for name in ("launch", "rows", "group", "sub_heads_log2", "pitch", "dst", "group_words"):
            m.d.comb += getattr(walk, name).eq(getattr(self, name))
        m.d.comb += walk.head_words.eq(self.head_dim >> bits_for(shape.lanes))

        result = Signal(self.interfaces.result, reset_less=True)
        tag = result.tag
        row = Signal(max(1, shape.row_bits))
        part = Signal(max(1, bits_for(self.parts)))
        head = Signal(8)
        issue = Signal()
        final = Signal()
        # A head has many cycles: what takes an adder and a comparison is ready before its last row.
        last_head = Signal()
        m.d.sync += last_head.eq(head + 1 == self.heads)
        with m.If(self.launch):
            m.d.sync += head.eq(0)
        with m.FSM(name="output"):
            with m.State("Wait For Result"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [result.eq(self.i.payload), row.eq(0), part.eq(0)]
                with m.If(self.i.valid):
                    m.d.comb += walk.restart.eq(self.i.payload.tag.row_group == 0)
                    m.next = "Rows"
            with m.State("Rows"):
                m.d.comb += issue.eq(1)
                m.d.sync += part.eq(part + 1)
                with m.If(part == self.parts - 1):
                    m.d.sync += [part.eq(0), row.eq(row + 1)]
                    last_row = (row == shape.rows - 1) | ~walk.next_valid
                    with m.If(~last_row):
                        m.d.comb += walk.step.eq(1)
                    with m.Else():
                        m.d.comb += [walk.step.eq(~tag.end), walk.finish.eq(tag.end)]
                        m.next = "Wait For Result"
                        with m.If(tag.end):
                            with m.If(~walk.next_valid):
                                m.d.sync += head.eq(head + 1)
                                m.d.comb += final.eq(last_head)
        self._write(m, walk, result, row, part, issue, final)
        return m

    def _write(
        self,
        m: Module,
        walk: RowWalk,
        result: Signal,
        row: Signal,
        part: Signal,
        issue: Signal,
        final: Signal,
    ) -> None:
        """Chooses elements and address, then multiplies, then writes."""
        shape, width = self.shape, self.width
        rows = [Value.cast(result["values"][r]) for r in range(shape.rows)]
        elements = Signal(width * 32, reset_less=True)
        # Element of the head: the row's own lanes start at sub x head_dim (0 unless the block is shared).
        channel = Cat(part, C(0, 0))[: bits_for(self.parts)]
        dim = Signal(signed(14))
        offset = Signal(12)
        m.d.comb += [
            offset.eq(Mux(walk.sub[0], self.head_dim, 0) + Mux(walk.sub[1], self.head_dim << 1, 0)),
            dim.eq(Cat(C(0, bits_for(width)), channel, result.tag.group[:9]) - offset),
            self.reciprocals.en.eq(issue),
            self.reciprocals.address.eq(
                Cat(row[: shape.row_bits], result.tag.row_group[: shape.group_bits], result.tag.slot)
            ),
        ]
        address = Signal(20, reset_less=True)
        mask = Signal(shape.lanes, reset_less=True)
        lane = dim[: bits_for(shape.lanes)]
        belongs = (dim >= 0) & (dim < self.head_dim)
        own = pick(m, rows, row, name="own")
        m.d.sync += [
            elements.eq(pick(m, parts(own, width * 32), part, name="own_part")),
            address.eq(walk.word + dim[bits_for(shape.lanes) : 13]),
            mask.eq(Mux(belongs, ((1 << width) - 1) << lane, 0)),
        ]
        valid = delay_valid(m, issue, 1 + FloatMultiply.latency, name="product_valid")
        products = []
        for i in range(width):
            m.submodules[f"multiply_{i}"] = multiply = FloatMultiply()
            m.d.comb += [
                multiply.en.eq(1),
                multiply.a.eq(elements.word_select(i, 32)),
                multiply.b.eq(self.reciprocals.data),
            ]
            products.append(multiply.o)
        cycles = FloatMultiply.latency
        m.d.comb += [
            self.spm.en.eq(valid),
            self.spm.address.eq(delay(m, address, cycles, enable=C(1), name="product_address")),
            self.spm.mask.eq(delay(m, mask, cycles, enable=C(1), name="product_mask")),
            Value.cast(self.spm.data).eq(Cat(*products).replicate(shape.lanes // width)),
        ]
        m.d.sync += self.done.eq(delay_valid(m, final, 1 + FloatMultiply.latency, name="final"))
