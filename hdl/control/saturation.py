"""The sticky status bit that says that a number left the range of float32."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..interfaces import Interfaces, write_port

LARGEST = 0x7F7FFFFF
"""Bits of the largest finite float32: what every overflow gives (docs/numerics.md, 1)."""


class Saturation(wiring.Component):
    """Remembers that the largest finite magnitude, of either sign, was written to the scratchpad.

    It only listens. The written word is registered before anything is done with it, so nothing is added to the paths of
    the write port; `saturated` follows a write by three cycles. Cost: 31 flip-flops and some 11 LUT4 a lane.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    write : In(write_port), of the scratchpad
    clear : In(1), forget
    saturated : Out(1), since then an enabled lane has held +-LARGEST
    """

    def __init__(self, interfaces: Interfaces) -> None:
        self.lanes = interfaces.lanes
        port = write_port(interfaces.spm_address, interfaces.vector, interfaces.lanes)
        super().__init__({"write": In(port), "clear": In(1), "saturated": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        enabled = Signal(self.lanes)
        hits = Signal(self.lanes)
        m.d.sync += enabled.eq(self.write.mask & self.write.en.replicate(self.lanes))
        for lane in range(self.lanes):
            magnitude = Signal(31, name=f"magnitude_{lane}", reset_less=True)
            m.d.sync += [
                magnitude.eq(self.write.data[lane]),
                hits[lane].eq(enabled[lane] & (magnitude == LARGEST)),
            ]
        with m.If(hits.any()):
            m.d.sync += self.saturated.eq(1)
        with m.If(self.clear):
            m.d.sync += [self.saturated.eq(0), Cat(enabled, hits).eq(0)]
        return m
