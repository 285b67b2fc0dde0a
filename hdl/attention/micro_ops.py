"""Segments to micro-operations of the matrix engine."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..common import bits_for
from ..interfaces import Interfaces, ResultKind
from .shape import AttentionShape


class MicroOps(wiring.Component):
    """One micro-op a cycle: for each block, for each of its 32 / C tiles, for each row group.

    K tiles make scores (accumulators of bank 1, one for each tile and row group), V tiles add to the outputs (bank 0,
    one for each tile of the head and row group). A V segment waits until the softmax has done its page.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    head_blocks : In(4)
    chunk : In(1), whose queries
    i : In(stream.Signature(page_job))
    page_done : In(1), pulse: the softmax has done another page
    o : Out(stream.Signature(micro_op))
    waiting : Out(1), a V segment waits for the softmax
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.shape = shape = AttentionShape(interfaces)
        super().__init__(
            {
                "head_blocks": In(4),
                "chunk": In(1),
                "i": In(stream.Signature(shape.page_job)),
                "page_done": In(1),
                "o": Out(stream.Signature(interfaces.micro_op)),
                "waiting": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, page, op = self.shape, self.i.payload, self.o.payload
        block = Signal(4)
        tile = Signal(bits_for(shape.tiles))
        group = Signal(10)
        row_address = Signal(20)
        accumulator = Signal(shape.accumulator_bits)
        pages = Signal(range(shape.slots + 1))
        last_group = Signal()
        last_tile = Signal()
        last_block = Signal()
        step = Signal()
        done = Signal()
        m.d.comb += [
            self.waiting.eq(self.i.valid & page.value & (pages == 0)),
            self.o.valid.eq(self.i.valid & ~self.waiting),
            step.eq(self.o.valid & self.o.ready),
            last_group.eq(group + 1 == page.groups),
            last_tile.eq(tile == shape.tiles - 1),
            last_block.eq(block + 1 == self.head_blocks),
            done.eq(step & last_group & last_tile & last_block),
            self.i.ready.eq(done),
        ]
        m.d.comb += [
            op.take_tile.eq(group == 0),
            op.probabilities.eq(page.value),
            op.chunk.eq(self.chunk),
            op.accumulator.eq(Cat(accumulator, ~page.value)),
            op.tag.kind.eq(Mux(page.value, ResultKind.OUTPUT, ResultKind.SCORE)),
            op.tag.slot.eq(page.slot),
            op.tag.row_group.eq(group),
            op.tag.end.eq(last_group & last_tile & last_block),
        ]
        with m.If(page.value):
            m.d.comb += [
                op.address.eq(Cat(block[: shape.block_bits], group[: shape.group_bits], page.slot)),
                op.first.eq(page.first),
                op.last.eq(page.last),
                op.tag.group.eq(Cat(tile, block)),
            ]
        with m.Else():
            m.d.comb += [
                op.address.eq(page.address + row_address + block),
                op.first.eq(block == 0),
                op.last.eq(last_block),
                op.tag.group.eq(tile),
            ]
        m.d.sync += pages.eq(pages + self.page_done - (done & page.value))
        with m.If(step):
            m.d.sync += [
                group.eq(Mux(last_group, 0, group + 1)),
                row_address.eq(Mux(last_group, 0, row_address + self.head_blocks)),
                accumulator.eq(accumulator + 1),
            ]
            with m.If(last_group):
                m.d.sync += tile.eq(tile + 1)
                with m.If(last_tile):
                    m.d.sync += block.eq(Mux(last_block, 0, block + 1))
                    with m.If(last_block | ~page.value):
                        m.d.sync += accumulator.eq(0)
        return m
