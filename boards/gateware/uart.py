"""Both ends of an asynchronous serial line: 8 data bits, no parity, one stop bit, least significant bit first."""

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

BITS = 8
FRAME = BITS + 2
"""Bits of a byte on the line, with its start and stop bit."""


def divisor_for(clock_hz: float, baud: int) -> int:
    """Cycles of a bit.

    Raises
    ------
    ValueError
        They are not 4 or more, or off by more than 2 %: the other end would lose a bit of the ten.
    """
    cycles = round(clock_hz / baud)
    if cycles < 4 or abs(clock_hz / baud / cycles - 1) > 0.02:
        raise ValueError(f"baud = {baud!r}: a bit is no whole number of cycles, 4 at least, of {clock_hz:g} Hz")
    return cycles


class UartReceiver(wiring.Component):
    """Bytes from a line, each in the middle of its stop bit.

    A byte that is not taken before the next one ends is lost, and so is one whose stop bit is 0. A start bit that is
    over by its middle was noise.

    Parameters
    ----------
    divisor : int
        Cycles of a bit, 4 or more.

    Members
    -------
    rx : In(1), asynchronous, idle high
    o : Out(stream.Signature(8))
    """

    def __init__(self, *, divisor: int) -> None:
        self.divisor = _checked(divisor)
        super().__init__({"rx": In(1, init=1), "o": Out(stream.Signature(unsigned(BITS)))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1)
        timer = Signal(range(self.divisor))
        left = Signal(range(FRAME + 1))
        bits = Signal(BITS)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(left == 0):
            m.d.sync += timer.eq(self.divisor // 2 - 1)
            with m.If(~line):
                m.d.sync += left.eq(FRAME)
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += [timer.eq(self.divisor - 1), left.eq(left - 1)]
            with m.If((left == FRAME) & line):
                m.d.sync += left.eq(0)
            with m.Elif(left > 1):
                m.d.sync += bits.eq(Cat(bits[1:], line))
            with m.Elif(line):
                m.d.sync += [self.o.payload.eq(bits), self.o.valid.eq(1)]
        return m


class UartTransmitter(wiring.Component):
    """Bytes onto a line, one after the other without a gap as long as there are some; each takes 10 bits.

    Parameters
    ----------
    divisor : int
        Cycles of a bit, 4 or more.

    Members
    -------
    i : In(stream.Signature(8))
    tx : Out(1), idle high
    """

    def __init__(self, *, divisor: int) -> None:
        self.divisor = _checked(divisor)
        super().__init__({"i": In(stream.Signature(unsigned(BITS))), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        timer = Signal(range(self.divisor))
        left = Signal(range(FRAME + 1))
        bits = Signal(FRAME - 1)
        ends = Signal()
        m.d.comb += [ends.eq(timer == 0), self.i.ready.eq((left == 0) | ((left == 1) & ends))]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [self.tx.eq(0), bits.eq(Cat(self.i.payload, 1)), left.eq(FRAME), timer.eq(self.divisor - 1)]
        with m.Elif(left != 0):
            m.d.sync += timer.eq(timer - 1)
            with m.If(ends):
                m.d.sync += [self.tx.eq(bits[0]), bits.eq(Cat(bits[1:], 1)), left.eq(left - 1)]
                m.d.sync += timer.eq(self.divisor - 1)
        return m


def _checked(divisor: int) -> int:
    if divisor < 4:
        raise ValueError(f"divisor = {divisor!r}: must be 4 or more, or no edge is sampled in time")
    return divisor
