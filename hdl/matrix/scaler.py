"""From integer dot products to the float32 value of a block."""

from collections.abc import Sequence

from amaranth.hdl import C, Cat, DomainRenamer, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...arch.pipeline import SHALLOW, Pipeline, Registers
from ..arithmetic.add import FloatAdd
from ..arithmetic.common import delay
from ..arithmetic.fixed import FixedToFloat
from ..shared import shared

EXPONENT_BITS = 12
"""Holds the sum of a scale's exponent (10 bits) and an activation block's (8 bits)."""

PRODUCT = 2
"""Cycles of an exact product."""


class BlockScaler(wiring.Component):
    """``rne32(dot x d x 2^e)``, plus ``rne32(total x m x 2^e)`` where built with minimum: docs/numerics.md, section 4.

    One set a cycle, `latency` cycles after its operands; never stalls, no reset of data. R x C multipliers of the dot's
    width x 12 bits (twice that with minimum).

    Parameters
    ----------
    rows, channels : int
        R and C.
    activation_bits : int
        b.
    minimum : bool
        Builds the second product and the addition. A minimum of 0 then leaves the first term as it is.
    pipeline : Pipeline
    row_domains : sequence of str or None
        Clock domain of what is there once per row; None is ``sync``.

    Members
    -------
    dots : In, R x C signed integers of b + 13 bits
    row_exponent : In, R exponents e
    row_total : In, R sums of the block's integers
    scale, minimum : In, C signed significands
    scale_exponent, minimum_exponent : In, C exponents: d = scale x 2^scale_exponent
    o : Out, R x C float32
    overflow : Out(1), one of `o` was saturated; the parent gates it with its valid bit

    Attributes
    ----------
    latency : int
    """

    def __init__(
        self,
        *,
        rows: int,
        channels: int,
        activation_bits: int,
        minimum: bool,
        pipeline: Pipeline = SHALLOW,
        row_domains: Sequence[str] | None = None,
    ) -> None:
        self.rows = rows
        self.channels = channels
        self.activation_bits = activation_bits
        self.has_minimum = minimum
        self.row_domains = row_domains or ("sync",) * rows
        self.pipeline = pipeline
        self.latency = PRODUCT + pipeline.to_float.latency + (pipeline.add.latency if minimum else 0)
        array = data.ArrayLayout
        super().__init__(
            {
                "dots": In(array(array(signed(activation_bits + 13), channels), rows)),
                "row_exponent": In(array(signed(8), rows)),
                "row_total": In(array(signed(activation_bits + 5), rows)),
                "scale": In(array(signed(12), channels)),
                "scale_exponent": In(array(signed(10), channels)),
                "minimum": In(array(signed(12), channels)),
                "minimum_exponent": In(array(signed(10), channels)),
                "o": Out(array(array(32, channels), rows)),
                "overflow": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        products, joins = [], []
        for row, domain in enumerate(self.row_domains):
            clocked = DomainRenamer(domain)
            for channel in range(self.channels):
                where = f"{row}_{channel}"
                scale = ScaledInteger(integer_bits=self.activation_bits + 13, registers=self.pipeline.to_float)
                m.submodules[f"scale_{where}"] = clocked(scale)
                m.d.comb += [
                    scale.integer.eq(self.dots[row][channel]),
                    scale.significand.eq(self.scale[channel]),
                    scale.row_exponent.eq(self.row_exponent[row]),
                    scale.exponent.eq(self.scale_exponent[channel]),
                ]
                products.append(scale.overflow)
                value = scale.o
                if self.has_minimum:
                    minimum = ScaledInteger(integer_bits=self.activation_bits + 5, registers=self.pipeline.to_float)
                    join = FloatAdd(registers=self.pipeline.add)
                    m.submodules[f"minimum_{where}"] = clocked(minimum)
                    m.submodules[f"join_{where}"] = clocked(join)
                    m.d.comb += [
                        minimum.integer.eq(self.row_total[row]),
                        minimum.significand.eq(self.minimum[channel]),
                        minimum.row_exponent.eq(self.row_exponent[row]),
                        minimum.exponent.eq(self.minimum_exponent[channel]),
                        join.en.eq(1),
                        join.a.eq(scale.o),
                        join.b.eq(minimum.o),
                    ]
                    products.append(minimum.overflow)
                    joins.append(join.overflow)
                    value = join.o
                m.d.comb += self.o[row][channel].eq(value)
        overflow = Cat(products).any()
        if self.has_minimum:
            early = delay(m, overflow, self.pipeline.add.latency, enable=C(1), name="product_overflow")
            overflow = early | Cat(joins).any()
        m.d.comb += self.overflow.eq(overflow)
        return m


@shared
class ScaledInteger(wiring.Component):
    """``rne32(integer x significand x 2^(row_exponent + exponent))``: product in two cycles, then conversion.

    One a cycle, `latency` cycles after its operands. The integer is cut in two, each part narrow enough for one DSP
    with a register behind it, before the addition.

    Parameters
    ----------
    integer_bits : int
    registers : Registers
        Of the conversion.

    Members
    -------
    integer : In(signed(integer_bits))
    significand : In(signed(12))
    row_exponent : In(signed(8)), exponent : In(signed(10))
    o : Out(32), a machine float
    overflow : Out(1), `o` was saturated

    Attributes
    ----------
    latency : int
    """

    def __init__(self, *, integer_bits: int, registers: Registers = SHALLOW.to_float) -> None:
        self.registers = registers
        self.latency = PRODUCT + registers.latency
        inputs = {"integer": integer_bits, "significand": 12, "row_exponent": 8, "exponent": 10}
        super().__init__(
            {**{name: In(signed(bits)) for name, bits in inputs.items()}, "o": Out(32), "overflow": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        integer, significand = self.integer, self.significand
        cut = len(integer) // 2
        width = len(integer) + len(significand)
        low = Signal(signed(cut + len(significand)), reset_less=True)
        high = Signal(signed(width - cut), reset_less=True)
        product = Signal(signed(width), reset_less=True)
        total = Signal(signed(EXPONENT_BITS), reset_less=True)
        m.d.sync += [
            low.eq(integer[:cut] * significand),
            high.eq(integer[cut:].as_signed() * significand),
            product.eq(low + (high << cut)),
            total.eq(delay(m, self.row_exponent + self.exponent, 1, enable=C(1), name="exponent_sum")),
        ]
        m.submodules.convert = convert = FixedToFloat(
            width=width, exponent_width=EXPONENT_BITS, registers=self.registers
        )
        m.d.comb += [
            convert.en.eq(1),
            convert.n.eq(product),
            convert.e.eq(total),
            self.o.eq(convert.o),
            self.overflow.eq(convert.overflow),
        ]
        return m
