"""A unit between registers, behind four pins: what place and route needs of a unit with more ports than pins."""

from amaranth.hdl import Cat, Const, Module, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

INSTANCE = "unit"
INPUT, OUTPUT, PARITY = "from_input", "to_output", "parity_of"
"""Prefixes of the registers before an input, after an output, and of those that lead outputs to a pin."""


class TimingHarness(wiring.Component):
    """Every input comes from a register and every output goes into one, as its neighbours in the accelerator do.

    Input registers are a shift register from the pin `data`, so that none is constant. Output registers are folded into
    the pin `parity`, so that none is superfluous, behind a second register, so that this costs the unit no time: one
    XOR a bit, which `boards.netlist` leaves out of its counts together with all these registers.

    Parameters:
        component: the unit, not yet elaborated.

    Members:
        data : In(1), parity : Out(1).
    """

    def __init__(self, component: wiring.Component) -> None:
        self.component = component
        super().__init__({"data": In(1), "parity": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules[INSTANCE] = self.component
        shifted: Value = self.data
        folded: Value = Const(0, 1)
        for path, member, port in self.component.signature.flatten(self.component):
            value, name = Value.cast(port), "__".join(map(str, path))
            width = Shape.cast(member.shape).width
            if width == 0 or isinstance(value, Const):
                continue
            if member.flow == In:
                # Kept by name: else it is called as the port that it drives, and counted as the unit's.
                register = Signal(width, name=f"{INPUT}__{name}", reset_less=True, attrs={"keep": 1})
                m.d.sync += register.eq(Cat(shifted, register))
                m.d.comb += value.eq(register)
                shifted = register[-1]
            else:
                taken = Signal(width, name=f"{OUTPUT}__{name}", reset_less=True)
                parity = Signal(width, name=f"{PARITY}__{name}", reset_less=True)
                m.d.sync += [taken.eq(value), parity.eq(taken ^ Cat(folded, parity)[:width])]
                folded = parity[-1]
        m.d.comb += self.parity.eq(folded)
        return m
