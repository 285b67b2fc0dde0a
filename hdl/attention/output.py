"""Results of P x V, normalised, into the scratchpad."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic.common import delay, delay_valid
from ..arithmetic.multiply import FloatMultiply
from ..common import bits_for, parts, pick
from ..interfaces import FLOAT, Interfaces, write_port
from .row_walk import RowWalk
from .shape import AttentionShape


class AttentionOutput(wiring.Component):
    """Multiplies every row of a result by 1 / total and writes the lanes that belong to the row's head.

    min(C, V) elements a cycle; a result of R rows takes R x max(1, C / V) cycles, one after the other.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    launch : In(1), a new instruction
    last_row, group, sub_heads_log2, pitch, dst : In, as in `RowWalk`
    heads : In(8), virtual heads
    head_dim : In(12), elements of a head, a multiple of V
    group_words : In(20), group x head_dim / V
    i : In(stream.Signature(normal)), the tag's `end` marks the last one of a pass
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
                "last_row": In(16),
                "group": In(8),
                "sub_heads_log2": In(4),
                "pitch": In(16),
                "dst": In(20),
                "heads": In(8),
                "head_dim": In(12),
                "group_words": In(20),
                "i": In(stream.Signature(shape.normal)),
                "spm": Out(write_port(interfaces.spm_address, interfaces.vector, shape.lanes)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        m.submodules.walk = walk = RowWalk()
        for name in ("launch", "last_row", "group", "sub_heads_log2", "pitch", "dst", "group_words"):
            m.d.comb += getattr(walk, name).eq(getattr(self, name))
        m.d.comb += walk.head_words.eq(self.head_dim >> bits_for(shape.lanes))

        held = Signal()
        here = Signal(shape.normal, reset_less=True)
        fresh = Signal()
        row = Signal(max(1, shape.row_bits))
        part = Signal(max(1, bits_for(self.parts)))
        head = Signal(8)
        last_head = Signal(8)
        last_part = Signal()
        leave = Signal()
        final = Signal()
        end = here.result.tag.end
        m.d.comb += [
            last_part.eq(part == self.parts - 1),
            leave.eq(held & last_part & ((row == shape.rows - 1) | ~walk.next_valid)),
            self.i.ready.eq(~held | leave),
            # The first row group of a tile begins with the pass's first row again.
            walk.restart.eq(fresh),
            walk.step.eq(held & last_part & ~(leave & end)),
            walk.finish.eq(leave & end),
            final.eq(leave & end & ~walk.next_valid & (head == last_head)),
        ]
        m.d.sync += [fresh.eq(0), part.eq(Mux(last_part, 0, part + held)), last_head.eq(self.heads - 1)]
        with m.If(held & last_part):
            m.d.sync += row.eq(row + 1)
        with m.If(leave & end & ~walk.next_valid):
            m.d.sync += head.eq(head + 1)
        with m.If(self.launch):
            m.d.sync += head.eq(0)
        with m.If(self.i.ready):
            m.d.sync += [
                held.eq(self.i.valid),
                here.eq(self.i.payload),
                fresh.eq(self.i.valid & (self.i.payload.result.tag.row_group == 0)),
                row.eq(0),
            ]
        self._write(m, walk, here, row, part, held, final)
        return m

    def _write(
        self,
        m: Module,
        walk: RowWalk,
        here: Signal,
        row: Signal,
        part: Signal,
        issue: Signal,
        final: Signal,
    ) -> None:
        """Chooses elements and address, then multiplies, then writes."""
        shape, width, result = self.shape, self.width, here.result
        rows = [Value.cast(result["values"][r]) for r in range(shape.rows)]
        elements = Signal(width * 32, reset_less=True)
        # Element of the head: the row's own lanes start at sub x head_dim (0 unless the block is shared).
        channel = Cat(part, C(0, 0))[: bits_for(self.parts)]
        dim = Signal(signed(14))
        offset = Signal(12)
        m.d.comb += [
            offset.eq(Mux(walk.sub[0], self.head_dim, 0) + Mux(walk.sub[1], self.head_dim << 1, 0)),
            dim.eq(Cat(C(0, bits_for(width)), channel, result.tag.group[:9]) - offset),
        ]
        factor = Signal(FLOAT, reset_less=True)
        factors = [here.factors[r] for r in range(shape.rows)]
        address = Signal(20, reset_less=True)
        mask = Signal(shape.lanes, reset_less=True)
        lane = dim[: bits_for(shape.lanes)]
        belongs = (dim >= 0) & (dim < self.head_dim)
        own = pick(m, rows, row, name="own")
        m.d.sync += [
            elements.eq(pick(m, parts(own, width * 32), part, name="own_part")),
            address.eq(walk.word + dim[bits_for(shape.lanes) : 13]),
            factor.eq(pick(m, factors, row, name="own_factor")),
            mask.eq(Mux(belongs, ((1 << width) - 1) << lane, 0)),
        ]
        valid = delay_valid(m, issue, 1 + FloatMultiply.latency, name="product_valid")
        products = []
        for i in range(width):
            m.submodules[f"multiply_{i}"] = multiply = FloatMultiply()
            m.d.comb += [
                multiply.en.eq(1),
                multiply.a.eq(elements.word_select(i, 32)),
                multiply.b.eq(factor),
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
