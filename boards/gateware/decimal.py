"""Prints a ratio of two numbers."""

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out


class DecimalPrinter(wiring.Component):
    """The whole part of a ratio as decimal digits in ASCII, the first one not 0 unless it is the only one.

    One bit of a quotient a cycle, one division for the ratio and one for every digit, of `bits` + 2 cycles each; then
    the first digit comes. A ratio over 0 is all ones.

    Parameters
    ----------
    bits : int
        Of both numbers, 4 or more.

    Members
    -------
    i : In(stream.Signature(numerator, denominator))
    o : Out(stream.Signature(8)), the digits
    busy : Out(1), from the cycle after a ratio was taken to that in which its last digit is
    """

    def __init__(self, *, bits: int) -> None:
        if bits < 4:
            raise ValueError(f"bits = {bits!r}: must be 4 or more, for the digits")
        self.bits = bits
        self.most = len(str((1 << bits) - 1))
        ratio = data.StructLayout({"numerator": bits, "denominator": bits})
        super().__init__(
            {"i": In(stream.Signature(ratio)), "o": Out(stream.Signature(unsigned(8))), "busy": Out(1)},
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        quotient = Signal(self.bits)
        divisor = Signal(self.bits)
        remainder = Signal(self.bits)
        left = Signal(range(self.bits + 1))
        digits = Signal(4 * self.most)
        count = Signal(range(self.most + 1))
        ratio = Signal()
        # The next bit of the dividend moves from the top of the quotient's register into the remainder.
        shifted = Signal(self.bits + 1)
        fits = Signal()
        m.d.comb += [shifted.eq(Cat(quotient[-1], remainder)), fits.eq(shifted >= divisor)]
        with m.FSM(name="print") as machine:
            m.d.comb += self.busy.eq(~machine.ongoing("Wait"))
            with m.State("Wait"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [
                    quotient.eq(self.i.payload.numerator),
                    divisor.eq(self.i.payload.denominator),
                    ratio.eq(1),
                    count.eq(0),
                ]
                with m.If(self.i.valid):
                    m.next = "Begin"
            with m.State("Begin"):
                m.d.sync += [remainder.eq(0), left.eq(self.bits)]
                m.next = "Divide"
            with m.State("Divide"):
                m.d.sync += [
                    remainder.eq(shifted - (fits.replicate(self.bits) & divisor)),
                    quotient.eq(Cat(fits, quotient)),
                    left.eq(left - 1),
                ]
                with m.If(left == 1):
                    m.next = "Keep"
            with m.State("Keep"):
                m.d.sync += [ratio.eq(0), divisor.eq(10)]
                with m.If(ratio):
                    m.next = "Begin"
                with m.Else():
                    m.d.sync += [digits.eq(Cat(remainder[:4], digits)), count.eq(count + 1)]
                    m.next = "Begin"
                    with m.If(quotient == 0):
                        m.next = "Say"
            with m.State("Say"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(ord("0") + digits[:4])]
                with m.If(self.o.ready):
                    m.d.sync += [digits.eq(digits[4:]), count.eq(count - 1)]
                    with m.If(count == 1):
                        m.next = "Wait"
        return m
