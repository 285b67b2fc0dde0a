"""Results of P x V, normalised, into the scratchpad."""

from amaranth.hdl import C, Cat, Module, Mux, ShapeLike, Signal, Value, ValueLike, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.formats import BLOCK
from ...arch.isa import MOST_SUB_HEADS
from ..arithmetic.common import delay, delay_valid
from ..arithmetic.multiply import FloatMultiply
from ..common import bits_for, parts, pick
from ..interfaces import FLOAT, Interfaces, write_port
from .row_walk import RowWalk
from .shape import AttentionShape


class AttentionOutput(wiring.Component):
    """Multiplies every row of a result by 1 / total and writes the lanes that belong to the row's head.

    A unit of min(C, V) elements a cycle; a result of R rows takes R x max(1, C / V) cycles, one after the other. Where
    SH heads share a block, a unit belongs to one of them and is taken from the rows of that one: R / SH, if R is 4 or
    more, which is SH at most.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    launch : In(1), a new instruction
    last_row, group, sub_heads_log2, pitch, dst : In, as in `RowWalk`, with all sub-heads
    heads : In(8), virtual heads
    head_dim : In(12), elements of a head, whole units
    group_units : In(20), group x units of a head
    i : In(stream.Signature(normal)), the tag's `end` marks the last one of a pass
    spm : Out(write_port)
    done : Out(1), pulse: the last word of the last virtual head is written
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.shape = shape = AttentionShape(interfaces)
        self.width = min(shape.channels, shape.lanes)
        self.parts = shape.channels // self.width
        # Whether all sub-heads of a query are in one result.
        self.whole = shape.rows >= MOST_SUB_HEADS
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
                "group_units": In(20),
                "i": In(stream.Signature(shape.normal)),
                "spm": Out(write_port(interfaces.spm_address, interfaces.vector, shape.lanes)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        m.submodules.walk = walk = RowWalk()
        for name in ("launch", "group", "pitch", "dst", "group_units"):
            m.d.comb += getattr(walk, name).eq(getattr(self, name))
        end_row = Signal(max(1, shape.row_bits))
        if self.whole:
            m.d.sync += end_row.eq((shape.rows - 1) >> self.sub_heads_log2[:2])
            m.d.comb += walk.last_row.eq(self.last_row >> self.sub_heads_log2[:2])
        else:
            m.d.comb += [
                end_row.eq(shape.rows - 1),
                walk.last_row.eq(self.last_row),
                walk.sub_heads_log2.eq(self.sub_heads_log2),
            ]
        m.d.comb += walk.block_heads_log2.eq(self.sub_heads_log2)
        m.d.comb += walk.head_units.eq(self.head_dim >> bits_for(self.width))

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
            leave.eq(held & last_part & ((row == end_row) | ~walk.next_valid)),
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
        shape, width = self.shape, self.width
        sub, element = self._element(m, walk, here, part)
        own_row = Signal(max(1, shape.row_bits))
        m.d.comb += own_row.eq(row << self.sub_heads_log2[:2] | sub if self.whole else row)
        rows = [Value.cast(here.result["values"][r]) for r in range(shape.rows)]
        factors = [here.factors[r] for r in range(shape.rows)]
        elements = Signal(width * 32, reset_less=True)
        factor = Signal(FLOAT, reset_less=True)
        own = pick(m, rows, own_row, name="own")
        m.d.sync += [
            elements.eq(pick(m, parts(own, width * 32), part, name="own_part")),
            factor.eq(pick(m, factors, own_row, name="own_factor")),
        ]
        cycles = 1 + FloatMultiply.latency
        valid = delay_valid(m, issue, cycles, name="product_valid")
        bits = self.interfaces.config.array.multiplier_bits
        products = []
        for i in range(width):
            m.submodules[f"multiply_{i}"] = multiply = FloatMultiply(multiplier_bits=bits)
            m.d.comb += [
                multiply.en.eq(1),
                multiply.a.eq(elements.word_select(i, 32)),
                multiply.b.eq(factor),
            ]
            products.append(multiply.o)
        address, mask = self._place(m, walk, sub, element, cycles)
        m.d.comb += [
            self.spm.en.eq(valid),
            self.spm.address.eq(address),
            self.spm.mask.eq(mask),
            Value.cast(self.spm.data).eq(Cat(*products).replicate(shape.lanes // width)),
            self.done.eq(delay_valid(m, final, cycles, name="final")),
        ]

    def _element(self, m: Module, walk: RowWalk, here: Signal, part: Signal) -> tuple[Signal, Signal]:
        """The sub-head, and the unit's first element in the head, negative or past its end if it is none of it."""
        channel = Cat(part, C(0, 0))[: bits_for(self.parts)]
        sub = Signal(2)
        element = Signal(signed(14))
        of_block = Cat(C(0, bits_for(self.width)), channel, here.result.tag.group[:9])
        if self.whole:
            # Of a shared block's elements the top bits say whose they are, the others where in the head they stand.
            within = (bits_for(BLOCK) - self.sub_heads_log2[:2])[:3]
            low = of_block[: bits_for(BLOCK)]
            m.d.comb += [
                sub.eq(low >> within),
                element.eq(Cat(low & (C(BLOCK - 1, len(low)) >> self.sub_heads_log2[:2]), of_block[len(low) :])),
            ]
        else:
            offset = Signal(12)
            m.d.comb += [
                sub.eq(walk.sub),
                offset.eq(Mux(sub[0], self.head_dim, 0) + Mux(sub[1], self.head_dim << 1, 0)),
                element.eq(of_block - offset),
            ]
        return sub, element

    def _place(self, m: Module, walk: RowWalk, sub: Signal, element: Signal, cycles: int) -> tuple[Signal, Signal]:
        """Address and mask of the unit, `cycles` later."""

        def register(shape: ShapeLike, value: ValueLike, name: str) -> Signal:
            result = Signal(shape, name=name, reset_less=True)
            m.d.sync += result.eq(value)
            return result

        shape, width = self.shape, self.width
        section_bits = bits_for(shape.lanes // width)
        ahead = Mux(sub[0], self.group_units, 0) + Mux(sub[1], self.group_units << 1, 0) if self.whole else C(0)
        head = register(20, walk.unit + ahead, "head_unit")
        element = register(signed(14), element, "element_1")
        row_word = register(20, walk.row_word, "row_word")
        unit = register(20, head + element[bits_for(width) : 13], "unit")
        section = Cat(C(0, bits_for(width)), unit[:section_bits])
        belongs = register(1, (element >= 0) & (element < self.head_dim), "belongs")
        address = register(20, register(20, row_word, "row_word_2") + (unit >> section_bits), "address")
        mask = register(shape.lanes, Mux(belongs, ((1 << width) - 1) << section, 0), "mask")
        return (
            delay(m, address, cycles - 3, enable=C(1), name="product_address"),
            delay(m, mask, cycles - 3, enable=C(1), name="product_mask"),
        )
