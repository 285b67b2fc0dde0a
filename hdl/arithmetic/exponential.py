"""2**-d, fixed point to float32, from a table."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...arch.tables import exponential_table
from ..shared import shared
from .common import WORD, delay
from .polynomial import TablePolynomial

FRACTION_BITS = 20
INTEGER_BITS = 16
X_BITS = INTEGER_BITS + 2 + FRACTION_BITS
"""Bits of an exponent: the distance of a score from the ceiling of another one."""


@shared
class Exp2Negative(wiring.Component):
    """``2**x`` to within 2**-23, relative, for x = -d <= 0; see docs/numerics-functions.md.

    One result a cycle, `latency` cycles after its operand. While `en` is 0 the whole pipeline stands still. No valid
    bits inside and no reset of data: the parent delays its own.

    Members
    -------
    en : In(1)
    x : In(signed(38)), 20 of its bits are a fraction; what is above 0 gives no meaningful result
    o : Out(32), a machine float

    Attributes
    ----------
    latency : int
    """

    latency = TablePolynomial.latency + 2

    def __init__(self) -> None:
        super().__init__({"en": In(1), "x": In(signed(X_BITS)), "o": Out(WORD)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        en = self.en
        m.submodules.polynomial = polynomial = TablePolynomial(exponential_table())

        # 1. The whole part, rounded down, is the exponent of the result, and its field 127 more: 7 bits, since x <= 0,
        # and 0 where the result is too small. The exponential rises with the fraction that is left; at 0 the table
        # gives 1, whose mantissa field is 0 as it must be.
        whole = self.x[FRACTION_BITS:]
        small = whole[-1] & ~(whole[7:].all() & whole[:7].any())
        position = Signal(FRACTION_BITS, reset_less=True)
        field = Signal(7, reset_less=True)
        with m.If(en):
            m.d.sync += [position.eq(self.x), field.eq(Mux(small, 0, whole[:7] - 1))]
        m.d.comb += [polynomial.en.eq(en), Cat(polynomial.f, polynomial.i).eq(position)]

        # 2. The polynomial's stages, then the word.
        exponent = delay(m, field, polynomial.latency, enable=en, name="exponent")
        with m.If(en):
            with m.If(exponent == 0):
                m.d.sync += self.o.eq(0)
            with m.Else():
                m.d.sync += self.o.eq(Cat(polynomial.o[:23], exponent))
        return m
