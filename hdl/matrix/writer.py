"""Results of a MATMUL, on their way to the scratchpad or the top-k unit."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.isa import Flag
from ..arithmetic.add import FloatAdd
from ..arithmetic.common import delay
from ..interfaces import COMMAND, Interfaces, read_port, write_port
from .sequencer import flag
from .top_k import CANDIDATE


class ResultWriter(wiring.Component):
    """Adds bias and residual to results and writes them row by row; with TOP_K row 0 goes to `o_candidate`.

    A step moves min(C, V) channels of one row: to a whole word of the scratchpad, or to C lanes of it. One step a
    cycle, so a result takes as many cycles as it has rows below `rows`, times C/V if that is more than 1. With TOP_K
    a step moves one channel. Nothing stalls behind the input. `done` comes `latency` + 2 cycles after the last step.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    start : In(1), resets the row counters
    command : In(COMMAND), constant from `start` until `done`
    rows : In, rows to write, constant likewise
    i : In(stream.Signature(result)), in the order of groups, then row groups
    pm : Out(read_port), bias
    spm_read : Out(read_port), residual
    spm_write : Out(write_port), one mask bit a lane
    o_candidate : Out(stream.Signature(CANDIDATE, always_ready=True))
    overflow : Out(1), an addition was saturated
    done : Out(1), the result with `end` set is written
    clear : In(1), back to idle

    Attributes
    ----------
    latency : int
        Cycles from a step to its write.
    """

    latency = 1 + 2 * FloatAdd.latency

    def __init__(self, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.width = min(interfaces.channels, interfaces.lanes)
        self.parts = max(1, interfaces.channels // interfaces.lanes)
        super().__init__(
            {
                "start": In(1),
                "command": In(COMMAND),
                "rows": In(6),
                "i": In(stream.Signature(interfaces.result)),
                "pm": Out(read_port(interfaces.pm_address, interfaces.vector)),
                "spm_read": Out(read_port(interfaces.spm_address, interfaces.vector)),
                "spm_write": Out(write_port(interfaces.spm_address, interfaces.vector, interfaces.lanes)),
                "o_candidate": Out(stream.Signature(CANDIDATE, always_ready=True)),
                "overflow": Out(1),
                "done": Out(1),
                "clear": In(1),
            }
        )
        self.step = data.StructLayout(
            {
                "write": 1,
                "candidate": 1,
                "end": 1,
                "address": 20,
                "section": range(max(2, interfaces.lanes // self.width)),
                "lane": range(max(2, self.width)),
                "id": 20,
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        step = Signal(self.step)
        values = Signal(32 * self.width)
        self._steps(m, step, values)

        # The bias arrives one cycle after the step; the residual when the first sum is there.
        valid = Signal(self.latency + 1)
        m.d.sync += valid.eq(Mux(self.clear, 0, Cat(self.i.valid, valid)))
        stages = [step]
        for cycle in range(1, self.latency + 1):
            stage = Signal(self.step, name=f"step_{cycle}", reset_less=True)
            m.d.sync += stage.eq(stages[-1])
            stages.append(stage)
        values_1 = delay(m, values, 1, enable=C(1), name="values_1")
        middle = FloatAdd.latency
        residual = valid[middle - 1] & stages[middle].write & flag(self.command, Flag.RESIDUAL)
        m.d.comb += [
            self.spm_read.en.eq(residual),
            self.spm_read.address.eq(Mux(residual, stages[middle].address, 0)),
        ]
        biased, bias_overflow = self._add(
            m, values_1, self.pm.data, stages[1].section, flag(self.command, Flag.BIAS), name="bias"
        )
        has_residual = flag(self.command, Flag.RESIDUAL) & ~flag(self.command, Flag.TOP_K)
        sums, residual_overflow = self._add(
            m, biased, self.spm_read.data, stages[middle + 1].section, has_residual, name="residual"
        )
        self._leave(m, stages[-1], valid, sums)
        m.d.sync += self.overflow.eq((valid[middle] & bias_overflow) | (valid[self.latency - 1] & residual_overflow))
        return m

    def _steps(self, m: Module, step: data.View, values: Value) -> None:
        """Takes results apart: counts rows, parts of a row and, for the top-k unit, channels of a part."""
        interfaces, instruction, tag = self.interfaces, self.command.instruction, self.i.payload.tag
        top_k = flag(self.command, Flag.TOP_K)
        row = Signal(range(max(2, interfaces.rows)))
        part = Signal(range(max(2, self.parts)))
        lane = Signal(range(max(2, self.width)))
        rows_left = Signal(6)
        row_address = Signal(20)

        ends_lanes = Signal()
        ends_parts = Signal()
        ends_rows = Signal()
        word = Signal(20)
        channel = Signal(20)
        part_bits, width_bits = self.parts.bit_length() - 1, self.width.bit_length() - 1
        section_bits = (interfaces.lanes // self.width).bit_length() - 1
        m.d.comb += [
            ends_lanes.eq(~top_k | (lane == self.width - 1)),
            ends_parts.eq(ends_lanes & (part == self.parts - 1)),
            ends_rows.eq(ends_parts & ((row == interfaces.rows - 1) | (rows_left == 1))),
            self.i.ready.eq(ends_rows),
            word.eq(Cat(part[:part_bits], tag.group) >> section_bits),
            channel.eq(Cat(lane[:width_bits], part[:part_bits], tag.group)),
            step.write.eq(~top_k),
            step.candidate.eq(top_k & (channel < instruction.n)),
            step.end.eq(tag.end & ends_rows),
            step.address.eq(row_address + word),
            step.section.eq(tag.group[:section_bits]),
            step.lane.eq(lane),
            step.id.eq(channel),
            self.pm.en.eq(self.i.valid & flag(self.command, Flag.BIAS)),
            self.pm.address.eq(Mux(self.pm.en, word, 0)),
        ]
        flat = Value.cast(self.i.payload["values"])
        m.d.comb += values.eq(
            _word(m, flat, Cat(part[:part_bits], row[: _log2(interfaces.rows)]), 32 * self.width, name="part")
        )

        with m.If(self.i.valid):
            m.d.sync += lane.eq(Mux(ends_lanes, 0, lane + 1))
            with m.If(ends_lanes):
                m.d.sync += part.eq(Mux(ends_parts, 0, part + 1))
            with m.If(ends_parts):
                m.d.sync += [
                    row.eq(Mux(ends_rows, 0, row + 1)),
                    rows_left.eq(Mux(rows_left == 1, self.rows, rows_left - 1)),
                    row_address.eq(
                        Mux(rows_left == 1, instruction.dst, row_address + (instruction.n >> _log2(interfaces.lanes)))
                    ),
                ]
        with m.If(self.start):
            m.d.sync += [rows_left.eq(self.rows), row_address.eq(instruction.dst)]
        with m.If(self.start | self.clear):
            m.d.sync += [row.eq(0), part.eq(0), lane.eq(0)]

    def _add(
        self, m: Module, values: Value, word: data.View, section: Value, wanted: Value, *, name: str
    ) -> tuple[Value, Value]:
        """Adds the part of a word that a step covers, or +0, which changes nothing."""
        sums = Signal(32 * self.width, name=f"{name}_sums")
        part = _word(m, Value.cast(word), section, 32 * self.width, name=f"{name}_part")
        overflows = []
        for lane in range(self.width):
            m.submodules[f"{name}_{lane}"] = add = FloatAdd()
            m.d.comb += [
                add.en.eq(1),
                add.a.eq(values.word_select(lane, 32)),
                add.b.eq(Mux(wanted, part.word_select(lane, 32), 0)),
                sums.word_select(lane, 32).eq(add.o),
            ]
            overflows.append(add.overflow)
        return sums, Cat(overflows).any()

    def _leave(self, m: Module, step: data.View, valid: Value, sums: Value) -> None:
        """Writes a step's sums, or offers one of them as a candidate; counts out `done`."""
        sections = self.interfaces.lanes // self.width
        leaving = valid[self.latency - 1]
        mask = C((1 << self.width) - 1, self.interfaces.lanes) << (step.section * self.width)
        m.d.comb += [
            self.spm_write.en.eq(leaving & step.write),
            self.spm_write.address.eq(step.address),
            self.spm_write.mask.eq(mask),
            Value.cast(self.spm_write.data).eq(sums.replicate(sections)),
            self.o_candidate.valid.eq(leaving & step.candidate),
            self.o_candidate.payload.value.eq(_word(m, sums, step.lane, 32, name="candidate")),
            self.o_candidate.payload.id.eq(step.id),
        ]
        # The top-k unit needs two cycles for its last candidate.
        finished = Signal()
        m.d.sync += [
            finished.eq(leaving & step.end & ~self.clear),
            self.done.eq(finished & ~self.clear),
        ]


def _word(m: Module, words: Value, index: Value, width: int, *, name: str) -> Value:
    """The word of `width` bits at `index`, by a multiplexer."""
    if len(words) == width:
        return words
    selected = Signal(width, name=name)
    with m.Switch(index):
        for number in range(len(words) // width):
            with m.Case(number):
                m.d.comb += selected.eq(words.word_select(number, width))
    return selected


def _log2(power: int) -> int:
    return power.bit_length() - 1
