"""Third stage of the softmax: probabilities against V's exponents, quantized."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.formats import BLOCK
from ..arithmetic.common import FLOAT as FLOAT_FIELDS
from ..arithmetic.common import delay, delay_valid
from ..common import Queue, bits_for, parts, pick
from ..interfaces import Interfaces, read_port, write_port
from ..vector.quantizer import Quantizer
from .shape import AttentionShape
from .softmax_layouts import SoftmaxLayouts


def scale_signed(value: Value, exponent: Value) -> Value:
    """A probability times 2**exponent, exponent signed 8 bits; flushed below 2**-126. 1 x 2**127 is finite."""
    x = FLOAT_FIELDS(value)
    field = x.exponent + exponent
    return Mux((x.exponent == 0) | (field < 1), 0, Cat(x.mantissa, field[:8], x.sign))


class SoftmaxQuantize(wiring.Component):
    """For every row and every block of 32 lanes of V: 32 / V words through the quantizer.

    Two quantizers take two blocks at once, the second one a cycle behind the first: their blocks are written one after
    the other.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    head_blocks : In(4)
    i : In(stream.Signature(maximum))
    powers : Out(read_port), the ring of probabilities; freed : Out(1), its oldest row was read
    exponents : Out(read_port), V's, a block for each quantizer; address: block / quantizers, then slot
    probabilities : Out(write_port), address: block, row group, slot; one mask bit per bank
    page_done : Out(1), pulse: all blocks of a page are written
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.shape = shape = AttentionShape(interfaces)
        self.layouts = layouts = SoftmaxLayouts(interfaces)
        self.block = data.StructLayout(
            {
                "block": shape.block_bits,
                "row": shape.state_bits,
                "slot": shape.slot_bits,
                "shift": 8,
                "end": 1,
                "both": 1,
            }
        )
        super().__init__(
            {
                "head_blocks": In(4),
                "i": In(stream.Signature(layouts.maximum)),
                "powers": Out(read_port(layouts.ring_bits, layouts.powers)),
                "freed": Out(1),
                "exponents": Out(read_port(shape.exponent_bits, shape.quantizers * BLOCK * 8)),
                "probabilities": Out(write_port(shape.probability_bits, interfaces.am_word, shape.rows)),
                "page_done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, layouts = self.shape, self.layouts
        m.submodules.blocks = blocks = Queue(shape=self.block, depth=16)
        quantizers = []
        for number in range(shape.quantizers):
            quantizer = Quantizer(lanes=shape.lanes, bits=self.interfaces.config.array.activation_bits)
            m.submodules[f"quantizer_{number}"] = quantizer
            quantizers.append(quantizer)
        row = self.i.payload.row
        word = Signal(range(shape.words))
        block = Signal(4)
        ring_row = Signal(range(layouts.buffers))
        both = Signal()
        pair = bits_for(shape.quantizers)
        issue = Signal()
        last_word = Signal()
        last_block = Signal()
        m.d.comb += [
            issue.eq(self.i.valid & ((word != 0) | blocks.i.ready)),
            last_word.eq(word == shape.words - 1),
            last_block.eq(block + shape.quantizers >= self.head_blocks),
            both.eq(block + 1 < self.head_blocks if shape.quantizers > 1 else 0),
            self.powers.en.eq(issue),
            self.powers.address.eq(Cat(word, ring_row)),
            self.exponents.en.eq(issue),
            self.exponents.address.eq(Cat(block[pair:][: shape.block_bits - pair], row.slot)),
            self.freed.eq(issue & last_word & last_block),
            self.i.ready.eq(self.freed),
            blocks.i.valid.eq(issue & (word == 0)),
            blocks.i.payload.block.eq(block),
            blocks.i.payload.row.eq(row.row),
            blocks.i.payload.slot.eq(row.slot),
            blocks.i.payload.shift.eq(self.i.payload.shift),
            blocks.i.payload.end.eq(row.end & last_block),
            blocks.i.payload.both.eq(both),
        ]
        with m.If(issue):
            m.d.sync += word.eq(word + 1)
            with m.If(last_word):
                m.d.sync += block.eq(Mux(last_block, 0, block + shape.quantizers))
        with m.If(self.freed):
            m.d.sync += ring_row.eq(ring_row + 1)

        chosen = delay(m, word, 1, enable=issue, name="chosen")
        for number, quantizer in enumerate(quantizers):
            exponents = self.exponents.data[number * BLOCK * 8 : (number + 1) * BLOCK * 8]
            own = pick(m, parts(exponents, shape.lanes * 8), chosen, name=f"exponents_{number}")
            wanted = issue & both if number else issue
            m.d.comb += [
                quantizer.valid.eq(delay_valid(m, wanted, 3 + number, name=f"scaled_valid_{number}")),
                quantizer.i.eq(delay(m, self._scale(m, own, number), number, enable=C(1), name=f"scaled_{number}")),
            ]
        self._write(m, quantizers, blocks)
        return m

    def _scale(self, m: Module, exponents: Value, number: int) -> Signal:
        """V probabilities times 2^exponent, two cycles after the memories' answer."""
        scaled = Signal(self.layouts.powers, name=f"products_{number}", reset_less=True)
        for lane in range(self.shape.lanes):
            # A memory's output is late in the cycle: a register before the arithmetic.
            exponent = Signal(signed(8), name=f"exponent_{number}_{lane}", reset_less=True)
            power = Signal(32, name=f"power_{number}_{lane}", reset_less=True)
            m.d.sync += [
                exponent.eq(exponents.word_select(lane, 8)),
                power.eq(self.powers.data[lane]),
                scaled[lane].eq(scale_signed(power, exponent)),
            ]
        return scaled

    def _write(self, m: Module, quantizers: list[Quantizer], blocks: Queue) -> None:
        """A block as it leaves its quantizer; of two, the second one's place is that of the cycle before."""
        shape, first = self.shape, quantizers[0]
        m.d.comb += blocks.o.ready.eq(first.o_valid)
        item, result, ends = blocks.o.payload, first.o, first.o_valid & blocks.o.payload.end
        if len(quantizers) > 1:
            second = quantizers[1]
            stash = Signal(self.block, reset_less=True)
            m.d.sync += stash.eq(item)
            m.d.sync += stash.block.eq(item.block + 1)
            chosen = Mux(second.o_valid, Value.cast(stash), Value.cast(item))
            result = type(first.o)(first.o.shape(), Mux(second.o_valid, Value.cast(second.o), Value.cast(first.o)))
            ends = (ends & ~item.both) | (second.o_valid & stash.end)
            item = self.block(chosen)
        word = self.probabilities.data
        m.d.comb += [
            self.probabilities.en.eq(Cat(quantizer.o_valid for quantizer in quantizers).any()),
            self.probabilities.address.eq(Cat(item.block, item.row[shape.row_bits :], item.slot)),
            self.probabilities.mask.eq(1 << item.row[: shape.row_bits]),
            word.q.eq(result.q),
            word.exponent.eq(result.exponent),
            word.total.eq(result.total),
            word.shift.eq(item.shift),
        ]
        m.d.sync += self.page_done.eq(ends)
