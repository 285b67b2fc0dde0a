"""From bus beats to the parts that an instruction counts in."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic.common import check_range


class BeatCutter(wiring.Component):
    """Cuts beats into parts, lowest first; takes no beat that it does not need and drops the rest of the last one.

    A part is at `o` the cycle after its beat was taken; one part a cycle, also across beats. Cost: a beat of registers.

    Parameters
    ----------
    beat_bits : int
    part_bits : int
        Divides `beat_bits`.

    Members
    -------
    start : In(1), pulse: deliver `count` parts
    count : In(24), 1 at least
    i : In(stream.Signature(beat_bits))
    o : Out(stream.Signature(part_bits))

    Raises
    ------
    ValueError
        If the parts do not fill a beat.
    """

    def __init__(self, *, beat_bits: int, part_bits: int) -> None:
        check_range("BeatCutter", "part_bits", part_bits, 1, beat_bits)
        if beat_bits % part_bits:
            raise ValueError(f"BeatCutter: part_bits must divide beat_bits = {beat_bits}, not {part_bits!r}")
        self.part_bits = part_bits
        self.parts = beat_bits // part_bits
        super().__init__(
            {
                "start": In(1),
                "count": In(24),
                "i": In(stream.Signature(beat_bits)),
                "o": Out(stream.Signature(part_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat = Signal(self.parts * self.part_bits, reset_less=True)
        here = Signal(range(self.parts + 1))
        left = Signal(24)
        step = Signal()
        m.d.comb += [
            self.o.valid.eq(here != 0),
            self.o.payload.eq(beat[: self.part_bits]),
            step.eq(self.o.valid & self.o.ready),
        ]
        with m.If(here == 0):
            m.d.comb += self.i.ready.eq(left != 0)
        with m.Else():
            m.d.comb += self.i.ready.eq(step & (here == 1) & (left != 1))
        with m.If(step):
            m.d.sync += [left.eq(left - 1), here.eq(here - 1)]
            with m.If(left == 1):
                m.d.sync += here.eq(0)
        # The beat follows the input until it is there: whether it is comes late in a cycle.
        with m.If(self.i.ready):
            m.d.sync += beat.eq(self.i.payload)
            with m.If(self.i.valid):
                m.d.sync += here.eq(self.parts)
        if self.parts > 1:
            with m.Elif(step):
                m.d.sync += beat.eq(beat >> self.part_bits)
        with m.If(self.start):
            m.d.sync += left.eq(self.count)
        return m
