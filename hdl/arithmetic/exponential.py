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


@shared
class Exp2Negative(wiring.Component):
    """``2**-d`` to within 2**-23, relative, for d >= 0; see docs/numerics-functions.md.

    One result a cycle, `latency` cycles after its operand. While `en` is 0 the whole pipeline stands still. No valid
    bits inside and no reset of data: the parent delays its own.

    Members
    -------
    en : In(1)
    d : In(36), unsigned, 20 of its bits are a fraction
    o : Out(32), a machine float

    Attributes
    ----------
    latency : int
    """

    latency = TablePolynomial.latency + 2

    def __init__(self) -> None:
        super().__init__({"en": In(1), "d": In(INTEGER_BITS + FRACTION_BITS), "o": Out(WORD)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        en = self.en
        m.submodules.polynomial = polynomial = TablePolynomial(exponential_table())

        # 1. The fraction counts up from the next whole number, so that the exponential rises with it. At
        # 0 the table gives 1, whose mantissa field is 0 as it must be: only the exponent differs.
        whole, fraction = self.d[FRACTION_BITS:], self.d[:FRACTION_BITS]
        position = Signal(FRACTION_BITS, reset_less=True)
        field = Signal(signed(9), reset_less=True)
        with m.If(en):
            m.d.sync += [
                position.eq(-fraction),
                field.eq(Mux(whole[7:].any(), 0, 126 - whole[:7] + ~fraction.any())),
            ]
        m.d.comb += [polynomial.en.eq(en), Cat(polynomial.f, polynomial.i).eq(position)]

        # 2. The polynomial's stages, then the word.
        exponent = delay(m, field, polynomial.latency, enable=en, name="exponent")
        with m.If(en):
            with m.If(exponent < 1):
                m.d.sync += self.o.eq(0)
            with m.Else():
                m.d.sync += self.o.eq(Cat(polynomial.o[:23], exponent[:8]))
        return m
