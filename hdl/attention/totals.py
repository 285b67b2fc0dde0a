"""The running sum of probabilities of every row, and its reciprocal at the end."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic.add import FloatAdd
from ..arithmetic.common import FLOAT as FLOAT_FIELDS
from ..arithmetic.common import delay, delay_valid
from ..arithmetic.reciprocal import Reciprocal
from ..common import block_ram
from ..interfaces import FLOAT, read_port
from .shape import AttentionShape


def scale_down(value: Value, shift: Value) -> Value:
    """A machine float times 2**-shift, shift unsigned; flushed to +0 below 2**-126."""
    x = FLOAT_FIELDS(value)
    return Mux(x.exponent > shift, Cat(x.mantissa, (x.exponent - shift)[:8], x.sign), 0)


def totals_layout(shape: AttentionShape) -> data.StructLayout:
    """A block sum: row of the pass, slot of the page, shift, first and last page, last row of its page."""
    return data.StructLayout(
        {"row": shape.state_bits, "slot": shape.slot_bits, "shift": 8, "first": 1, "last": 1, "end": 1, "sum": FLOAT}
    )


class Totals(wiring.Component):
    """total = total x 2^-shift + sum for every row (docs/numerics.md, section 8, step 5), then 1 / total.

    One update a cycle, but an update of a row waits while another one of the same row is in the adder.

    Parameters
    ----------
    shape : AttentionShape
    in_logic : bool
        Of the reciprocal, as in `Reciprocal`.

    Members
    -------
    i : In(stream.Signature(totals_layout))
    page_done : Out(1), pulse: all totals of a page, and after the last page all reciprocals, are there
    reciprocals : In(read_port), of the R rows of a group; address: row group, then slot of the pass's last page
    """

    def __init__(self, *, shape: AttentionShape, in_logic: bool = False) -> None:
        self.shape = shape
        self.in_logic = in_logic
        self.state_bits = shape.state_bits
        self.layout = totals_layout(shape)
        super().__init__(
            {
                "i": In(stream.Signature(self.layout)),
                "page_done": Out(1),
                "reciprocals": In(read_port(shape.group_bits + shape.slot_bits, shape.factors)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        m.submodules.store = totals = block_ram(shape=FLOAT, depth=1 << self.state_bits)
        m.submodules.result_store = results = block_ram(
            shape=shape.rows * 32, depth=1 << (shape.group_bits + shape.slot_bits)
        )
        m.submodules.add = adder = FloatAdd(positive=True)
        m.submodules.reciprocal = reciprocal = Reciprocal(in_logic=self.in_logic)
        total_read, total_write = totals.read_port(), totals.write_port()
        result_read, result_write = results.read_port(), results.write_port(granularity=32)

        # Stage 0: read. Stage 1: scale. Stage 2 on: add. The write follows in the cycle of the adder's output.
        issue = Signal()
        stages = 2 + FloatAdd.latency
        busy = []
        used, row = issue, self.i.payload.row
        for stage in range(stages):
            next_used, next_row = Signal(name=f"used_{stage}"), Signal(self.state_bits, name=f"row_{stage}")
            m.d.sync += [next_used.eq(used), next_row.eq(row)]
            used, row = next_used, next_row
            busy.append(used & (row == self.i.payload.row))
        done, done_row = used, row
        m.d.comb += [
            issue.eq(self.i.valid & ~Cat(busy).any()),
            self.i.ready.eq(issue),
            total_read.addr.eq(self.i.payload.row),
            total_read.en.eq(issue),
        ]
        item = Signal(self.layout, reset_less=True)
        scaled = Signal(32, reset_less=True)
        addend = Signal(32, reset_less=True)
        m.d.sync += [
            item.eq(self.i.payload),
            scaled.eq(Mux(item.first, 0, scale_down(total_read.data, item.shift))),
            addend.eq(item.sum),
        ]
        flags = delay(m, Cat(item.last, item.end, item.slot), stages - 1, enable=C(1), name="flags")
        m.d.comb += [
            adder.en.eq(1),
            adder.a.eq(scaled),
            adder.b.eq(addend),
            total_write.addr.eq(done_row),
            total_write.data.eq(adder.o),
            total_write.en.eq(done),
            reciprocal.en.eq(1),
            reciprocal.a.eq(adder.o),
        ]
        cycles = Reciprocal.latency
        known = delay_valid(m, done & flags[0], cycles, name="known")
        known_row = delay(m, Cat(done_row, flags[2:]), cycles, enable=C(1), name="known_row")
        ends = delay_valid(m, done & flags[1], cycles, name="ends")
        m.d.comb += [
            result_write.addr.eq(known_row[shape.row_bits :]),
            result_write.data.eq(reciprocal.o.replicate(shape.rows)),
            result_write.en.eq(known << known_row[: shape.row_bits]),
            result_read.addr.eq(self.reciprocals.address),
            result_read.en.eq(self.reciprocals.en),
            Value.cast(self.reciprocals.data).eq(result_read.data),
        ]
        # All pages take as long as a last one, so that they are done in their order.
        m.d.sync += self.page_done.eq(ends)
        return m
