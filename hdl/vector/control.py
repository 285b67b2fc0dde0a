"""The instructions of the vector unit as walks and passes."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.formats import BLOCK
from ...arch.isa import Flag, Opcode
from ..common import bits_for
from ..interfaces import COMMAND, GEOMETRY_LAYOUT, Interfaces, flag
from .datapath import Operation
from .gate import Factor
from .walker import WALK

_NORM_PASSES = {
    0: (Operation.SQUARE, Operation.SCALE),
    1: (Operation.SUM, Operation.CENTRE_AND_SQUARE, Operation.CENTRE_AND_SCALE),
}
"""Passes over a row: of RMSNorm, and of LayerNorm."""


class VectorControl(wiring.Component):
    """Holds the command while it runs and starts everything else. Two cycles from the command to the first address;
    `done` comes with the last write.

    Members
    -------
    i : In(stream.Signature(COMMAND)), ready while idle; done : Out(1), pulse
    command : Out(COMMAND), walk : Out(WALK), operation : Out(Operation), factor : Out(2): constant where they are used
    load, tabulate : Out(1), pulse: LOAD or ROPE_TABLE begins; finished : In(1), pulse: it ends
    begin : Out(1), pulse: a walk begins; resume : Out(1), pulse: its next pass begins
    summed : In(1), pulse: the row statistics are there
    written, ends_row, ends : In(1), a block was written; it was the last of its row, of the walk
    appending : In(1), key or value blocks are still to be issued or taken
    """

    def __init__(self, interfaces: Interfaces) -> None:
        self.word_bits = bits_for(BLOCK // interfaces.lanes)
        super().__init__(
            {
                "i": In(stream.Signature(COMMAND)),
                "done": Out(1),
                "command": Out(COMMAND),
                "walk": Out(WALK),
                "operation": Out(Operation),
                "factor": Out(2),
                "load": Out(1),
                "tabulate": Out(1),
                "finished": In(1),
                "begin": Out(1),
                "resume": Out(1),
                "summed": In(1),
                "written": In(1),
                "ends_row": In(1),
                "ends": In(1),
                "appending": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        instruction = self.command.instruction
        norm_pass = Signal(2)
        skip = Signal(6)
        # Of the opcode, and whether rows are left out: known when the command is, since what starts is far away.
        loads, tabulates, norms, skips = (Signal(name=name) for name in ("loads", "tabulates", "norms", "skips"))
        final = Signal()
        m.d.comb += final.eq((self.operation == Operation.SCALE) | (self.operation == Operation.CENTRE_AND_SCALE))
        m.d.sync += [
            self.operation.eq(self._operation(m, norm_pass)),
            self.factor.eq(
                Mux(self._has(Flag.SILU), Factor.SIGMOID, Mux(self._has(Flag.GELU), Factor.NORMAL, Factor.ONE))
            ),
        ]
        with m.FSM():
            with m.State("Idle"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += norm_pass.eq(0)
                with m.If(self.i.valid):
                    opcode = self.i.payload.instruction.opcode
                    m.d.sync += [
                        self.command.eq(self.i.payload),
                        loads.eq(opcode == Opcode.LOAD),
                        tabulates.eq(opcode == Opcode.ROPE_TABLE),
                        norms.eq(opcode == Opcode.NORM),
                        skips.eq(_last_row(self.i.payload) & (self.i.payload.rows != 1)),
                    ]
                    self._decode(m, self.i.payload)
                    m.next = "Start"
            with m.State("Start"):
                m.d.comb += [self.load.eq(loads), self.tabulate.eq(tabulates)]
                m.d.sync += skip.eq(self.command.rows - 2)
                with m.If(loads | tabulates):
                    m.next = "Read Stream"
                with m.Elif(skips):
                    m.d.sync += self.walk.source.eq(self.walk.source + (instruction.k << self.word_bits))
                    m.next = "Skip Rows"
                with m.Else():
                    m.d.comb += self.begin.eq(1)
                    m.next = "Walk"
            with m.State("Read Stream"):
                with m.If(self.finished):
                    m.d.comb += self.done.eq(1)
                    m.next = "Idle"
            with m.State("Skip Rows"):
                with m.If(skip == 0):
                    m.d.comb += self.begin.eq(1)
                    m.next = "Walk"
                with m.Else():
                    m.d.sync += [
                        skip.eq(skip - 1),
                        self.walk.source.eq(self.walk.source + (instruction.k << self.word_bits)),
                    ]
            with m.State("Walk"):
                with m.If(norms):
                    with m.If(self.summed):
                        m.d.sync += norm_pass.eq(norm_pass + 1)
                        m.next = "Next Pass"
                    with m.If(self.written & self.ends_row & final):
                        m.d.sync += norm_pass.eq(0)
                        m.next = "Next Pass"
                        with m.If(self.ends):
                            m.d.comb += self.done.eq(1)
                            m.next = "Idle"
                with m.Elif(Mux(self.walk.append, ~self.appending, self.written & self.ends)):
                    m.d.comb += self.done.eq(1)
                    m.next = "Idle"
            with m.State("Next Pass"):
                m.d.comb += self.resume.eq(1)
                m.next = "Walk"
        return m

    def _has(self, which: Flag) -> Value:
        return flag(self.command.instruction, which)

    def _operation(self, m: Module, norm_pass: Signal) -> Signal:
        """What the datapath does in this pass of this instruction."""
        result = Signal(Operation)
        with m.Switch(self.command.instruction.opcode):
            with m.Case(Opcode.NORM):
                with m.Switch(Cat(norm_pass, self._has(Flag.LAYER_NORM))):
                    for layer_norm, passes in _NORM_PASSES.items():
                        for index, code in enumerate(passes):
                            with m.Case(layer_norm << 2 | index):
                                m.d.comb += result.eq(code)
            with m.Case(Opcode.QUANTIZE):
                with m.If(self._has(Flag.GATED)):
                    m.d.comb += result.eq(Operation.GATE)
                with m.Elif(self._has(Flag.SILU) | self._has(Flag.GELU)):
                    m.d.comb += result.eq(Operation.ACTIVATE)
            with m.Default():
                with m.If(self._has(Flag.ROPE)):
                    m.d.comb += result.eq(Operation.ROTATE)
        return result

    def _decode(self, m: Module, command: Any) -> None:
        """The walk of the instruction."""
        instruction, walk = command.instruction, self.walk
        geometry = GEOMETRY_LAYOUT(instruction.aux[: GEOMETRY_LAYOUT.size])
        row_wise = Signal()
        append = Signal()
        m.d.comb += [
            row_wise.eq((instruction.opcode == Opcode.NORM) | (instruction.opcode == Opcode.QUANTIZE)),
            append.eq(instruction.opcode == Opcode.APPEND),
        ]
        m.d.sync += [
            walk.source.eq(instruction.src),
            walk.value_source.eq(instruction.dst),
            walk.pitch.eq(instruction.pitch),
            walk.elements.eq(instruction.n),
            walk.limited.eq(row_wise),
            walk.rows.eq(Mux(_last_row(command), 1, command.rows)),
            walk.append.eq(append),
            walk.heads.eq(Mux(row_wise, 1, geometry.kv_heads)),
            walk.queries.eq(Mux(row_wise | append, 1, geometry.group)),
            walk.sub_heads_log2.eq(Mux(row_wise | append, 0, geometry.sub_heads_log2)),
            walk.rope_log2.eq(Mux(row_wise, 0, geometry.sub_heads_log2)),
            walk.blocks.eq(Mux(row_wise, instruction.k, geometry.head_blocks)),
            walk.target.eq(instruction.dst),
            walk.target_pitch.eq(instruction.pitch),
        ]


def _last_row(command: Any) -> Value:
    instruction = command.instruction
    return (instruction.opcode == Opcode.NORM) & flag(instruction, Flag.LAST_ROW)
