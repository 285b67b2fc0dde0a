"""The sequencer: walks the program pass by pass and issues one instruction at a time."""

from amaranth import Cat, Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.config import AcceleratorConfig, derive
from ...arch.isa import Flag, Opcode, Status
from ..interfaces import COMMAND, FAULT, INSTRUCTION, read_port
from .passes import JOB, PASS, PassGenerator

UNITS = ("embedding", "vector", "matrix", "attention", "cache")
"""Units that take commands; `cache` is the page writer, which takes APPEND beside the vector unit."""

EXECUTED_BY: dict[Opcode, tuple[str, ...]] = {
    Opcode.EMBED: ("embedding",),
    Opcode.ROPE_TABLE: ("vector",),
    Opcode.LOAD: ("vector",),
    Opcode.NORM: ("vector",),
    Opcode.MATMUL: ("matrix",),
    Opcode.QUANTIZE: ("vector",),
    Opcode.QUERY: ("vector",),
    Opcode.APPEND: ("cache", "vector"),
    Opcode.ATTEND: ("attention",),
}


class Sequencer(wiring.Component):
    """Run the passes of a job.

    Six cycles from one unit's `done` to the next unit's command. An APPEND is done when its blocks are in the
    tail buffer; END waits until its bytes are in memory.

    Members:
        start : In(1), pulse: run `job`, taken now, with `length` instructions (already loaded).
        o_stream : Out(stream(JOB)), the job for the stream unit.
        program : Out(read_port).
        o_<unit> : Out(stream(COMMAND)) for each of `UNITS`; <unit>_done : In(1) (not for cache).
        best : In(32), the top-k unit's first candidate, taken by SAMPLE.
        sample : Out(1), pulse: `best` is a token; sampled : Out(20), how many so far; sample_index : Out(20).
        end_of_text, end_enable : In, the token that ends the job.
        append_complete : In(1), pulse: the bytes of an APPEND are in memory.
        pass_index : Out(32), appends_in_pass : Out(12), for the stream unit.
        fault_valid : In(1), fault : In(FAULT), of any unit; the first one counts.
        halt : In(1), stop with status OK. clear : Out(1), high while stopping. drained : In(1), no burst in flight.
        busy, finished : Out(1), finished is a pulse. fault_status : Out(8), fault_address : Out(48).
        waits_for_write : Out(1). active : Out(5), unit i of `UNITS` is executing.
        retired : Out(1), pulse, retired_index, retired_layer: an instruction's effects are visible.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        ports: dict[str, object] = {
            "start": In(1),
            "job": In(JOB),
            "length": In(8),
            "o_stream": Out(stream.Signature(JOB)),
            "program": Out(read_port(range(config.control.program_words), INSTRUCTION)),
            "best": In(32),
            "sample": Out(1),
            "sampled": Out(20),
            "sample_index": Out(20),
            "end_of_text": In(31),
            "end_enable": In(1),
            "append_complete": In(1),
            "pass_index": Out(32),
            "appends_in_pass": Out(12),
            "fault_valid": In(1),
            "fault": In(FAULT),
            "halt": In(1),
            "clear": Out(1),
            "drained": In(1),
            "busy": Out(1),
            "finished": Out(1),
            "fault_status": Out(8),
            "fault_address": Out(48),
            "waits_for_write": Out(1),
            "active": Out(len(UNITS)),
            "retired": Out(1),
            "retired_index": Out(8),
            "retired_layer": Out(12),
        }
        for unit in UNITS:
            ports[f"o_{unit}"] = Out(stream.Signature(COMMAND))
            ports[f"{unit}_done"] = In(1)
        super().__init__(ports)

    @property
    def abort(self) -> Signal:
        """`halt`, which cannot be called so: it is a reserved word where Verilog becomes C++."""
        return self.halt

    def elaborate(self, platform: object) -> Module:
        m = Module()
        passes = PassGenerator(chunk=self.config.vector.chunk)
        m.submodules.passes = ResetInserter(self.clear)(passes)
        self._pc = pc = Signal(8)
        self._layer = layer = Signal(12)
        self._instruction = instruction = Signal(INSTRUCTION)
        self._now = now = Signal(PASS)
        self._job = job = Signal(JOB)
        layers, ended = Signal(12), Signal()
        issued = Signal(12)
        targets = Signal(len(UNITS))
        pending = Signal(len(UNITS))
        legal = Signal()
        stop = Signal()

        m.d.comb += [
            passes.i.payload.eq(job),
            self.o_stream.payload.eq(job),
            self.program.en.eq(1),
            self.program.address.eq(pc),
            self.sample_index.eq(job.count + self.sampled),
            self.retired_index.eq(pc),
            self.retired_layer.eq(layer),
        ]
        self._commands(m)
        targets_of, legal_value = self._decode(m)
        with m.If(self.append_complete):
            m.d.sync += self.appends_in_pass.eq(self.appends_in_pass + 1)
        with m.If(self.sample):
            m.d.sync += self.sampled.eq(self.sampled + 1)
        with m.If(self.busy & ~self.clear & ~stop & (self.fault_valid | self.halt)):
            m.d.sync += stop.eq(1)
            with m.If(self.fault_valid):
                m.d.sync += [self.fault_status.eq(self.fault.status), self.fault_address.eq(self.fault.address)]

        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("Idle"))
            with m.State("Idle"):
                with m.If(self.start):
                    m.d.sync += [
                        job.eq(self.job),
                        self.sampled.eq(0),
                        self.pass_index.eq(0),
                        self.appends_in_pass.eq(0),
                        self.fault_status.eq(Status.OK),
                        self.fault_address.eq(0),
                        ended.eq(0),
                        stop.eq(0),
                    ]
                    m.next = "Start Passes"
            with m.State("Start Passes"):
                m.d.comb += passes.i.valid.eq(1)
                m.next = "Start Stream"
                with m.If((job.count == 0) & (job.steps == 0)):
                    m.next = "Drain"
            with m.State("Start Stream"):
                m.d.comb += self.o_stream.valid.eq(1)
                with m.If(self.o_stream.ready):
                    m.next = "Next Pass"
            with m.State("Next Pass"):
                m.d.comb += passes.o.ready.eq(1)
                m.d.sync += [pc.eq(0), layer.eq(0), issued.eq(0)]
                with m.If(passes.o.valid):
                    m.d.sync += now.eq(passes.o.payload)
                    m.next = "Fetch"
                with m.If(stop):
                    m.next = "Drain"
            with m.State("Fetch"):
                m.next = "Decode"
            with m.State("Decode"):
                m.d.sync += instruction.eq(self.program.data)
                m.next = "Check"
            with m.State("Check"):
                m.d.sync += [targets.eq(targets_of), legal.eq(legal_value)]
                with m.If((instruction.flags & Flag.HEAD.value).any() & ~now.head & legal_value):
                    m.d.sync += pc.eq(pc + 1)
                    m.next = "Fetch"
                with m.Else():
                    m.next = "Execute"
            with m.State("Execute"):
                m.next = "Fetch"
                m.d.sync += pc.eq(pc + 1)
                with m.If(~legal):
                    m.d.sync += pc.eq(pc)
                    with m.If(~stop):
                        m.d.sync += [self.fault_status.eq(Status.ILLEGAL_INSTRUCTION), self.fault_address.eq(pc)]
                    m.next = "Drain"
                with m.Else(), m.Switch(instruction.opcode):
                    with m.Case(Opcode.END):
                        m.d.sync += pc.eq(pc)
                        m.next = "Wait For Writes"
                    with m.Case(Opcode.LOOP):
                        m.d.sync += [layer.eq(instruction.k), layers.eq(instruction.n)]
                    with m.Case(Opcode.NEXT):
                        # After its loop, an instruction is in layer 0 again.
                        m.d.sync += layer.eq(0)
                        with m.If(layer + 1 < layers):
                            m.d.sync += [pc.eq(instruction.src), layer.eq(layer + 1)]
                    with m.Case(Opcode.SAMPLE):
                        m.d.comb += [self.sample.eq(1), self.retired.eq(1)]
                        with m.If(self.end_enable & (self.best == self.end_of_text)):
                            m.d.sync += ended.eq(1)
                    with m.Default():
                        m.d.sync += [pending.eq(targets), pc.eq(pc)]
                        m.next = "Issue"
            with m.State("Issue"):
                taken = Cat(getattr(self, f"o_{unit}").valid & getattr(self, f"o_{unit}").ready for unit in UNITS)
                # The page writer must hold the command before the vector unit sends it blocks.
                for index, unit in enumerate(UNITS):
                    blocked = pending[UNITS.index("cache")] if unit != "cache" else 0
                    m.d.comb += getattr(self, f"o_{unit}").valid.eq(pending[index] & ~blocked)
                m.d.sync += pending.eq(pending & ~taken)
                with m.If((pending & ~taken) == 0):
                    with m.If(instruction.opcode == Opcode.APPEND):
                        m.d.sync += issued.eq(issued + 1)
                    m.next = "Wait For Unit"
                with m.If(stop):
                    m.next = "Drain"
            with m.State("Wait For Unit"):
                m.d.comb += self.active.eq(targets)
                done = Cat(getattr(self, f"{unit}_done") for unit in UNITS)
                with m.If((done & targets).any()):
                    m.d.comb += self.retired.eq(1)
                    m.d.sync += pc.eq(pc + 1)
                    m.next = "Fetch"
                with m.If(stop):
                    m.next = "Drain"
            with m.State("Wait For Writes"):
                m.d.comb += self.waits_for_write.eq(self.appends_in_pass != issued)
                with m.If(self.appends_in_pass == issued):
                    # Both at once: the stream unit compares the pair.
                    m.d.sync += [self.pass_index.eq(self.pass_index + 1), self.appends_in_pass.eq(0)]
                    with m.If(now.final | ended):
                        m.next = "Drain"
                    with m.Else():
                        m.next = "Next Pass"
                with m.If(stop):
                    m.next = "Drain"
            with m.State("Drain"):
                m.d.comb += self.clear.eq(1)
                with m.If(self.drained):
                    m.d.comb += self.finished.eq(1)
                    m.next = "Idle"
        return m

    def _commands(self, m: Module) -> None:
        for unit in UNITS:
            command = getattr(self, f"o_{unit}").payload
            m.d.comb += [
                command.instruction.eq(self._instruction),
                command.layer.eq(self._layer),
                command.rows.eq(self._now.rows),
                command.position.eq(self._now.position),
                command.sequence.eq(self._job.sequence),
                command.token.eq(self._now.token),
            ]

    def _decode(self, m: Module) -> tuple[Signal, Signal]:
        """The units of the instruction, and whether it is legal on this machine."""
        instruction = self._instruction
        vector = self.config.vector
        targets, known, built, in_range = (
            Signal(len(UNITS), name="targets_of"),
            Signal(name="known"),
            Signal(name="built", init=1),
            Signal(name="in_range", init=1),
        )
        m.d.comb += [built.eq(1), in_range.eq(1)]
        with m.Switch(instruction.opcode):
            for opcode, units in EXECUTED_BY.items():
                with m.Case(opcode):
                    m.d.comb += [targets.eq(sum(1 << UNITS.index(unit) for unit in units)), known.eq(1)]
            with m.Case(Opcode.END, Opcode.LOOP, Opcode.NEXT, Opcode.SAMPLE):
                m.d.comb += known.eq(1)
        with m.Switch(instruction.opcode):
            with m.Case(Opcode.EMBED, Opcode.MATMUL), m.Switch(instruction.format):
                with m.Case(*(f.code for f in derive(self.config).formats)):
                    m.d.comb += built.eq(1)
                with m.Default():
                    m.d.comb += built.eq(0)
        spm, am, pm = vector.scratchpad_words, vector.activation_words, vector.parameter_words
        limits = {
            Opcode.EMBED: (None, spm),
            Opcode.LOAD: (None, pm),
            Opcode.NORM: (spm, am),
            Opcode.MATMUL: (am, spm),
            Opcode.QUANTIZE: (spm, am),
            Opcode.QUERY: (spm, am),
            Opcode.APPEND: (spm, spm),
            Opcode.ATTEND: (am, spm),
        }
        with m.Switch(instruction.opcode):
            for opcode, (src, dst) in limits.items():
                with m.Case(opcode):
                    source_ok = 1 if src is None else instruction.src < src
                    m.d.comb += in_range.eq(source_ok & (instruction.dst < dst))
        # A count of nothing would never be reached: n of what streams or gathers, k of what has blocks.
        counted = {
            "n": (Opcode.EMBED, Opcode.ROPE_TABLE, Opcode.LOAD, Opcode.NORM, Opcode.MATMUL, Opcode.QUANTIZE),
            "k": (Opcode.EMBED, Opcode.NORM, Opcode.MATMUL, Opcode.QUANTIZE, Opcode.ATTEND),
        }
        for name, opcodes in counted.items():
            with m.Switch(instruction.opcode):
                with m.Case(*opcodes), m.If(instruction[name] == 0):
                    m.d.comb += in_range.eq(0)
        legal = Signal(name="legal_value")
        m.d.comb += legal.eq(known & built & in_range & (self._pc < self.length))
        return targets, legal
