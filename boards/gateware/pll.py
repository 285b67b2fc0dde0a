"""The clock of an ECP5 design from that of its board."""

from dataclasses import dataclass

from amaranth.hdl import Const, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

OSCILLATOR_MHZ = (400.0, 800.0)
"""Range of the PLL's oscillator (Lattice FPGA-DS-02012, sysCLOCK PLL timing)."""
PHASE_DETECTOR_MHZ = (3.125, 400.0)
"""Range of the frequency that it compares."""
LARGEST_DIVIDER = 128
"""Of an output."""


@dataclass(frozen=True)
class Dividers:
    """How an EHXPLLL that feeds its output back makes a clock: input / `reference` x `feedback`, the oscillator being
    the output x `output`."""

    reference: int
    feedback: int
    output: int


def dividers_for(input_mhz: float, output_mhz: float) -> Dividers:
    """The dividers that give exactly a frequency, the oscillator as near to the middle of its range as they allow.

    Raises
    ------
    ValueError
        None do.
    """
    low, high = OSCILLATOR_MHZ
    found = [
        (abs(output_mhz * output - (low + high) / 2), Dividers(reference, feedback, output))
        for reference in range(1, 129)
        if PHASE_DETECTOR_MHZ[0] <= input_mhz / reference <= PHASE_DETECTOR_MHZ[1]
        for feedback in range(1, 81)
        if abs(input_mhz / reference * feedback - output_mhz) < 1e-6
        for output in range(1, LARGEST_DIVIDER + 1)
        if low <= output_mhz * output <= high
    ]
    if not found:
        raise ValueError(
            f"control.clock_mhz = {output_mhz!r}: the PLL cannot make it of {input_mhz:g} MHz; take a multiple of 5"
        )
    return min(found, key=lambda pair: (pair[0], pair[1].reference))[1]


class Pll(wiring.Component):
    """A clock from another one, in phase with it, and if they are wanted one that is late against it and a slower one.

    Parameters
    ----------
    input_mhz, output_mhz : float
        Of the clock that comes and of the one that is made.
    late_degrees : float or None
        By what part of its period, of 360 degrees, `late` is behind `o`; None: there is no `late`.
    slow_ratio : int or None
        Periods of `o` in one of `slow`; None: there is no `slow`.

    Members
    -------
    i : In(1), o : Out(1), clocks
    late : Out(1), slow : Out(1), clocks
    locked : Out(1), asynchronous: `o` has its frequency
    """

    def __init__(
        self,
        *,
        input_mhz: float,
        output_mhz: float,
        late_degrees: float | None = None,
        slow_ratio: int | None = None,
    ) -> None:
        self.dividers, self._late, self._slow = dividers_for(input_mhz, output_mhz), None, None
        members = {"i": In(1), "o": Out(1), "locked": Out(1)}
        if late_degrees is not None:
            members["late"] = Out(1)
            step = 360 / self.dividers.output
            self._late = round(late_degrees / step)
            if not 0 <= self._late < self.dividers.output or abs(self._late * step - late_degrees) > 1e-6:
                raise ValueError(f"late_degrees = {late_degrees!r}: must be a multiple of {step:g} below 360")
        if slow_ratio is not None:
            members["slow"] = Out(1)
            self._slow = slow_ratio * self.dividers.output
            if slow_ratio < 1 or self._slow > LARGEST_DIVIDER:
                largest = LARGEST_DIVIDER // self.dividers.output
                raise ValueError(f"slow_ratio = {slow_ratio!r}: must be from 1 to {largest}")
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        divide = self.dividers
        more: dict[str, object] = {}
        if self._slow is not None:
            more |= {"p_CLKOS2_ENABLE": "ENABLED", "p_CLKOS2_DIV": self._slow, "o_CLKOS2": self.slow}
        if self._late is not None:
            # Phases count periods of the oscillator, of which both outputs have the same number.
            more |= {
                "p_CLKOS_ENABLE": "ENABLED",
                "p_CLKOS_DIV": divide.output,
                "p_CLKOS_CPHASE": divide.output // 2 + self._late,
                "p_CLKOS_FPHASE": 0,
                "o_CLKOS": self.late,
            }
        m.submodules.pll = Instance(
            "EHXPLLL",
            p_CLKI_DIV=divide.reference,
            p_CLKFB_DIV=divide.feedback,
            p_CLKOP_DIV=divide.output,
            p_CLKOP_CPHASE=divide.output // 2,
            p_CLKOP_FPHASE=0,
            p_CLKOP_ENABLE="ENABLED",
            p_FEEDBK_PATH="CLKOP",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            i_CLKI=self.i,
            i_CLKFB=self.o,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(1),
            i_PHASESTEP=Const(1),
            i_PHASELOADREG=Const(1),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            o_CLKOP=self.o,
            o_LOCK=self.locked,
            **more,
        )
        return m
