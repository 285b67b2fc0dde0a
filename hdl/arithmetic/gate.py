"""The factor by which SiLU and GELU multiply their argument."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...arch.tables import normal_distribution_table, sigmoid_table
from .common import FLOAT, WORD, delay
from .fixed import FixedToFloat
from .polynomial import TablePolynomial

TABLES = {"sigmoid": sigmoid_table, "gelu": normal_distribution_table}


class GateFunction(wiring.Component):
    """F(x) in [0, 1], to within 2**-22, absolute; see docs/numerics-functions.md.

    SiLU is x times the logistic function ("sigmoid"), GELU x times the Gaussian distribution ("gelu"): the parent
    multiplies. One result a cycle, `latency` cycles after its operand. While `en` is 0 the whole pipeline stands still.
    No valid bits inside and no reset of data: the parent delays its own.

    Parameters
    ----------
    kind : "sigmoid" or "gelu"

    Members
    -------
    en : In(1)
    a : In(32), a machine float
    o : Out(32), a machine float in [0, 1]

    Attributes
    ----------
    latency : int

    Raises
    ------
    ValueError
        If `kind` is neither.
    """

    latency = 1 + TablePolynomial.latency + 1 + FixedToFloat.latency

    def __init__(self, kind: str) -> None:
        if kind not in TABLES:
            raise ValueError(f"GateFunction: kind must be 'sigmoid' or 'gelu', not {kind!r}")
        self.kind = kind
        super().__init__({"en": In(1), "a": In(WORD), "o": Out(WORD)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        en = self.en
        m.submodules.polynomial = polynomial = TablePolynomial(TABLES[self.kind]())
        m.submodules.to_float = to_float = FixedToFloat(width=26, exponent_width=6)
        a = FLOAT(self.a)

        # 1. |x| with 22 fraction bits, below 16.
        amount = Signal(8)
        m.d.comb += amount.eq(130 - a.exponent)
        small = ~a.exponent.any() | amount[5:].any()
        position = Signal(26, reset_less=True)
        with m.If(en):
            m.d.sync += position.eq(Mux(small, 0, Cat(C(0, 2), a.mantissa, 1)) >> amount[:5])
        m.d.comb += [polynomial.en.eq(en), Cat(polynomial.f, polynomial.i).eq(position)]
        cycles = 1 + polynomial.latency
        saturated = delay(m, a.exponent >= 131, cycles, enable=en, name="saturated")
        negative = delay(m, a.sign & a.exponent.any(), cycles, enable=en, name="negative")

        # 2. F(-x) = 1 - F(x). The table reaches 1 by itself, and passes it by a unit.
        value = Signal(25)
        result = Signal(25, reset_less=True)
        one = saturated | polynomial.o[24:].any()
        m.d.comb += value.eq(Cat(Mux(one, 0, polynomial.o[:24]), one))
        with m.If(en):
            m.d.sync += result.eq(Mux(negative, (1 << 24) - value, value))
        m.d.comb += [to_float.en.eq(en), to_float.n.eq(result), to_float.e.eq(-24), self.o.eq(to_float.o)]
        return m
