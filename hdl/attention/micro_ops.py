"""Segments to micro-operations of the matrix engine."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..common import bits_for
from ..interfaces import Interfaces, ResultKind
from .shape import AttentionShape


class MicroOps(wiring.Component):
    """One micro-op a cycle: for each block, for each of its 32 / C tiles, for each row group.

    K tiles make scores (accumulators of bank 1, one for each tile and row group), V tiles add to the outputs (bank 0,
    one for each tile of the head and row group). A V segment waits until the softmax has done its page.

    In the last page a K tile begins with the first row group that sees one of its positions, or with the last one of
    the pass if none does: what masks the others does not look at their scores.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    head_blocks : In(4)
    chunk : In(1), whose queries
    tile_rows : In(14), attention rows of as many tokens as a K tile has positions (C)
    seen_rows : In(15), those of as many tokens as the last page has positions before this chunk's first token
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
                "tile_rows": In(14),
                "seen_rows": In(15),
                "i": In(stream.Signature(shape.page_job)),
                "page_done": In(1),
                "o": Out(stream.Signature(interfaces.micro_op)),
                "waiting": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, op = self.shape, self.o.payload
        held = Signal()
        page = Signal(shape.page_job, reset_less=True)
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
        # Of the tile: its first micro-op. Of the next one: address of its first row group, passed on the way.
        fresh = Signal(init=1)
        passed = Signal(20)
        next_address = Signal(20)
        last, first, whole = self._next_first(m, page, tile, step & last_group)
        with m.If(self.i.ready):
            m.d.sync += [held.eq(self.i.valid), page.eq(self.i.payload)]
        m.d.comb += [
            self.i.ready.eq(~held | done),
            self.waiting.eq(held & page.value & (pages == 0)),
            self.o.valid.eq(held & ~self.waiting),
            step.eq(self.o.valid & self.o.ready),
            last_group.eq(group == last),
            last_tile.eq(tile == shape.tiles - 1),
            last_block.eq(block + 1 == self.head_blocks),
            done.eq(step & last_group & last_tile & last_block),
        ]
        m.d.comb += [
            op.take_tile.eq(fresh),
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
        with m.If(first.any()):
            m.d.comb += next_address.eq(Mux(group == first, row_address, passed))
        # After a tile of one micro-op, the last row group's, comes one that begins with it too, or with the first.
        only = Mux(whole, 0, last)
        only_address = Mux(whole, 0, row_address)
        with m.If(step):
            m.d.sync += [
                group.eq(Mux(last_group, Mux(fresh, only, first), group + 1)),
                row_address.eq(Mux(last_group, Mux(fresh, only_address, next_address), row_address + self.head_blocks)),
                passed.eq(next_address),
                fresh.eq(last_group),
                accumulator.eq(accumulator + 1),
            ]
            with m.If(last_group):
                m.d.sync += tile.eq(tile + 1)
                with m.If(last_tile):
                    m.d.sync += block.eq(Mux(last_block, 0, block + 1))
                    with m.If(last_block | ~page.value):
                        m.d.sync += accumulator.eq(0)
        return m

    def _next_first(self, m: Module, page: Any, tile: Signal, tile_done: Value) -> tuple[Signal, Signal, Value]:
        """The last row group, the one with which the next tile begins, and whether that has to be the first.

        The second is a register: in the first cycle of a tile it is still that with which this tile has begun.
        """
        shape = self.shape
        # Rows of the pass before the first that sees the next tile, and those before the first that sees the second.
        row = Signal(signed(18))
        second = Signal(signed(18))
        tile_rows = Signal(14)
        ahead = Signal(signed(16))
        last = Signal(10)
        whole = Signal()
        first = Signal(10)
        group = row >> shape.row_bits
        m.d.sync += [tile_rows.eq(self.tile_rows), ahead.eq(self.tile_rows - self.seen_rows)]
        m.d.comb += whole.eq(~page.last | page.value | (tile == shape.tiles - 1))
        with m.If(whole | (row < 0)):
            m.d.sync += first.eq(0)
        with m.Elif(group > last):
            m.d.sync += first.eq(last)
        with m.Else():
            m.d.sync += first.eq(group)
        with m.If(self.i.ready):
            start = ahead - (self.i.payload.start << shape.row_bits)
            m.d.sync += [row.eq(start), second.eq(start), last.eq(self.i.payload.groups - 1)]
        with m.Elif(tile_done):
            m.d.sync += row.eq(Mux(whole, second, row + tile_rows))
        return last, first, whole
