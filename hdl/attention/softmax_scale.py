"""First stage of the softmax: scores to fixed point and the new maximum of every row."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..arithmetic.common import delay, delay_valid
from ..arithmetic.exponential import FRACTION_BITS, INTEGER_BITS
from ..arithmetic.fixed import FloatToFixed
from ..arithmetic.multiply import FloatMultiply
from ..common import Queue, block_ram
from ..interfaces import FLOAT, Interfaces, read_port
from .row_walk import RowWalk
from .score_buffer import ScoreBuffer
from .shape import AttentionShape
from .softmax_layouts import MAXIMUM_BITS, Z_BITS, SoftmaxLayouts

_LOWEST = -(1 << MAXIMUM_BITS - 1)


class SoftmaxScale(wiring.Component):
    """Walks the rows of every page whose scores are complete: scale, fixed point, mask, maximum.

    V scores a cycle. A row starts when the ring has room for it; what has started never waits.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    launch, last_row, group, sub_heads_log2, position, scale, i_pages, i : as in `Softmax`
    o : Out(stream.Signature(maximum)), rows whose scores can be read from the ring
    ring : In(read_port), address: word, then row of the ring; rows follow each other in the ring
    freed : In(1), pulse: the oldest row of the ring was read
    overflow : Out(1), a score was saturated
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.shape = AttentionShape(interfaces)
        self.layouts = SoftmaxLayouts(interfaces)
        super().__init__(
            {
                "launch": In(1),
                "last_row": In(16),
                "group": In(8),
                "sub_heads_log2": In(4),
                "position": In(5),
                "scale": In(FLOAT),
                "i_pages": In(stream.Signature(self.shape.page_job)),
                "i": In(stream.Signature(interfaces.result)),
                "o": Out(stream.Signature(self.layouts.maximum)),
                "ring": In(read_port(self.layouts.ring_bits, self.layouts.fixed)),
                "freed": In(1),
                "overflow": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.scores = scores = ScoreBuffer(interfaces=self.interfaces)
        m.submodules.pending = pending = Queue(shape=self.layouts.row, depth=self.layouts.buffers)
        connect(m, flipped(self.i), scores.i)
        issue, word, visible = self._walk(m, scores, pending)
        fixed, valid, word = self._convert(m, scores, issue, word, visible)
        self._maximum(m, fixed, valid, word, pending)
        return m

    def _walk(self, m: Module, scores: ScoreBuffer, pending: Queue) -> tuple[Signal, Signal, Signal]:
        """Issues the words of every row of every page: issue, word, mask."""
        shape, page = self.shape, self.i_pages.payload
        m.submodules.walk = walk = RowWalk()
        for name in ("launch", "last_row", "group", "sub_heads_log2"):
            m.d.comb += getattr(walk, name).eq(getattr(self, name))
        ready_pages = Signal(range(shape.slots + 1))
        page_taken = Signal()
        held_rows = Signal(range(self.layouts.buffers + 1))
        row_started = Signal()
        m.d.sync += [
            ready_pages.eq(ready_pages + scores.page_ready - page_taken),
            held_rows.eq(held_rows + row_started - self.freed),
        ]
        word = Signal(range(shape.words))
        row = Signal(shape.state_bits + 1)
        issue = Signal()
        end = Signal()
        visible = Signal(shape.lanes)
        limit = Signal(8)
        m.d.comb += [
            end.eq(~walk.next_valid | (row + 1 == (page.groups << shape.row_bits))),
            row_started.eq(issue & (word == 0)),
            pending.i.valid.eq(row_started),
            pending.i.payload.eq(Cat(page.slot, row[: shape.state_bits], page.first, page.last, end)),
            scores.address.eq(Cat(word, row[: shape.state_bits], page.slot)),
            limit.eq(self.position + walk.token),
        ]
        # Where a word is a page, lane 0 is its first position, which every row sees.
        for lane in range(shape.lanes):
            sees = word * shape.lanes + lane <= limit if shape.words > 1 or lane else C(1)
            m.d.comb += visible[lane].eq(~page.last | sees)
        with m.FSM(name="walk"):
            with m.State("Wait For Scores"):
                m.d.sync += row.eq(0)
                with m.If(self.i_pages.valid & (ready_pages != 0)):
                    m.d.comb += walk.restart.eq(1)
                    m.next = "Issue"
            with m.State("Issue"):
                m.d.comb += issue.eq((word != 0) | (held_rows != self.layouts.buffers))
                with m.If(issue):
                    m.d.sync += word.eq(word + 1)
                with m.If(word == shape.words - 1):
                    m.d.sync += row.eq(row + 1)
                    m.d.comb += walk.step.eq(~end)
                    with m.If(end):
                        m.d.comb += [self.i_pages.ready.eq(1), page_taken.eq(1), walk.finish.eq(page.last)]
                        m.next = "Wait For Scores"
        return issue, word, visible

    def _convert(
        self, m: Module, scores: ScoreBuffer, issue: Value, word: Value, visible: Value
    ) -> tuple[Signal, Signal, Signal]:
        """Scores times scale in fixed point, into the ring: the word of V, valid, index of the word."""
        shape, layouts = self.shape, self.layouts
        cycles = ScoreBuffer.latency + FloatMultiply.latency + FloatToFixed.latency
        bits = self.interfaces.config.array.multiplier_bits
        fixed = Signal(layouts.fixed)
        visible = delay(m, visible, cycles, enable=C(1), name="visible")
        word = delay(m, word, cycles, enable=C(1), name="word_fixed")
        valid = delay_valid(m, issue, cycles, name="fixed_valid")
        overflows = []
        for lane in range(shape.lanes):
            m.submodules[f"multiply_{lane}"] = multiply = FloatMultiply(multiplier_bits=bits)
            m.submodules[f"fix_{lane}"] = fix = FloatToFixed(integer_bits=INTEGER_BITS, fraction_bits=FRACTION_BITS)
            saturated = delay(m, multiply.overflow, FloatToFixed.latency, enable=C(1), name=f"saturated_{lane}")
            m.d.comb += [
                multiply.en.eq(1),
                multiply.a.eq(scores.data[lane]),
                multiply.b.eq(self.scale),
                fix.en.eq(1),
                fix.a.eq(multiply.o),
                fixed[lane].z.eq(fix.o),
                fixed[lane].visible.eq(visible[lane]),
            ]
            overflows.append(visible[lane] & saturated)
        m.d.sync += self.overflow.eq(valid & Cat(overflows).any())

        m.submodules.ring = ring = block_ram(shape=layouts.fixed, depth=1 << layouts.ring_bits)
        write, read = ring.write_port(), ring.read_port()
        ring_row = Signal(range(layouts.buffers))
        with m.If(valid & (word == shape.words - 1)):
            m.d.sync += ring_row.eq(ring_row + 1)
        m.d.comb += [
            write.addr.eq(Cat(word, ring_row)),
            write.data.eq(fixed),
            write.en.eq(valid),
            read.addr.eq(self.ring.address),
            read.en.eq(self.ring.en),
            self.ring.data.eq(read.data),
        ]
        return fixed, valid, word

    def _maximum(self, m: Module, fixed: Value, valid: Value, word: Value, pending: Queue) -> None:
        """The ceiling of the row's largest visible score against the maximum so far."""
        shape, layouts = self.shape, self.layouts
        values = []
        for lane in range(shape.lanes):
            ceiling = Signal(signed(MAXIMUM_BITS), name=f"ceiling_{lane}", reset_less=True)
            z = fixed[lane].z
            whole = z[FRACTION_BITS:Z_BITS].as_signed() + z[:FRACTION_BITS].any()
            m.d.sync += ceiling.eq(Mux(fixed[lane].visible, whole, _LOWEST))
            values.append(ceiling)
        cycles = 1
        while len(values) > 1:
            pairs = zip(values[::2], values[1::2], strict=True)
            values = [_larger(m, a, b, name=f"larger_{cycles}_{i}") for i, (a, b) in enumerate(pairs)]
            cycles += 1
        here = delay_valid(m, valid, cycles, name="ceiling_valid")
        word = delay(m, word, cycles, enable=C(1), name="ceiling_word")
        largest = Signal(signed(MAXIMUM_BITS), reset_less=True)
        complete = Signal()
        with m.If(here):
            m.d.sync += largest.eq(Mux((word == 0) | (values[0] > largest), values[0], largest))
        m.d.sync += complete.eq(here & (word == shape.words - 1))

        # Read the row's maximum so far; compare; write it back. The same row comes three cycles later at the earliest.
        m.submodules.maxima = maxima = block_ram(shape=signed(MAXIMUM_BITS), depth=1 << shape.state_bits)
        write, read = maxima.write_port(), maxima.read_port()
        m.d.comb += [
            pending.o.ready.eq(complete),
            read.addr.eq(pending.o.payload.row),
            read.en.eq(complete),
        ]
        row = Signal(layouts.row, reset_less=True)
        found = Signal(signed(MAXIMUM_BITS), reset_less=True)
        m.d.sync += [row.eq(pending.o.payload), found.eq(largest)]
        compare = delay_valid(m, complete, 1, name="compare")
        row_2 = delay(m, row, 1, enable=C(1), name="row_2")
        old = Signal(signed(MAXIMUM_BITS), reset_less=True)
        new = Signal(signed(MAXIMUM_BITS), reset_less=True)
        m.d.sync += [
            new.eq(Mux(row.first | (found > read.data), found, read.data)),
            old.eq(Mux(row.first, found, read.data)),
        ]
        store = delay_valid(m, compare, 1, name="store")
        m.d.comb += [
            write.addr.eq(layouts.row(row_2).row),
            write.data.eq(new),
            write.en.eq(store),
        ]
        item = Signal(layouts.maximum, reset_less=True)
        shift = Signal(MAXIMUM_BITS)
        m.d.comb += shift.eq(new - old)
        m.d.sync += [item.row.eq(row_2), item.maximum.eq(new), item.shift.eq(Mux(shift > 255, 255, shift))]
        m.submodules.results = results = Queue(shape=layouts.maximum, depth=layouts.buffers)
        m.d.comb += [
            results.i.valid.eq(delay_valid(m, store, 1, name="item_valid")),
            results.i.payload.eq(item),
        ]
        connect(m, flipped(self.o), results.o)


def _larger(m: Module, a: Value, b: Value, *, name: str) -> Signal:
    result = Signal(signed(MAXIMUM_BITS), name=name, reset_less=True)
    m.d.sync += result.eq(Mux(a > b, a, b))
    return result
