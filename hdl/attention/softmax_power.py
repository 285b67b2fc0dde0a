"""Second stage of the softmax: the exponentials and their sums."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic.block_sum import BlockSum
from ..arithmetic.common import delay, delay_valid
from ..arithmetic.exponential import FRACTION_BITS, Exp2Negative
from ..common import Queue, block_ram
from ..interfaces import Interfaces, read_port
from .shape import AttentionShape
from .softmax_layouts import MAXIMUM_BITS, SoftmaxLayouts
from .totals import totals_layout


class SoftmaxPower(wiring.Component):
    """p = 2^(z - m) of every score of a row, V a cycle, 0 where masked.

    A row starts when the ring behind and the queue of sums have room for it; what has started never waits.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    i : In(stream.Signature(maximum))
    fixed : Out(read_port), the ring of scores; freed : Out(1), its oldest row was read
    o : Out(stream.Signature(maximum)), rows whose probabilities can be read
    ring : In(read_port), the ring of probabilities, address: word, then row of the ring
    ring_freed : In(1), pulse: the oldest row of the ring was read
    o_sum : Out(stream.Signature(totals_layout)), the block sums
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.shape = AttentionShape(interfaces)
        self.layouts = layouts = SoftmaxLayouts(interfaces)
        super().__init__(
            {
                "i": In(stream.Signature(layouts.maximum)),
                "fixed": Out(read_port(layouts.ring_bits, layouts.fixed)),
                "freed": Out(1),
                "o": Out(stream.Signature(layouts.maximum)),
                "ring": In(read_port(layouts.ring_bits, layouts.powers)),
                "ring_freed": In(1),
                "o_sum": Out(stream.Signature(totals_layout(self.shape))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, layouts = self.shape, self.layouts
        m.submodules.rows = rows = Queue(shape=layouts.maximum, depth=layouts.buffers)
        m.submodules.sum_rows = sum_rows = Queue(shape=layouts.maximum, depth=layouts.sums)
        word = Signal(range(shape.words))
        issue = Signal()
        start = Signal()
        last = Signal()
        # Rows in the ring, and those whose sum is not there yet; next: in the next cycle.
        held_rows, next_held = (Signal(range(layouts.buffers + 1), name=name) for name in ("held_rows", "next_held"))
        owed, next_owed = (Signal(range(layouts.sums + 1), name=name) for name in ("owed", "next_owed"))
        room = Signal(init=1)
        fixed_row = Signal(range(layouts.buffers))
        m.d.comb += [
            issue.eq(self.i.valid & ((word != 0) | room)),
            start.eq(issue & (word == 0)),
            last.eq(issue & (word == shape.words - 1)),
            self.fixed.en.eq(issue),
            self.fixed.address.eq(Cat(word, fixed_row)),
            self.freed.eq(last),
            self.i.ready.eq(last),
            rows.i.valid.eq(start),
            rows.i.payload.eq(self.i.payload),
            sum_rows.i.valid.eq(start),
            sum_rows.i.payload.eq(self.i.payload),
        ]
        m.d.comb += [
            next_held.eq(held_rows + start - self.ring_freed),
            next_owed.eq(owed + start - (sum_rows.o.valid & sum_rows.o.ready)),
        ]
        # Found out a cycle ahead: registers and memories all over the unit take what is issued.
        m.d.sync += [
            held_rows.eq(next_held),
            owed.eq(next_owed),
            room.eq((next_held != layouts.buffers) & (next_owed != layouts.sums)),
        ]
        with m.If(issue):
            m.d.sync += word.eq(word + 1)
        with m.If(last):
            m.d.sync += fixed_row.eq(fixed_row + 1)

        powers, valid, power_word = self._powers(m, issue, word)
        self._keep(m, powers, valid, power_word, rows)
        self._sum(m, powers, valid, sum_rows)
        return m

    def _powers(self, m: Module, issue: Signal, word: Signal) -> tuple[Signal, Signal, Signal]:
        """2^(z - m) of a word of V, valid, index of the word."""
        shape, layouts = self.shape, self.layouts
        maximum = Signal(signed(MAXIMUM_BITS), reset_less=True)
        m.d.sync += maximum.eq(self.i.payload.maximum)
        powers = Signal(layouts.powers, reset_less=True)
        for lane in range(shape.lanes):
            m.submodules[f"exp2_{lane}"] = power = Exp2Negative()
            # The maximum is whole: below the point nothing is subtracted.
            element = self.fixed.data[lane]
            fraction, whole = element.z[:FRACTION_BITS], element.z[FRACTION_BITS:].as_signed()
            x = delay(m, Cat(fraction, whole - maximum), 2, enable=C(1), name=f"x_{lane}")
            visible = delay(m, element.visible, 2 + Exp2Negative.latency, enable=C(1), name=f"visible_{lane}")
            m.d.comb += [power.en.eq(1), power.x.eq(x)]
            m.d.sync += powers[lane].eq(Mux(visible, power.o, 0))
        cycles = 1 + 2 + Exp2Negative.latency + 1
        valid = delay_valid(m, issue, cycles, name="powers_valid")
        return powers, valid, delay(m, word, cycles, enable=C(1), name="powers_word")

    def _keep(self, m: Module, powers: Signal, valid: Signal, word: Signal, rows: Queue) -> None:
        shape, layouts = self.shape, self.layouts
        m.submodules.ring = ring = block_ram(shape=layouts.powers, depth=1 << layouts.ring_bits)
        write, read = ring.write_port(), ring.read_port()
        ring_row = Signal(range(layouts.buffers))
        complete = Signal(range(layouts.buffers + 1))
        last = Signal()
        taken = Signal()
        m.d.comb += [
            last.eq(valid & (word == shape.words - 1)),
            write.addr.eq(Cat(word, ring_row)),
            write.data.eq(powers),
            write.en.eq(valid),
            read.addr.eq(self.ring.address),
            read.en.eq(self.ring.en),
            self.ring.data.eq(read.data),
            self.o.payload.eq(rows.o.payload),
            self.o.valid.eq(complete != 0),
            taken.eq(self.o.valid & self.o.ready),
            rows.o.ready.eq(taken),
        ]
        m.d.sync += complete.eq(complete + last - taken)
        with m.If(last):
            m.d.sync += ring_row.eq(ring_row + 1)

    def _sum(self, m: Module, powers: Signal, valid: Signal, rows: Queue) -> None:
        m.submodules.sum = block_sum = BlockSum(lanes=self.shape.lanes, positive=True)
        m.submodules.sums = sums = Queue(shape=32, depth=self.layouts.sums)
        item, row = self.o_sum.payload, rows.o.payload
        m.d.comb += [
            block_sum.valid.eq(valid),
            block_sum.i.eq(powers),
            sums.i.valid.eq(block_sum.o_valid),
            sums.i.payload.eq(block_sum.o),
            self.o_sum.valid.eq(sums.o.valid),
            sums.o.ready.eq(self.o_sum.ready),
            rows.o.ready.eq(self.o_sum.ready & sums.o.valid),
            item.sum.eq(sums.o.payload),
            item.shift.eq(row.shift),
        ]
        m.d.comb += [getattr(item, name).eq(getattr(row.row, name)) for name in ("row", "slot", "first", "last", "end")]
