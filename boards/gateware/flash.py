"""What an SPI flash holds, byte by byte."""

from amaranth.hdl import Cat, Const, Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

READ = 0x03
"""Command that every flash of up to 16 MB has, followed by an address of 24 bits."""
COMMAND_BITS = 32
WAKE_CLOCKS = 16
"""Clocks before the flash is selected: the ECP5 loses the first ones after it has configured itself."""


class FlashReader(wiring.Component):
    """Reads on from an address without end, from reset on: a bit in two cycles, a byte in 16; waits while one is not
    taken.

    SPI mode 0: what goes out changes where the clock falls. What comes in is looked at where it falls again, a whole
    period after the flash began to change it.

    Parameters
    ----------
    start : int
        Address of the first byte, below 2**24.

    Members
    -------
    o : Out(stream.Signature(8))
    clock, cs, copi : Out(1); cipo : In(1), behind a register at the pad
    """

    def __init__(self, *, start: int) -> None:
        if not 0 <= start < 1 << 24:
            raise ValueError(f"start = {start!r}: must have 24 bits")
        self.start = start
        super().__init__(
            {
                "o": Out(stream.Signature(unsigned(8))),
                "clock": Out(1),
                "cs": Out(1),
                "copi": Out(1),
                "cipo": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        out = Signal(COMMAND_BITS, init=READ << 24 | self.start)
        left = Signal(range(COMMAND_BITS), init=WAKE_CLOCKS - 1)
        bits = Signal(7)
        held, over, sample, complete = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [over.eq(self.clock & (left == 0)), self.copi.eq(out[-1])]
        m.d.sync += [sample.eq(0), complete.eq(0)]
        with m.If(self.clock):
            m.d.sync += [self.clock.eq(0), left.eq(left - 1)]
        with m.Elif(~held):
            m.d.sync += self.clock.eq(1)
        with m.FSM(name="flash"):
            with m.State("Wake"):
                with m.If(over):
                    m.next = "Select"
            with m.State("Select"):
                m.d.comb += held.eq(1)
                m.d.sync += [self.cs.eq(1), left.eq(COMMAND_BITS - 1)]
                m.next = "Send Command"
            with m.State("Send Command"):
                with m.If(self.clock):
                    m.d.sync += out.eq(Cat(Const(0, 1), out))
                with m.If(over):
                    m.d.sync += left.eq(7)
                    m.next = "Read"
            with m.State("Read"):
                m.d.comb += held.eq((left == 0) & self.o.valid & ~self.o.ready)
                m.d.sync += [sample.eq(self.clock), complete.eq(over)]
                with m.If(over):
                    m.d.sync += left.eq(7)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(sample):
            m.d.sync += bits.eq(Cat(self.cipo, bits))
        with m.If(complete):
            m.d.sync += [self.o.payload.eq(Cat(self.cipo, bits)), self.o.valid.eq(1)]
        return m
