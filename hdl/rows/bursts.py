"""Where the rows of an instruction are in memory, checked, as bursts."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..common import bits_for
from ..interfaces import COMMAND

BURST = data.StructLayout({"address": 48, "beats": 9, "ends": 1})
"""A burst within one row, which never crosses 4 KiB. ends: it is the last one of the last row."""

ROWS_REGION = data.StructLayout({"base": 48, "bytes": 48})
"""The memory that rows may be in."""

_BOUNDARY = 4096
"""Bytes; no AXI burst crosses a multiple (IHI 0022, A3.4.1)."""


class RowBursts(wiring.Component):
    """The bursts of a command's rows in ascending order: row i of the job is at base + i x stride of the region.

    The first burst is offered six cycles after `start` and one more for every bit of the first row's index, which is
    multiplied bit by bit; within a row one every other cycle, four more from row to row. A row is checked before its
    first burst: at one that does not end within the region the component stands still until it is reset.

    Parameters
    ----------
    bus_bytes : int
    longest : int
        Beats of a burst, at most.

    Members
    -------
    start : In(1), pulse; command : In(COMMAND), region : In(ROWS_REGION), constant from then on
    o : Out(stream.Signature(BURST))
    outside : Out(1), stays high; row : Out(20), index in the job of the row that is at hand
    """

    def __init__(self, *, bus_bytes: int, longest: int) -> None:
        self.shift = bits_for(bus_bytes)
        self.longest = longest
        super().__init__(
            {
                "start": In(1),
                "command": In(COMMAND),
                "region": In(ROWS_REGION),
                "o": Out(stream.Signature(BURST)),
                "outside": Out(1),
                "row": Out(20),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        instruction, burst, shift = self.command.instruction, self.o.payload, self.shift
        # 40 bits and 20 x 32 bits, and a row's bytes on top: nothing wraps.
        offset = Signal(53)
        addend = Signal(52)
        end = Signal(53)
        factor = Signal(20)
        rows_left = Signal(6)
        beats_left = Signal(20)
        room = Signal(range(_BOUNDARY + 1))
        inside = Signal()
        m.d.comb += room.eq((_BOUNDARY >> shift) - burst.address[shift : bits_for(_BOUNDARY)])
        with m.FSM() as fsm:
            m.d.comb += [self.o.valid.eq(fsm.ongoing("Offer")), self.outside.eq(fsm.ongoing("Outside"))]
            with m.State("Idle"):
                m.d.sync += [
                    offset.eq(instruction.base),
                    addend.eq(instruction.stride),
                    factor.eq(self.command.token),
                    self.row.eq(self.command.token),
                    rows_left.eq(self.command.rows),
                ]
                with m.If(self.start):
                    m.next = "Multiply"
            with m.State("Multiply"):
                m.d.sync += [factor.eq(factor >> 1), addend.eq(addend << 1)]
                with m.If(factor[0]):
                    m.d.sync += offset.eq(offset + addend)
                with m.If(factor == 0):
                    m.next = "Find"
            with m.State("Find"):
                m.d.sync += [
                    end.eq(offset + (instruction.n << 2)),
                    burst.address.eq(self.region.base + offset),
                    beats_left.eq(instruction.n >> (shift - 2)),
                ]
                m.next = "Compare"
            with m.State("Compare"):
                m.d.sync += inside.eq(end <= self.region.bytes)
                m.next = "Check"
            with m.State("Check"):
                m.next = "Measure"
                with m.If(~inside):
                    m.next = "Outside"
            with m.State("Measure"):
                limit = Mux(room < self.longest, room, self.longest)
                m.d.sync += [
                    burst.beats.eq(Mux(beats_left < limit, beats_left, limit)),
                    burst.ends.eq((rows_left == 1) & (beats_left <= limit)),
                ]
                m.next = "Offer"
            with m.State("Offer"):
                with m.If(self.o.ready):
                    m.d.sync += [
                        burst.address.eq(burst.address + (burst.beats << shift)),
                        beats_left.eq(beats_left - burst.beats),
                    ]
                    m.next = "Measure"
                    with m.If(beats_left == burst.beats):
                        m.d.sync += [
                            rows_left.eq(rows_left - 1),
                            self.row.eq(self.row + 1),
                            offset.eq(offset + instruction.stride),
                        ]
                        m.next = "Find"
                        with m.If(burst.ends):
                            m.next = "Idle"
            with m.State("Outside"):
                pass
        return m
