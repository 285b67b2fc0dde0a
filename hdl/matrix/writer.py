"""Results of a MATMUL, on their way to the scratchpad or the top-k unit."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.isa import Flag
from ..arithmetic.add import FloatAdd
from ..arithmetic.common import delay, delay_valid
from ..common import bits_for
from ..interfaces import COMMAND, Interfaces, flag, read_port, write_port
from .top_k import candidates_layout, top_k_latency

PLAIN = 1
"""Cycles from a step to its write without an addition."""


class ResultWriter(wiring.Component):
    """Adds bias and residual to results and writes them row by row; with TOP_K row 0 goes to `o_candidates`.

    A step moves min(C, V) channels of one row: to a whole word of the scratchpad, or to C lanes of it. One step a
    cycle, so a result takes as many cycles as it has rows below `rows`, times C/V if that is more than 1. With TOP_K
    a step moves two channels, or one if there are no more. Nothing stalls behind the input. A step passes the adders
    that its command needs: `PLAIN` cycles from a step to its write without any, `one_sum` with a bias or a residual,
    `two_sums` with both. `done` comes with the last write, with TOP_K when the last candidate is sorted in, or
    `done_after` cycles later.

    Commands may follow each other without waiting for `done` if they are `alike`.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    start : In(1), resets the row counters
    command : In(COMMAND), constant from `start` until the last step
    rows : In, rows to write, constant likewise
    coming : In(COMMAND); alike : Out(1), it writes through the same adders to the same chunk's scratchpad
    i : In(stream.Signature(result)), in the order of groups, then row groups
    pm : Out(read_port), bias
    spm_read : Out(read_port), residual
    spm_write : Out(write_port), one mask bit a lane
    o_candidates : Out(stream.Signature(candidates_layout(at_once), always_ready=True))
    overflow : Out(1), an addition was saturated
    done : Out(1), the result with `end` set is written
    clear : In(1), back to idle

    Attributes
    ----------
    at_once : int
        Candidates of a step, 1 or 2.
    one_sum, two_sums : int
        Cycles from a step to its write with one addition and with two; the config's clock says how long one takes.
    done_after : int
        0, or 1 where the clock leaves no time in the last write's cycle.
    """

    def __init__(self, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.width = min(interfaces.channels, interfaces.lanes)
        self.parts = max(1, interfaces.channels // interfaces.lanes)
        self.at_once = min(2, self.width)
        self.registers = interfaces.derived.pipeline.add
        self.done_after = interfaces.derived.pipeline.finish.latency - 1
        self.one_sum = PLAIN + 2 + self.registers.latency
        self.two_sums = self.one_sum + self.registers.latency
        super().__init__(
            {
                "start": In(1),
                "command": In(COMMAND),
                "rows": In(6),
                "coming": In(COMMAND),
                "alike": Out(1),
                "i": In(stream.Signature(interfaces.result)),
                "pm": Out(read_port(interfaces.pm_address, interfaces.vector)),
                "spm_read": Out(read_port(interfaces.spm_address, interfaces.vector)),
                "spm_write": Out(write_port(interfaces.spm_address, interfaces.vector, interfaces.lanes)),
                "o_candidates": Out(stream.Signature(candidates_layout(self.at_once), always_ready=True)),
                "overflow": Out(1),
                "done": Out(1),
                "clear": In(1),
            }
        )
        self.step = data.StructLayout(
            {
                "write": 1,
                "behind": 1,
                "candidates": self.at_once,
                "end": 1,
                "address": 20,
                "word": 20,
                "most": range(max(2, self.width)),
                "section": range(max(2, interfaces.lanes // self.width)),
                "lane": range(max(2, self.width // self.at_once)),
                "id": 20,
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        one, two = self.one_sum, self.two_sums
        step = Signal(self.step)
        values = Signal(32 * self.width)
        self._steps(m, step, values)

        # Of the step that was taken so many cycles ago; `valid` leaves out the first of them.
        valid = Signal(two)
        stages = [step]
        for cycle in range(1, two + 1):
            stage = Signal(self.step, name=f"step_{cycle}", reset_less=True)
            m.d.sync += stage.eq(stages[-1])
            stages.append(stage)
        values_1 = delay(m, values, 1, enable=C(1), name="values_1")
        values_3 = delay(m, values_1, 2, enable=C(1), name="values_3")

        # An operand is read two cycles before its sum: the bias, or the residual if there is none, for the first one.
        bias, residual, both = self._sums(m)
        first = valid[0] & residual & ~both
        second = valid[one - 3] & both
        m.d.comb += [
            self.pm.en.eq(valid[0] & bias),
            self.pm.address.eq(Mux(self.pm.en, stages[1].word, 0)),
            self.spm_read.en.eq(first | second),
            self.spm_read.address.eq(Mux(first, stages[1].address, 0) | Mux(second, stages[one - 2].address, 0)),
        ]
        operand = Mux(bias, Value.cast(self.pm.data), 0) | Mux(residual & ~both, Value.cast(self.spm_read.data), 0)
        once, once_overflow = self._add(m, values_3, operand, stages[2].section, name="once")
        residuals = Value.cast(self.spm_read.data)
        twice, twice_overflow = self._add(m, once, residuals, stages[one - 1].section, name="twice")

        # A step goes no further than it must: the next one may need other sums.
        further = Signal(two)
        m.d.comb += further.eq(valid)
        m.d.sync += valid.eq(Mux(self.clear, 0, Cat(self.i.valid, further)))
        sums = Signal(32 * self.width)
        leaving = Signal()
        leaves = Signal(self.step)
        for chosen, cycle, result in (
            (~bias & ~residual, PLAIN, values_1),
            (bias ^ residual, one, once),
            (both, two, twice),
        ):
            with m.If(chosen):
                m.d.comb += [sums.eq(result), leaving.eq(valid[cycle - 1]), leaves.eq(stages[cycle])]
                m.d.comb += further[cycle - 1].eq(0)
        self._leave(m, leaves, leaving, sums)
        m.d.sync += self.overflow.eq(
            (valid[one - 1] & once_overflow & (bias | residual)) | (valid[two - 1] & twice_overflow & both)
        )
        return m

    def _sums(self, m: Module) -> tuple[Signal, Signal, Signal]:
        """Whether the commands in the pipeline, which are all alike, add a bias, a residual, or both: a cycle after
        `start`, when the first step can come."""
        bias, residual, both = (Signal(name=name) for name in ("has_bias", "has_residual", "has_both"))
        wanted = {}
        for name, command in (("now", self.command), ("next", self.coming)):
            instruction = command.instruction
            top_k = flag(instruction, Flag.TOP_K)
            adders = Cat(flag(instruction, Flag.BIAS), flag(instruction, Flag.RESIDUAL) & ~top_k)
            wanted[name] = Cat(adders, top_k, command.chunk)
        m.d.sync += [Cat(bias, residual).eq(wanted["now"][:2]), both.eq(wanted["now"][:2].all())]
        m.d.comb += [
            # The top-k unit forgets the candidates of one when the next begins.
            self.alike.eq((wanted["now"] == wanted["next"]) & ~flag(self.command.instruction, Flag.TOP_K)),
        ]
        return bias, residual, both

    def _steps(self, m: Module, step: data.View, values: Value) -> None:
        """Takes results apart: counts rows, parts of a row and, for the top-k unit, candidates of a part."""
        interfaces, instruction, tag = self.interfaces, self.command.instruction, self.i.payload.tag
        top_k = flag(self.command.instruction, Flag.TOP_K)
        row = Signal(range(max(2, interfaces.rows)))
        part = Signal(range(max(2, self.parts)))
        lane = Signal(range(max(2, self.width // self.at_once)))
        rows_left = Signal(6)
        row_address = Signal(20)
        pitch = Signal(20)
        last_channel = Signal(20)
        ends_channels = Signal()
        unit = Signal(20)

        ends_lanes = Signal()
        ends_parts = Signal()
        ends_rows = Signal()
        word = Signal(20)
        channel = Signal(20)
        several = bits_for(self.at_once)
        part_bits, width_bits = bits_for(self.parts), bits_for(self.width)
        section_bits = bits_for(interfaces.lanes // self.width)
        m.d.comb += [
            ends_lanes.eq(~top_k | (lane == self.width // self.at_once - 1)),
            ends_parts.eq(ends_lanes & (part == self.parts - 1)),
            ends_rows.eq(ends_parts & ((row == interfaces.rows - 1) | (rows_left == 1))),
            self.i.ready.eq(ends_rows),
            word.eq(Cat(part[:part_bits], tag.group) >> section_bits),
            channel.eq(Cat(C(0, several), lane[: width_bits - several], part[:part_bits], tag.group)),
            step.write.eq(~top_k),
            step.candidates.eq(Cat(top_k & (channel + number < instruction.n) for number in range(self.at_once))),
            step.end.eq(tag.end & ends_rows),
            step.address.eq(row_address + word),
            step.word.eq(word),
            last_channel.eq(instruction.n - 1),
            # Of the last channels there may be fewer than a word has lanes, or a tile channels.
            unit.eq(Cat(part[:part_bits], tag.group)),
            ends_channels.eq(unit == last_channel[width_bits:]),
            step.behind.eq(unit > last_channel[width_bits:] if self.parts > 1 else 0),
            step.most.eq(Mux(ends_channels, last_channel[:width_bits], self.width - 1)),
            step.section.eq(tag.group[:section_bits]),
            step.lane.eq(lane),
            step.id.eq(channel),
        ]
        rounded = Cat(C(0, 5), (last_channel >> 5) + 1)
        m.d.sync += pitch.eq(rounded >> bits_for(interfaces.lanes))
        flat = Value.cast(self.i.payload["values"])
        m.d.comb += values.eq(
            _word(m, flat, Cat(part[:part_bits], row[: bits_for(interfaces.rows)]), 32 * self.width, name="part")
        )

        with m.If(self.i.valid):
            m.d.sync += lane.eq(Mux(ends_lanes, 0, lane + 1))
            with m.If(ends_lanes):
                m.d.sync += part.eq(Mux(ends_parts, 0, part + 1))
            with m.If(ends_parts):
                m.d.sync += [
                    row.eq(Mux(ends_rows, 0, row + 1)),
                    rows_left.eq(Mux(rows_left == 1, self.rows, rows_left - 1)),
                    row_address.eq(Mux(rows_left == 1, instruction.dst, row_address + pitch)),
                ]
        with m.If(self.start):
            m.d.sync += [rows_left.eq(self.rows), row_address.eq(instruction.dst)]
        with m.If(self.start | self.clear):
            m.d.sync += [row.eq(0), part.eq(0), lane.eq(0)]

    def _add(self, m: Module, values: Value, word: Value, section: Value, *, name: str) -> tuple[Value, Value]:
        """Adds the part of a word that a step covers; the word and its section come a cycle before the values."""
        sums = Signal(32 * self.width, name=f"{name}_sums")
        # A register: the word comes from a memory that many units share.
        part = _word(m, word, section, 32 * self.width, name=f"{name}_part")
        part = delay(m, part, 1, enable=C(1), name=f"{name}_operand")
        overflows = []
        for lane in range(self.width):
            m.submodules[f"{name}_{lane}"] = add = FloatAdd(registers=self.registers)
            m.d.comb += [
                add.en.eq(1),
                add.a.eq(values.word_select(lane, 32)),
                add.b.eq(part.word_select(lane, 32)),
                sums.word_select(lane, 32).eq(add.o),
            ]
            overflows.append(add.overflow)
        return sums, Cat(overflows).any()

    def _leave(self, m: Module, step: data.View, leaving: Value, sums: Value) -> None:
        """Writes a step's sums, or offers one of them as a candidate; says `done`."""
        sections = self.interfaces.lanes // self.width
        lanes = Cat(step.most >= lane if lane else C(1) for lane in range(self.width))
        mask = Cat(Mux(step.section == section, lanes, 0) for section in range(sections))
        m.d.comb += [
            self.spm_write.en.eq(leaving & step.write & ~step.behind),
            self.spm_write.address.eq(step.address),
            self.spm_write.mask.eq(mask),
            Value.cast(self.spm_write.data).eq(sums.replicate(sections)),
            self.o_candidates.valid.eq(leaving & step.candidates.any()),
        ]
        values = _word(m, sums, step.lane, 32 * self.at_once, name="candidate_values")
        for number, candidate in enumerate(self.o_candidates.payload):
            m.d.comb += [
                candidate.there.eq(step.candidates[number]),
                candidate.value.eq(values.word_select(number, 32)),
                candidate.id.eq(step.id + number),
            ]
        latency = top_k_latency(self.at_once, self.interfaces.derived.pipeline.insert)
        sorted_in = delay_valid(m, leaving & step.end & ~step.write, latency, name="sorted_in")
        finished = (leaving & step.end & step.write) | sorted_in
        m.d["sync" if self.done_after else "comb"] += self.done.eq(finished & ~self.clear)


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
