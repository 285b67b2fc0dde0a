"""Between integers and float32."""

from functools import partial

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...arch.pipeline import SHALLOW, Registers
from ..shared import shared
from .common import (
    FLOAT,
    WORD,
    check_range,
    delay,
    finish,
    held,
    normalise,
    normalising_steps,
    shift_right_sticky,
)


@shared
class FixedToFloat(wiring.Component):
    """``o = rne32(n * 2**e)``; see docs/numerics-functions.md.

    One result a cycle, `latency` cycles after its operands. While `en` is 0 the whole pipeline stands still. No valid
    bits inside and no reset of data: the parent delays its own.

    Parameters
    ----------
    width : int, 2 to 64
        Bits of the signed integer.
    exponent_width : int, 2 to 16
        Bits of the signed exponent.
    registers : Registers
        Where its registers stand: `arch.pipeline.FIXED_TO_FLOAT`.

    Members
    -------
    en : In(1)
    n : In(signed(width))
    e : In(signed(exponent_width))
    o : Out(32)
    overflow : Out(1), `o` was saturated

    Attributes
    ----------
    latency : int
        Of the class: of one with the least registers.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    latency = SHALLOW.to_float.latency

    def __init__(self, *, width: int, exponent_width: int = 12, registers: Registers = SHALLOW.to_float) -> None:
        check_range("FixedToFloat", "width", width, 2, 64)
        check_range("FixedToFloat", "exponent_width", exponent_width, 2, 16)
        self.width = width
        self.exponent_width = exponent_width
        self.registers = registers
        self.latency = registers.latency
        super().__init__(
            {
                "en": In(1),
                "n": In(signed(width)),
                "e": In(signed(exponent_width)),
                "o": Out(WORD),
                "overflow": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        en = self.en
        width = max(self.width, 26)
        steps = normalising_steps(width)
        coarse = [step for step in steps if step >= 16]
        cycles, before = self.registers.cycles, self.registers.steps("normalise")
        wait = partial(held, m, enable=en)

        # 1. Magnitude, left-justified, and the coarse steps of bringing its leading one to the top.
        magnitude = Signal(self.width)
        m.d.comb += magnitude.eq((self.n ^ self.n[-1].replicate(self.width)) + self.n[-1])
        justified = Cat(C(0, width - self.width), magnitude)
        first = [step for step in before if step >= 16]
        moved, coarse_zeros = normalise(m, justified, coarse, name="magnitude", before=first, enable=en)
        value = delay(m, moved, 1, enable=en, name="value")
        coarse_zeros_1 = delay(m, coarse_zeros, 1, enable=en, name="coarse_zeros_1")
        sign = delay(m, self.n[-1], self.latency - 1, enable=en, name="sign")
        # The exponent field that a leading one at the top would have.
        early = wait(self.e, cycles[0] - 1, name="early")
        scale = Signal(signed(max(self.exponent_width, 9) + 1), reset_less=True)
        with m.If(en):
            m.d.sync += scale.eq(early + (self.width - 1 + 127))

        # 2. The fine steps.
        fine = [step for step in before if step < 16]
        normal, fine_zeros = normalise(m, value, steps[len(coarse) :], name="value", before=fine, enable=en)
        coarse_zeros_2 = wait(coarse_zeros_1, cycles[1] - 1, name="coarse_zeros_2")
        zeros = delay(m, Cat(fine_zeros, coarse_zeros_2), 1, enable=en, name="zeros")
        scale_2 = delay(m, scale, cycles[1], enable=en, name="scale_2")
        top = delay(m, normal[width - 25 :], 1, enable=en, name="top")
        below = delay(m, normal[: width - 25].any(), 1, enable=en, name="below")

        # 3. Round; a carry out of the mantissa goes into the exponent. What is flushed is decided before rounding.
        found, summed = (int(step in self.registers.before) for step in ("round", "saturate"))
        exponent = Signal(signed(len(scale) + 1))
        m.d.comb += exponent.eq(scale_2 - zeros)
        up = wait(top[0] & (below | top[1]), found, name="up")
        top_3 = wait(top, found, name="top_3")
        exponent_3 = wait(exponent, found, name="exponent_3")
        rounded = Signal(signed(len(exponent) + 24))
        m.d.comb += rounded.eq(Cat(top_3[1:24], exponent_3).as_signed() + up)
        flush = wait(~top_3[24] | (exponent_3 < 1), summed, name="flush")
        word = wait(rounded, summed, name="word")
        finish(m, word, sign, flush=flush, enable=en, o=self.o, overflow=self.overflow)
        return m


@shared
class FloatToFixed(wiring.Component):
    """`a` times ``2**fraction_bits``, rounded to nearest even and saturated; see docs/numerics-functions.md.

    One result a cycle, `latency` cycles after its operand. While `en` is 0 the whole pipeline stands still. No valid
    bits inside and no reset of data: the parent delays its own.

    Parameters
    ----------
    integer_bits : int, 1 to 32
        Bits above the point, the sign among them.
    fraction_bits : int, 0 to 32

    Members
    -------
    en : In(1)
    a : In(32), a machine float
    o : Out(signed(integer_bits + fraction_bits))
    overflow : Out(1), `o` was saturated

    Attributes
    ----------
    latency : int

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    latency = 3

    def __init__(self, *, integer_bits: int, fraction_bits: int) -> None:
        check_range("FloatToFixed", "integer_bits", integer_bits, 1, 32)
        check_range("FloatToFixed", "fraction_bits", fraction_bits, 0, 32)
        self.integer_bits = integer_bits
        self.fraction_bits = fraction_bits
        width = integer_bits + fraction_bits
        super().__init__({"en": In(1), "a": In(WORD), "o": Out(signed(width)), "overflow": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        en = self.en
        width = self.integer_bits + self.fraction_bits
        # The significand starts with its leading one at the weight of the sign bit; one guard bit below the point.
        field = max(width + 1, 24)
        a = FLOAT(self.a)

        # 1. How far it moves down; more than width leaves less than half a unit.
        amount = Signal(signed(10))
        m.d.comb += amount.eq(width - 1 + 127 - self.fraction_bits - a.exponent)
        far = Signal(reset_less=True)
        above = Signal(reset_less=True)
        amount_1 = Signal(width.bit_length(), reset_less=True)
        with m.If(en):
            m.d.sync += [
                above.eq(amount < 0),
                far.eq((amount > width) | ~a.exponent.any()),
                amount_1.eq(amount),
            ]
        mantissa = delay(m, a.mantissa, 1, enable=en, name="mantissa")
        sign = delay(m, a.sign, 2, enable=en, name="sign")

        # 2. Move it.
        significand = Mux(far, 0, Cat(C(0, field - 24), mantissa, 1))
        moved, lost = shift_right_sticky(m, significand, amount_1, name="moved")
        top = delay(m, moved[field - width - 1 :], 1, enable=en, name="top")
        below = delay(m, moved[: field - width - 1].any() | lost, 1, enable=en, name="below")
        above_2 = delay(m, above, 1, enable=en, name="above_2")

        # 3. Round and negate in one addition: -(x + up) is ~x + 1 - up.
        up = top[0] & (below | top[1])
        integer = Signal(signed(width + 2))
        m.d.comb += integer.eq((Cat(top[1:], C(0, 2)) ^ sign.replicate(width + 2)).as_signed() + (up ^ sign))
        saturate = Signal()
        m.d.comb += saturate.eq(above_2 | (integer[width + 1] != integer[width - 1]) | (integer[width] != integer[-1]))
        with m.If(en):
            m.d.sync += self.overflow.eq(saturate)
            with m.If(saturate):
                m.d.sync += self.o.eq(Cat((~sign).replicate(width - 1), sign))
            with m.Else():
                m.d.sync += self.o.eq(integer)
        return m
