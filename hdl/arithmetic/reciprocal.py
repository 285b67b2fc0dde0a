"""1 / x and 1 / sqrt(x), float32 to float32, from a table."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...arch.tables import reciprocal_square_root_table, reciprocal_table
from .common import FLOAT, LARGEST, WORD, check_flag, delay
from .polynomial import TablePolynomial


class Reciprocal(wiring.Component):
    """1 / x to within 2**-22.7, relative; see docs/numerics-functions.md.

    One result a cycle, `latency` cycles after its operand. While `en` is 0 the whole pipeline stands still. No valid
    bits inside and no reset of data: the parent delays its own.

    Parameters
    ----------
    in_logic : bool
        As in `TablePolynomial`.

    Members
    -------
    en : In(1)
    a : In(32), a machine float
    o : Out(32)
    zero : Out(1), `a` was zero and `o` is the largest number

    Attributes
    ----------
    latency : int
    """

    latency = TablePolynomial.latency + 1

    def __init__(self, *, in_logic: bool = False) -> None:
        check_flag("Reciprocal", "in_logic", in_logic)
        self.in_logic = in_logic
        super().__init__({"en": In(1), "a": In(WORD), "o": Out(WORD), "zero": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        en = self.en
        m.submodules.polynomial = polynomial = TablePolynomial(reciprocal_table(), in_logic=self.in_logic)
        a = FLOAT(self.a)
        m.d.comb += [polynomial.en.eq(en), Cat(polynomial.f, polynomial.i).eq(a.mantissa)]

        # At a power of two the table gives 2, whose mantissa field is 0 as it must be: only the exponent differs.
        power = ~a.mantissa.any()
        first = Signal(signed(9))
        m.d.comb += first.eq(253 - a.exponent + power)
        cycles = polynomial.latency
        exponent = delay(m, first, cycles, enable=en, name="exponent")
        sign = delay(m, a.sign, cycles, enable=en, name="sign")
        zero = delay(m, ~a.exponent.any(), cycles, enable=en, name="zero")

        with m.If(en):
            m.d.sync += self.zero.eq(zero)
            with m.If(zero):
                m.d.sync += self.o.eq(LARGEST)
            with m.Elif(exponent < 1):
                m.d.sync += self.o.eq(0)
            with m.Else():
                m.d.sync += self.o.eq(Cat(polynomial.o[:23], exponent[:8], sign))
        return m


class ReciprocalSqrt(wiring.Component):
    """1 / sqrt(x) to within 2**-23.3, relative; see docs/numerics-functions.md.

    One result a cycle, `latency` cycles after its operand. While `en` is 0 the whole pipeline stands still. No valid
    bits inside and no reset of data: the parent delays its own.

    Members
    -------
    en : In(1)
    a : In(32), a machine float
    o : Out(32)
    invalid : Out(1), `a` was zero (`o` is the largest number) or negative (`o` is 0)

    Attributes
    ----------
    latency : int
    """

    latency = TablePolynomial.latency + 1

    def __init__(self) -> None:
        super().__init__({"en": In(1), "a": In(WORD), "o": Out(WORD), "invalid": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        en = self.en
        m.submodules.polynomial = polynomial = TablePolynomial(reciprocal_square_root_table())
        a = FLOAT(self.a)
        # The bias is odd: an even exponent field is an odd exponent.
        odd = ~a.exponent[0]
        m.d.comb += [polynomial.en.eq(en), Cat(polynomial.f, polynomial.i).eq(Cat(a.mantissa, odd))]

        # At a power of four the table gives 2, as in Reciprocal.
        power = ~odd & (~a.mantissa.any())
        first = Signal(8)
        # floor((exponent - 127) / 2) = ((exponent + 1) >> 1) - 64.
        m.d.comb += first.eq(190 - ((a.exponent + 1) >> 1) + power)
        cycles = polynomial.latency
        exponent = delay(m, first, cycles, enable=en, name="exponent")
        zero = delay(m, ~a.exponent.any(), cycles, enable=en, name="zero")
        negative = delay(m, a.sign, cycles, enable=en, name="negative")

        with m.If(en):
            m.d.sync += self.invalid.eq(zero | negative)
            with m.If(zero):
                m.d.sync += self.o.eq(LARGEST)
            with m.Elif(negative):
                m.d.sync += self.o.eq(0)
            with m.Else():
                m.d.sync += self.o.eq(Cat(polynomial.o[:23], exponent))
        return m
