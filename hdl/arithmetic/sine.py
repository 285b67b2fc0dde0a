"""Sine and cosine of a phase in turns, as float32, from one table."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...arch.pipeline import SHALLOW, Registers
from ...arch.tables import sine_table
from .common import WORD, delay
from .fixed import FixedToFloat
from .polynomial import TablePolynomial

PHASE_BITS = 40


class SineCosine(wiring.Component):
    """Sine and cosine to within 2**-23.4, absolute; see docs/numerics-functions.md.

    One pair a cycle, `latency` cycles after its phase. While `en` is 0 the whole pipeline stands still. No valid bits
    inside and no reset of data: the parent delays its own.

    Parameters
    ----------
    registers : Registers
        Where those of the conversion to floats stand: `arch.pipeline.FIXED_TO_FLOAT`.

    Members
    -------
    en : In(1)
    phase : In(40), in units of 2**-40 turns
    sine, cosine : Out(32), machine floats in [-1, 1]

    Attributes
    ----------
    latency : int
        Of the class: of one with the least registers.
    """

    latency = TablePolynomial.latency + 1 + SHALLOW.to_float.latency

    def __init__(self, *, registers: Registers = SHALLOW.to_float) -> None:
        self.registers = registers
        self.latency = TablePolynomial.latency + 1 + registers.latency
        super().__init__({"en": In(1), "phase": In(PHASE_BITS), "sine": Out(WORD), "cosine": Out(WORD)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        en = self.en
        table = sine_table()
        m.submodules.up = up = TablePolynomial(table)
        m.submodules.down = down = TablePolynomial(table)
        quadrant = self.phase[PHASE_BITS - 2 :]
        position = self.phase[: PHASE_BITS - 2][-(table.index_bits + table.fraction_bits) :]
        m.d.comb += [
            up.en.eq(en),
            down.en.eq(en),
            Cat(up.f, up.i).eq(position),
            Cat(down.f, down.i).eq(~position),
        ]

        # Odd quadrants swap the two; the sine is negative in the lower half, the cosine on the left.
        swap = delay(m, quadrant[0], up.latency, enable=en, name="swap")
        below = delay(m, quadrant[1], up.latency, enable=en, name="below")
        left = delay(m, quadrant[0] ^ quadrant[1], up.latency, enable=en, name="left")
        for name, magnitude, negative in (
            ("sine", Mux(swap, down.o, up.o), below),
            ("cosine", Mux(swap, up.o, down.o), left),
        ):
            value = Signal(signed(26), name=f"{name}_value", reset_less=True)
            to_float = FixedToFloat(width=26, exponent_width=6, registers=self.registers)
            m.submodules[f"{name}_to_float"] = to_float
            with m.If(en):
                m.d.sync += value.eq(Mux(negative, -magnitude, magnitude))
            m.d.comb += [
                to_float.en.eq(en),
                to_float.n.eq(value),
                to_float.e.eq(-24),
                getattr(self, name).eq(to_float.o),
            ]
        return m
