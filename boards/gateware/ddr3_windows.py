"""Which settings of a DDR3 PHY read right, and which of them is the farthest from a wrong one."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .ddr3_chip import LANES

DELAYS, SLIPS = 8, 4
"""Settings of the PHY, of each lane: when it begins to listen, in quarters of the chip's cycle; by how many words what
it heard is late."""

SETTING = data.StructLayout({"delay": range(DELAYS), "slip": range(SLIPS)})


class ReadWindows(wiring.Component):
    """Is told of all settings whether they are good, in both phases of reads; looks for each lane for the most delays
    in a row that are good with the same slip. Their middle is the lane's setting in that phase. The phase whose worse
    lane has more of them is chosen, the first where they are equal.

    Settings come in order, the delay changing first, then the slip; a phase ends with `compare`. The result stands a
    cycle later.

    Members
    -------
    setting : In(SETTING); good : In(2), of each lane, with note : In(1)
    phase : In(1), of reads now; compare : In(1), all settings have been noted in it
    chosen : Out(SETTING) of each lane; chosen_phase : Out(1); found : Out(1), both lanes have a good one
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "setting": In(SETTING),
                "good": In(LANES),
                "note": In(1),
                "phase": In(1),
                "compare": In(1),
                "chosen": Out(SETTING).array(LANES),
                "chosen_phase": Out(1),
                "found": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        longest = [Signal(range(DELAYS + 1), name=f"longest_{lane}") for lane in range(LANES)]
        middle = [Signal(SETTING, name=f"middle_{lane}") for lane in range(LANES)]
        before = Signal(range(DELAYS + 1))
        for lane in range(LANES):
            self._follow(m, lane, longest[lane], middle[lane])
        worse: Value = longest[0]
        for other in longest[1:]:
            worse = Mux(other < worse, other, worse)
        m.d.comb += self.found.eq(before != 0)
        with m.If(self.compare):
            m.d.sync += [length.eq(0) for length in longest]
            with m.If(worse > before):
                m.d.sync += [before.eq(worse), self.chosen_phase.eq(self.phase)]
                m.d.sync += [chosen.eq(found) for chosen, found in zip(self.chosen, middle, strict=True)]
        return m

    def _follow(self, m: Module, lane: int, longest: Signal, middle: Value) -> None:
        """The longest row of good delays of a lane so far, and its middle, the lower one of two."""
        row, now = Signal(range(DELAYS + 1), name=f"row_{lane}"), Signal(range(DELAYS + 1), name=f"now_{lane}")
        m.d.comb += now.eq(Mux(self.good[lane], row + 1, 0))
        with m.If(self.note):
            m.d.sync += row.eq(Mux(self.setting.delay == DELAYS - 1, 0, now))
            with m.If(now > longest):
                m.d.sync += [
                    longest.eq(now),
                    middle.slip.eq(self.setting.slip),
                    middle.delay.eq(self.setting.delay - (now >> 1)),
                ]
