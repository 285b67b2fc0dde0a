"""Float32 multiplication."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...arch.config import MULTIPLIER_BITS
from ..shared import shared
from .common import FLOAT, WORD, delay, finish


@shared
class FloatMultiply(wiring.Component):
    """``o = rne32(a * b)``; see docs/numerics-functions.md.

    One result a cycle, `latency` cycles after its operands. While `en` is 0 the whole pipeline stands still. No valid
    bits inside and no reset of data: the parent delays its own. Multipliers with registers on both sides: four of
    12 x 12 bits, or 24 x 17 and 24 x 7.

    Parameters
    ----------
    multiplier_bits : int, 18 or 27
        Bits of a multiplier's wider factor, its sign among them; the other one has 18.

    Members
    -------
    en : In(1)
    a, b : In(32), machine floats
    o : Out(32)
    overflow : Out(1), `o` was saturated

    Attributes
    ----------
    latency : int

    Raises
    ------
    ValueError
        If `multiplier_bits` is neither.
    """

    latency = 5

    def __init__(self, *, multiplier_bits: int = 18) -> None:
        if multiplier_bits not in MULTIPLIER_BITS:
            raise ValueError(f"FloatMultiply: multiplier_bits must be 18 or 27, not {multiplier_bits!r}")
        self.multiplier_bits = multiplier_bits
        super().__init__({"en": In(1), "a": In(WORD), "b": In(WORD), "o": Out(WORD), "overflow": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        en = self.en

        # 1. Operands into registers.
        a, b = FLOAT(self.a), FLOAT(self.b)
        left = Signal(24, reset_less=True)
        right = Signal(24, reset_less=True)
        exponents = Signal(9, reset_less=True)
        with m.If(en):
            m.d.sync += [
                left.eq(Cat(a.mantissa, 1)),
                right.eq(Cat(b.mantissa, 1)),
                exponents.eq(a.exponent + b.exponent),
            ]
        sign = delay(m, a.sign ^ b.sign, 4, enable=en, name="sign")
        zero = delay(m, ~a.exponent.any() | ~b.exponent.any(), 3, enable=en, name="zero")

        # 2. and 3. The product, in [2**46, 2**48).
        product = self._four(m, left, right) if self.multiplier_bits == 18 else self._two(m, left, right)

        # 4. Bring the leading one to bit 23; what will be flushed is known before rounding.
        top = product[47]
        exponent = Signal(signed(10))
        m.d.comb += exponent.eq(delay(m, exponents, 2, enable=en, name="exponents_3") - 127 + top)
        mantissa = Signal(23, reset_less=True)
        up = Signal(reset_less=True)
        exponent_4 = Signal(9, reset_less=True)
        flush = Signal(reset_less=True)
        guard = Mux(top, product[23], product[22])
        below = product[:22].any() | (top & product[22])
        odd = Mux(top, product[24], product[23])
        with m.If(en):
            m.d.sync += [
                mantissa.eq(Mux(top, product[24:47], product[23:46])),
                up.eq(guard & (below | odd)),
                exponent_4.eq(exponent),
                flush.eq(zero | (exponent < 1)),
            ]

        # 5. Round; a carry out of the mantissa goes into the exponent.
        rounded = Signal(32)
        m.d.comb += rounded.eq(Cat(mantissa, exponent_4) + up)
        finish(m, rounded, sign, flush=flush, enable=en, o=self.o, overflow=self.overflow)
        return m

    def _four(self, m: Module, left: Signal, right: Signal) -> Signal:
        """The product from partial products of 12 x 12 bits, two cycles later."""
        low = Signal(24, reset_less=True)
        high = Signal(24, reset_less=True)
        cross = Signal(24, reset_less=True)
        crossed = Signal(24, reset_less=True)
        with m.If(self.en):
            m.d.sync += [
                low.eq(left[:12] * right[:12]),
                cross.eq(left[:12] * right[12:]),
                crossed.eq(left[12:] * right[:12]),
                high.eq(left[12:] * right[12:]),
            ]
        # The low 12 bits need no adder.
        product = Signal(48, reset_less=True)
        middle = Signal(25)
        m.d.comb += middle.eq(cross + crossed)
        with m.If(self.en):
            m.d.sync += product.eq(Cat(low[:12], Cat(low[12:], high) + middle))
        return product

    def _two(self, m: Module, left: Signal, right: Signal) -> Signal:
        """The same from 24 x 17 bits, which a signed multiplier of 27 x 18 holds, and the 7 that remain."""
        low = Signal(41, reset_less=True)
        high = Signal(31, reset_less=True)
        product = Signal(48, reset_less=True)
        with m.If(self.en):
            m.d.sync += [
                low.eq(left * right[:17]),
                high.eq(left * right[17:]),
                product.eq(Cat(low[:17], high + low[17:])),
            ]
        return product
