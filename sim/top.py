"""The top level of the RTL device: the accelerator behind registers."""

from amaranth import ClockDomain, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ..arch.config import AcceleratorConfig
from ..hdl.control.accelerator import Accelerator


class DeviceTop(wiring.Component):
    """An accelerator whose inputs come out of registers: what the clock loop sets now counts from the next cycle.

    The outputs of a cycle are there once its clock edge is evaluated, and what depends on the inputs, which are many
    bits of read data, is not evaluated once more when they change. There is no reset: a simulation begins with the
    initial values of the registers, which are the same.

    Ports: `clk`, and those of the accelerator.

    Parameters:
        config, trace, gated: of `Accelerator`.
    """

    def __init__(self, config: AcceleratorConfig, *, trace: bool, gated: bool) -> None:
        self.accelerator = Accelerator(config, trace=trace, gated=gated)
        super().__init__({"clk": In(1), **self.accelerator.signature.members})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = sync = ClockDomain(reset_less=True)
        m.submodules.accelerator = accelerator = self.accelerator
        m.d.comb += sync.clk.eq(self.clk)
        for name, member in accelerator.signature.members.items():
            outer, inner = getattr(self, name), getattr(accelerator, name)
            if name == "unit_clk":
                m.d.comb += inner.eq(outer)
            elif member.flow is In:
                m.d.sync += inner.eq(outer)
            else:
                m.d.comb += outer.eq(inner)
        return m
