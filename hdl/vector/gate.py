"""The factor of SILU and GELU, both from one polynomial."""

from functools import partial

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...arch.pipeline import SHALLOW, Pipeline
from ...arch.tables import PolynomialTable, normal_distribution_table, sigmoid_table
from ..arithmetic.common import FLOAT, WORD, delay, held
from ..arithmetic.fixed import FixedToFloat
from ..arithmetic.polynomial import TablePolynomial
from ..shared import shared


class Factor:
    """Codes of the factor: 1, the logistic sigmoid (SILU), the Gaussian distribution (GELU)."""

    ONE = 0
    SIGMOID = 1
    NORMAL = 2


def factor_latency(pipeline: Pipeline) -> int:
    """Of an `ActivationFactor`."""
    return pipeline.factor.latency + TablePolynomial.latency + 1 + pipeline.to_float.latency


@shared
class ActivationFactor(wiring.Component):
    """F(x) of docs/numerics-functions.md (ActivationFactor), chosen at run time, or exactly 1.

    One result a cycle, `latency` cycles after its operand. No valid bits inside and no reset of data: the parent delays
    its own. Both tables stand in one memory, so the second function costs block RAM only.

    Parameters
    ----------
    pipeline : Pipeline
        Where its registers stand: `factor` and `to_float`.

    Members
    -------
    kind : In(2), a code of `Factor`, constant while operands are inside
    a : In(32), a machine float
    o : Out(32), a machine float in [0, 1]

    Attributes
    ----------
    latency : int
    """

    def __init__(self, *, pipeline: Pipeline = SHALLOW) -> None:
        self.pipeline = pipeline
        self.latency = factor_latency(pipeline)
        super().__init__({"kind": In(2), "a": In(WORD), "o": Out(WORD)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        en = C(1)
        m.submodules.polynomial = polynomial = TablePolynomial(_both_tables())
        registers = self.pipeline.to_float
        m.submodules.to_float = to_float = FixedToFloat(width=26, exponent_width=6, registers=registers)
        a = FLOAT(self.a)

        # 1. |x| with 22 fraction bits, below 16.
        amount = Signal(8)
        m.d.comb += amount.eq(130 - a.exponent)
        small = (a.exponent == 0) | amount[5:].any()
        apart = self.pipeline.factor.latency - 1
        wait = partial(held, m, cycles=apart, enable=en)
        position = Signal(26, reset_less=True)
        magnitude = wait(Mux(small, 0, Cat(C(0, 2), a.mantissa, 1)), name="magnitude")
        m.d.sync += position.eq(magnitude >> wait(amount[:5], name="amount_1"))
        normal = self.kind == Factor.NORMAL
        m.d.comb += [polynomial.en.eq(en), Cat(polynomial.f, polynomial.i).eq(Cat(position, normal))]
        cycles = self.pipeline.factor.latency + polynomial.latency
        saturated = delay(m, a.exponent >= 131, cycles, enable=en, name="saturated")
        negative = delay(m, a.sign & (a.exponent != 0), cycles, enable=en, name="negative")

        # 2. F(-x) = 1 - F(x). The tables reach 1 by themselves, and pass it by a unit.
        value = Signal(25)
        result = Signal(25, reset_less=True)
        one = saturated | polynomial.o[24:].any()
        m.d.comb += value.eq(Cat(Mux(one, 0, polynomial.o[:24]), one))
        m.d.sync += result.eq(Mux(self.kind == Factor.ONE, 1 << 24, Mux(negative, (1 << 24) - value, value)))
        m.d.comb += [to_float.en.eq(en), to_float.n.eq(result), to_float.e.eq(-24), self.o.eq(to_float.o)]
        return m


def _both_tables() -> PolynomialTable:
    """The sigmoid's intervals, then the distribution's; the formats of the two tables are the same."""
    low, high = sigmoid_table(), normal_distribution_table()
    return PolynomialTable(
        name="factors",
        index_bits=low.index_bits + 1,
        fraction_bits=low.fraction_bits,
        output_fraction_bits=low.output_fraction_bits,
        result_fraction_bits=low.result_fraction_bits,
        c0=low.c0 + high.c0,
        c1=low.c1 + high.c1,
        c2=low.c2 + high.c2,
    )
