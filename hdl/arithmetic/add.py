"""Float32 addition and subtraction."""

from functools import partial

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...arch.pipeline import SHALLOW, Registers
from ..shared import shared
from .common import FLOAT, WORD, check_flag, delay, held, normalise, shift_right_sticky

# The sum has three bits below the mantissa (guard, round, sticky) and one above (carry).
_WIDTH = 28


@shared
class FloatAdd(wiring.Component):
    """``o = rne32(a + b)``, or ``rne32(a - b)`` with `sub`; see docs/numerics-functions.md.

    One result a cycle, `latency` cycles after its operands. While `en` is 0 the whole pipeline stands still. No valid
    bits inside and no reset of data: the parent delays its own.

    Without signs a sum is normalised by one place at most, and exponents alone say which one is aligned.

    Parameters
    ----------
    positive : bool
        The sum of the magnitudes: there is no `sub`, and no sign counts.
    registers : Registers
        Where its registers stand: `arch.pipeline.FLOAT_ADD`.

    Members
    -------
    en : In(1)
    a, b : In(32), machine floats
    sub : In(1), negates `b`; not with `positive`
    o : Out(32)
    overflow : Out(1), `o` was saturated

    Attributes
    ----------
    latency : int
        Of the class: of one with the least registers.

    Raises
    ------
    ValueError
        If `positive` is no truth value.
    """

    latency = SHALLOW.add.latency

    def __init__(self, *, positive: bool = False, registers: Registers = SHALLOW.add) -> None:
        check_flag("FloatAdd", "positive", positive)
        self.positive = positive
        self.registers = registers
        self.latency = registers.latency
        sub = {} if positive else {"sub": In(1)}
        super().__init__({"en": In(1), "a": In(WORD), "b": In(WORD), **sub, "o": Out(WORD), "overflow": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        en = self.en
        cycles = self.registers.cycles
        # Registers inside the first stage, the fourth and the last.
        ordered, inside, summed = cycles[0] - 1, cycles[3] - 1, cycles[4] - 1
        wait = partial(held, m, enable=en)

        # 1. Order by magnitude, so that the difference is never negative, and find the distance. Of two that are added
        # and have one exponent, either may come first.
        a, b = FLOAT(self.a), FLOAT(self.b)
        swap = Signal()
        forward = Signal(8)
        backward = Signal(8)
        m.d.comb += [
            swap.eq(a.exponent < b.exponent if self.positive else self.a[:31] < self.b[:31]),
            forward.eq(a.exponent - b.exponent),
            backward.eq(b.exponent - a.exponent),
        ]
        swapped = wait(swap, ordered, name="swapped")
        distance = Mux(swapped, wait(backward, ordered, name="backward_1"), wait(forward, ordered, name="forward_1"))
        a = FLOAT(wait(self.a, ordered, name="a_1"))
        b = FLOAT(wait(self.b, ordered, name="b_1"))
        sub = C(0) if self.positive else wait(self.sub, ordered, name="sub_1")
        sign = Signal(reset_less=True)
        subtract = Signal(reset_less=True)
        exponent = Signal(8, reset_less=True)
        large = Signal(23, reset_less=True)
        small = Signal(23, reset_less=True)
        amount = Signal(5, reset_less=True)
        absent = Signal(reset_less=True)
        with m.If(en):
            m.d.sync += [
                sign.eq(0 if self.positive else Mux(swapped, b.sign ^ sub, a.sign)),
                subtract.eq(0 if self.positive else a.sign ^ b.sign ^ sub),
                exponent.eq(Mux(swapped, b.exponent, a.exponent)),
                large.eq(Mux(swapped, b.mantissa, a.mantissa)),
                small.eq(Mux(swapped, a.mantissa, b.mantissa)),
                amount.eq(distance),
                absent.eq(distance[5:].any() | ~a.exponent.any() | ~b.exponent.any()),
            ]

        # 2. Align the smaller operand: 24 bits, guard and round, and everything below as one sticky bit. One that is
        # far below cannot change the rounding and counts as zero. It leaves inverted where it is to be subtracted.
        present = Signal(26)
        m.d.comb += present.eq(Mux(absent, 0, Cat(C(0, 2), small, 1)))
        before = self.registers.steps("align")
        shifted, lost = shift_right_sticky(m, present, amount, name="align", before=before, enable=en)
        aligned = Signal(27, reset_less=True)
        inverted = wait(subtract, cycles[1] - 1, name="inverted")
        large_2 = delay(m, large, cycles[1], enable=en, name="large_2")
        subtract_2 = delay(m, subtract, cycles[1], enable=en, name="subtract_2")
        exponent_2 = delay(m, exponent, cycles[1], enable=en, name="exponent_2")
        with m.If(en):
            m.d.sync += aligned.eq(Cat(lost, shifted) ^ inverted.replicate(27))

        # 3. Add. The one that completes the two's complement is carried in from a bit below. First step of normalising;
        # what was only added has its leading one in one of the two top bits.
        steps = [1] if self.positive else [16, 8, 4, 2, 1]
        total = Signal(_WIDTH)
        m.d.comb += total.eq((Cat(subtract_2, C(0, 3), large_2, C(1, 2)) + Cat(subtract_2, aligned, subtract_2)) >> 1)
        before = self.registers.steps("normalise")
        first = [step for step in before if step >= 16]
        coarse, empty_16 = normalise(m, total, steps[:-4], name="total", before=first, enable=en)
        coarse_3 = delay(m, coarse, 1, enable=en, name="coarse_3")
        empty_16_3 = delay(m, empty_16, 1, enable=en, name="empty_16_3")
        exponent_3 = delay(m, exponent_2, cycles[2], enable=en, name="exponent_3")

        # 4. Normalise. What will overflow becomes the largest number here, before rounding.
        fine = [step for step in before if step < 16]
        value, empties = normalise(m, coarse_3, steps[-4:], name="coarse", before=fine, enable=en)
        near = C(1) if self.positive else ~empty_16_3
        full = Signal()
        overflow = Signal()
        m.d.comb += [
            full.eq(coarse_3[2:27].all() & ~coarse_3[27]),
            overflow.eq((exponent_3 == 254) & near & (coarse_3[27] | full)),
        ]
        overflows = wait(overflow, inside, name="overflows")
        empty_16_4 = wait(empty_16_3, inside, name="empty_16_4")
        mantissa = Signal(24, reset_less=True)
        guard = Signal(reset_less=True)
        below = Signal(reset_less=True)
        zeros = Signal(5, reset_less=True)
        overflow_4 = Signal(reset_less=True)
        with m.If(en):
            m.d.sync += overflow_4.eq(overflows)
            with m.If(overflows):
                m.d.sync += [mantissa.eq(~0), guard.eq(0), zeros.eq(1)]
            with m.Else():
                m.d.sync += [mantissa.eq(value[4:]), guard.eq(value[3]), zeros.eq(Cat(empties, empty_16_4))]
            m.d.sync += below.eq(value[:3].any())
        # The leading one of the sum, at its top, has exponent + 1; -zeros is ~zeros + 1.
        base = Signal(9)
        m.d.comb += base.eq(exponent_3 + 2)
        base_4 = delay(m, base, cycles[3], enable=en, name="base_4")
        sign_4 = delay(m, sign, sum(cycles[1:]) - 1, enable=en, name="sign_4")
        none_4 = delay(m, ~exponent.any(), sum(cycles[1:]) - 1, enable=en, name="none_4")

        # 5. Round; a carry out of the mantissa goes into the exponent. A sum below 2**-126 was exact: no rounding
        # hides behind the test for a flush.
        up = guard & (below | mantissa[0])
        rounded = Signal(33)
        m.d.comb += rounded.eq(Cat(mantissa[:23], base_4) + Cat(up, C(0, 22), ~zeros, C(0x1F, 5)))
        word = wait(rounded, summed, name="word")
        # Magnitudes neither cancel nor fall below the smallest float.
        low_exponent = word[23:]
        none = none_4
        if not self.positive:
            top = wait(mantissa[23], summed, name="top")
            none = none_4 | ~top | low_exponent[9] | ~low_exponent.any()
        with m.If(en):
            m.d.sync += self.overflow.eq(wait(overflow_4, summed, name="overflow_5"))
            with m.If(none):
                m.d.sync += self.o.eq(0)
            with m.Else():
                m.d.sync += self.o.eq(Cat(word[:31], sign_4))
        return m
