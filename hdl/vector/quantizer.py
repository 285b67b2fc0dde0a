"""Blocks of 32 floats to integers with one shared exponent."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...arch.formats import BLOCK, MIN_EXPONENT
from ..arithmetic.common import FLOAT as FLOAT_FIELDS
from ..arithmetic.common import delay, shift_right_sticky
from ..common import block_ram
from ..interfaces import FLOAT

_RING = 32
"""Words kept for the second look: 32 / V and the latency of the exponent, at most 16 + 9."""


class Quantizer(wiring.Component):
    """Quantizes blocks as docs/numerics.md, section 3, says: V floats a cycle in, a block out.

    `valid` words come at any pace, 32 / V of them are a block, lowest elements first; nothing ever waits. The block is
    at `o`, with `o_valid` for one cycle, `latency` cycles after its last word. Blocks may follow each other without a
    gap.

    Parameters
    ----------
    lanes : int
        V, a power of two from 2 to 32.
    bits : int
        Bits of an element, 8 or 9.

    Members
    -------
    valid : In(1)
    i : In(ArrayLayout(32 bits, lanes)), machine floats
    narrow : In(1), 8 bits whatever `bits` is; the value at the block's last word counts
    o_valid : Out(1)
    o : Out(StructLayout), q (32 x signed(bits)), exponent (signed 8), total (sum of q)

    Attributes
    ----------
    latency : int

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(self, *, lanes: int, bits: int) -> None:
        if lanes not in (2, 4, 8, 16, 32):
            raise ValueError(f"Quantizer: lanes must be 2, 4, 8, 16 or 32, not {lanes!r}")
        if bits not in (8, 9):
            raise ValueError(f"Quantizer: bits must be 8 or 9, not {bits!r}")
        self.lanes = lanes
        self.bits = bits
        self.words = BLOCK // lanes
        self.levels = (lanes - 1).bit_length()
        # Keys, their tree, the running maximum, the exponent; ring, shift amount, rounding, sign, assembly.
        self.latency = 1 + self.levels + 1 + 1 + self.words + 4
        block = data.StructLayout(
            {
                "q": data.ArrayLayout(signed(bits), BLOCK),
                "exponent": signed(8),
                "total": signed(bits + 5),
            }
        )
        super().__init__(
            {
                "valid": In(1),
                "i": In(data.ArrayLayout(FLOAT, lanes)),
                "narrow": In(1),
                "o_valid": Out(1),
                "o": Out(block),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        found, exponent = self._find_exponent(m)
        replay, last = self._replay(m, found)
        ring = self._ring(m, replay)
        held = Signal(signed(9))
        with m.If(found):
            m.d.sync += held.eq(exponent)
        self._round(m, ring, held, delay_bits(m, Cat(replay, last), 1))
        return m

    def _find_exponent(self, m: Module) -> tuple[Value, Value]:
        """A pulse when a block's exponent is known, and the exponent.

        Of the largest magnitude only the exponent field counts and whether the mantissa would round up to a power of
        two; both order as one number.
        """
        counter = Signal(range(self.words))
        narrow = Signal(reset_less=True)
        with m.If(self.valid):
            m.d.sync += counter.eq(counter + 1)
        keys = []
        for lane in range(self.lanes):
            x = FLOAT_FIELDS(self.i[lane])
            key = Signal(9, name=f"key_{lane}", reset_less=True)
            ones = Mux(self.narrow, x.mantissa[16:].all(), x.mantissa[24 - self.bits :].all())
            m.d.sync += key.eq(Cat(ones & x.exponent.any(), x.exponent))
            keys.append(key)
        while len(keys) > 1:
            pairs = zip(keys[::2], keys[1::2], strict=True)
            keys = [_larger(m, a, b, name=f"key_{len(keys)}_{i}") for i, (a, b) in enumerate(pairs)]
        m.d.sync += narrow.eq(self.narrow)
        age = 1 + self.levels
        flags = delay_bits(m, Cat(self.valid, counter == 0, counter == self.words - 1), age)
        narrow = delay(m, narrow, self.levels, enable=C(1), name="narrow_last")
        largest = Signal(9, reset_less=True)
        complete = Signal()
        narrow_block = Signal(reset_less=True)
        with m.If(flags[0]):
            m.d.sync += [largest.eq(Mux(flags[1] | (keys[0] > largest), keys[0], largest)), narrow_block.eq(narrow)]
        m.d.sync += complete.eq(flags[0] & flags[2])
        exponent = Signal(signed(9), reset_less=True)
        found = Signal()
        raw = Signal(signed(10))
        m.d.comb += raw.eq(largest[1:] - 127 - Mux(narrow_block, 6, self.bits - 2) + largest[0])
        m.d.sync += [exponent.eq(Mux(raw < MIN_EXPONENT, MIN_EXPONENT, raw)), found.eq(complete)]
        return found, exponent

    def _replay(self, m: Module, found: Value) -> tuple[Value, Value]:
        """From `found` on, 32 / V cycles in which the block's words are read again: active, last."""
        if self.words == 1:
            return found, found
        left = Signal(range(self.words))
        active = found | left.any()
        with m.If(found):
            m.d.sync += left.eq(self.words - 1)
        with m.Elif(left.any()):
            m.d.sync += left.eq(left - 1)
        return active, (left == 1) & ~found

    def _ring(self, m: Module, replay: Value) -> data.View:
        m.submodules.ring = ring = block_ram(shape=self.i.shape(), depth=_RING)
        write, read = ring.write_port(), ring.read_port()
        for port, step in ((write, self.valid), (read, replay)):
            with m.If(step):
                m.d.sync += port.addr.eq(port.addr + 1)
        m.d.comb += [write.data.eq(self.i), write.en.eq(self.valid), read.en.eq(replay)]
        return read.data

    def _round(self, m: Module, words: data.View, exponent: Signal, flags: Value) -> None:
        """Shifts, rounds and signs a word of V elements; gathers 32. `flags`: a word is here, the block's last."""
        signed_q = []
        for lane in range(self.lanes):
            x = FLOAT_FIELDS(words[lane])
            # The eight integer bits of the largest element, a guard bit and everything below as one.
            value = Cat(x.mantissa[:15].any(), x.mantissa[15:], 1)
            distance = Signal(signed(11), name=f"distance_{lane}")
            m.d.comb += distance.eq(134 + exponent - x.exponent)
            amount = Signal(4, name=f"amount_{lane}", reset_less=True)
            present = Signal(10, name=f"present_{lane}", reset_less=True)
            m.d.sync += [
                amount.eq(distance),
                present.eq(Mux((distance > 9) | (x.exponent == 0), 0, value)),
            ]
            moved, lost = shift_right_sticky(m, present, amount, name=f"moved_{lane}")
            rounded = Signal(8, name=f"rounded_{lane}", reset_less=True)
            m.d.sync += rounded.eq(moved[2:] + (moved[1] & (moved[0] | lost | moved[2])))
            sign = delay(m, x.sign, 2, enable=C(1), name=f"sign_{lane}")
            q = Signal(signed(self.bits), name=f"q_{lane}", reset_less=True)
            m.d.sync += q.eq(Mux(sign, -rounded, rounded))
            signed_q.append(q)
        gather, last = delay_bits(m, flags, 3)
        total = Signal(signed(self.bits + 5))
        m.d.comb += self.o.total.eq(total)
        started = Signal()
        word_sum = _tree_sum(signed_q)
        with m.If(gather):
            m.d.sync += [
                total.eq(Mux(started, total, 0) + word_sum),
                started.eq(~last),
                Value.cast(self.o.q).eq(Cat(Value.cast(self.o.q)[self.bits * self.lanes :], *signed_q)),
            ]
        # The next block's exponent may replace `exponent` one cycle after this block's last word was read.
        late = delay(m, exponent, 3, enable=C(1), name="late_exponent")
        with m.If(gather & last):
            m.d.sync += self.o.exponent.eq(late)
        m.d.sync += self.o_valid.eq(gather & last)


def delay_bits(m: Module, bits: Value, cycles: int) -> Value:
    """Control bits as they were `cycles` cycles ago, in registers with reset."""
    for _ in range(cycles):
        register = Signal(len(bits), name="control")
        m.d.sync += register.eq(bits)
        bits = register
    return bits


def _larger(m: Module, a: Value, b: Value, *, name: str) -> Signal:
    result = Signal(len(a), name=name, reset_less=True)
    m.d.sync += result.eq(Mux(a > b, a, b))
    return result


def _tree_sum(values: list[Signal]) -> Value:
    while len(values) > 1:
        values = [a + b for a, b in zip(values[::2], values[1::2], strict=True)]
    return values[0]
