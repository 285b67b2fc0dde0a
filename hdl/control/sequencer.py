"""The sequencer: walks the program pass by pass and hands its instructions to the queues of the units."""

from functools import reduce
from operator import or_

from amaranth import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...arch.config import AcceleratorConfig, derive
from ...arch.isa import Flag, Opcode, Status
from ..interfaces import COMMAND, FAULT, INSTRUCTION, flag, read_port
from .decode import UNITS, InstructionCheck
from .issue import NUMBER_BITS, QUEUED, IssueQueue
from .passes import JOB, PASS, PassGenerator

QUEUES = {
    "embedding": ("embedding", "row_reader"),
    "vector": ("cache", "vector"),
    "engine": ("matrix", "attention"),
    "store": ("row_writer",),
}
"""Queues, and the units behind each; the matrix and the attention unit share the engine, those that gather the bus."""

CHUNKS = 2
"""Chunks of a pass, at most."""

RETIRED = data.StructLayout({"valid": 1, "chunk": 1, "index": 8, "layer": 12, "pass": 20})
"""An instruction whose effects are visible, for who watches: chunk, index in the program, layer and pass."""


class Sequencer(wiring.Component):
    """Run the passes of a job.

    Instructions of one chunk begin one after the other, with BESIDE while one of those before is not done; those of
    different chunks side by side. They are handed out in program order, one every five cycles, ahead of their turn;
    three cycles from one unit's `done` to the next unit's command. An APPEND is done when its blocks are in the tail
    buffer; a job ends when their bytes are in memory. The config's clock says how late the sequencer knows that all is
    done, for SAMPLE and END (`arch.pipeline.SETTLE`).

    Members:
        start : In(1), pulse: run `job`, taken now, with `length` instructions (already loaded).
        o_stream : Out(stream(JOB)), the job for the stream unit.
        program : Out(read_port).
        o_<unit> : Out(stream(COMMAND)) for each of `UNITS`; <unit>_done : In(1) (not for cache).
        best : In(32), the top-k unit's first candidate, taken by SAMPLE.
        sample : Out(1), pulse: `best` is a token; sampled : Out(20), how many so far; sample_index : Out(20).
        end_of_text, end_enable : In, the token that ends the job.
        append_complete : In(1), pulse: the bytes of an APPEND are in memory; appended : Out(16), how many of the job.
        fault_valid : In(1), fault : In(FAULT), of any unit; the first one counts.
        halt : In(1), stop with status OK. drained : In(1), no burst in flight.
        clear : Out(1), high while stopping, a register.
        busy, finished : Out(1), finished is a pulse. fault_status : Out(8), fault_address : Out(48).
        waits_for_write : Out(1). active : Out(7), unit i of `UNITS` is executing.
        engine_settled : Out(1), all instructions before the engine's in its chunk are done.
        chunk_<queue> : Out(1), chunk of the instruction that runs, for each of `QUEUES`.
        retired : Out(RETIRED) for each of `QUEUES`.

    Attributes:
        queues: IssueQueue by name.
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
            "appended": Out(16),
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
            "engine_settled": Out(1),
            "retired": Out(data.ArrayLayout(RETIRED, len(QUEUES))),
        }
        for unit in UNITS:
            ports[f"o_{unit}"] = Out(stream.Signature(COMMAND))
            if unit != "cache":
                ports[f"{unit}_done"] = In(1)
        for name in QUEUES:
            ports[f"chunk_{name}"] = Out(1)
        self.pipeline = derive(config).pipeline
        self.queues = {name: IssueQueue(units, registers=self.pipeline.begin) for name, units in QUEUES.items()}
        super().__init__(ports)

    @property
    def abort(self) -> Signal:
        """`halt`, which cannot be called so: it is a reserved word where Verilog becomes C++."""
        return self.halt

    def elaborate(self, platform: object) -> Module:
        m = Module()
        vector = self.config.vector
        passes = PassGenerator(chunk=vector.chunk, chunks=vector.chunks)
        m.submodules.passes = ResetInserter(self.clear)(passes)
        m.submodules.check = check = InstructionCheck(self.config)
        self._pc = pc = Signal(8)
        self._layer = layer = Signal(12)
        self._instruction = instruction = Signal(INSTRUCTION)
        self._now = now = Signal(PASS)
        self._job = job = Signal(JOB)
        self._pass = Signal(20)
        self._targets = targets = Signal(len(UNITS))
        layers = Signal(12)
        ended = Signal()
        legal = Signal()
        stop = Signal()
        running = Signal()
        appends = Signal(16)
        settled = Signal()
        written = Signal()
        has = {which: flag(instruction, which) for which in (Flag.HEAD, Flag.SECOND)}
        skipped = (has[Flag.HEAD] & ~now.head) | (has[Flag.SECOND] & (now.second == 0))
        self._chunk = has[Flag.SECOND] | (has[Flag.HEAD] & (now.second != 0))

        m.d.comb += [
            passes.i.payload.eq(job),
            self.o_stream.payload.eq(job),
            self.program.en.eq(1),
            self.program.address.eq(pc),
            self.sample_index.eq(job.count + self.sampled),
            check.i.eq(instruction),
            check.counter.eq(pc),
            check.length.eq(self.length),
        ]
        hand_out, handed = self._queues(m, settled)
        m.d.sync += written.eq(self.appended == appends)
        with m.If(self.append_complete):
            m.d.sync += self.appended.eq(self.appended + 1)
        with m.If(self.sample):
            m.d.sync += self.sampled.eq(self.sampled + 1)
        with m.If(running & ~stop & (self.fault_valid | self.halt)):
            m.d.sync += stop.eq(1)
            with m.If(self.fault_valid):
                m.d.sync += [self.fault_status.eq(self.fault.status), self.fault_address.eq(self.fault.address)]

        with m.FSM() as fsm:
            m.d.comb += [self.busy.eq(~fsm.ongoing("Idle")), running.eq(self.busy & ~fsm.ongoing("Drain"))]
            with m.State("Idle"):
                with m.If(self.start):
                    m.d.sync += [
                        job.eq(self.job),
                        self.sampled.eq(0),
                        self._pass.eq(0),
                        self.appended.eq(0),
                        appends.eq(0),
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
                m.d.sync += [pc.eq(0), layer.eq(0)]
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
                m.d.sync += [targets.eq(check.targets), legal.eq(check.legal)]
                with m.If(skipped & check.legal):
                    m.d.sync += pc.eq(pc + 1)
                    m.next = "Fetch"
                with m.Else():
                    m.next = "Execute"
            with m.State("Execute"):
                m.next = "Fetch"
                m.d.sync += pc.eq(pc + 1)
                with m.If(~legal):
                    # Earlier instructions may have something to report first.
                    m.d.sync += pc.eq(pc)
                    m.next = "Refuse"
                with m.Else(), m.Switch(instruction.opcode):
                    with m.Case(Opcode.END):
                        m.d.sync += pc.eq(pc)
                        m.next = "End Pass"
                    with m.Case(Opcode.LOOP):
                        m.d.sync += [layer.eq(instruction.k), layers.eq(instruction.n)]
                    with m.Case(Opcode.NEXT):
                        # After its loop, an instruction is in layer 0 again.
                        m.d.sync += layer.eq(0)
                        with m.If(layer + 1 < layers):
                            m.d.sync += [pc.eq(instruction.src), layer.eq(layer + 1)]
                    with m.Case(Opcode.SAMPLE):
                        m.d.sync += pc.eq(pc)
                        m.next = "Sample"
                    with m.Default():
                        m.d.sync += pc.eq(pc)
                        m.next = "Hand Out"
            with m.State("Hand Out"):
                m.d.comb += hand_out.eq(1)
                with m.If(handed):
                    m.d.sync += [pc.eq(pc + 1), appends.eq(appends + (instruction.opcode == Opcode.APPEND))]
                    m.next = "Fetch"
                with m.If(stop):
                    m.next = "Drain"
            with m.State("Sample"):
                with m.If(settled):
                    m.d.comb += self.sample.eq(1)
                    m.d.sync += pc.eq(pc + 1)
                    with m.If(self.end_enable & (self.best == self.end_of_text)):
                        m.d.sync += ended.eq(1)
                    m.next = "Fetch"
                with m.If(stop):
                    m.next = "Drain"
            with m.State("Refuse"):
                with m.If(settled):
                    with m.If(~stop):
                        m.d.sync += [self.fault_status.eq(Status.ILLEGAL_INSTRUCTION), self.fault_address.eq(pc)]
                    m.next = "Drain"
                with m.If(stop):
                    m.next = "Drain"
            with m.State("End Pass"):
                m.d.sync += self._pass.eq(self._pass + 1)
                m.next = "Next Pass"
                with m.If(now.final | ended):
                    m.next = "Wait For Writes"
            with m.State("Wait For Writes"):
                m.d.comb += self.waits_for_write.eq(settled & ~written)
                with m.If(stop | (settled & written)):
                    m.next = "Drain"
            with m.State("Drain"):
                # A register: it is a wire to thousands of others.
                m.d.sync += self.clear.eq(1)
                with m.If(self.clear & self.drained):
                    m.d.comb += self.finished.eq(1)
                    m.d.sync += self.clear.eq(0)
                    m.next = "Idle"
        return m

    def _queues(self, m: Module, settled: Signal) -> tuple[Signal, Signal]:
        """The queues; `settled`: all that was handed out is done. Returns the request to hand out, and its answer."""
        handed_out = Signal(data.ArrayLayout(NUMBER_BITS, CHUNKS))
        finished = Signal(data.ArrayLayout(NUMBER_BITS, CHUNKS))
        hand_out = Signal()
        handed = Signal()
        entry = Signal(QUEUED)
        self._entry(m, entry, handed_out)
        done: list[list[Signal]] = [[], []]
        actives = []
        for (name, units), retired in zip(QUEUES.items(), self.retired, strict=True):
            queue = self.queues[name]
            m.submodules[f"{name}_queue"] = ResetInserter(self.clear)(queue)
            mine = Cat(self._targets[UNITS.index(unit)] for unit in units).any()
            m.d.comb += [
                queue.i.payload.eq(entry),
                queue.i.valid.eq(hand_out & mine),
                queue.finished.eq(finished),
                getattr(self, f"chunk_{name}").eq(queue.running.chunk),
            ]
            with m.If(queue.i.valid & queue.i.ready):
                m.d.comb += handed.eq(1)
            for unit in units:
                connect(m, getattr(queue, f"o_{unit}"), flipped(getattr(self, f"o_{unit}")))
                if unit != "cache":
                    m.d.comb += getattr(queue, f"{unit}_done").eq(getattr(self, f"{unit}_done"))
            actives.append(queue.active)
            m.d.comb += [
                retired.valid.eq(queue.done),
                *(retired[field].eq(queue.running[field]) for field in ("chunk", "index", "layer", "pass")),
            ]
            for chunk in range(CHUNKS):
                ends = Signal(name=f"{name}_ends_{chunk}")
                m.d.comb += ends.eq(queue.done & (queue.running.chunk == chunk))
                done[chunk].append(ends)
        m.d.comb += [self.active.eq(reduce(or_, actives)), self.engine_settled.eq(self.queues["engine"].settled)]
        idle = []
        for chunk in range(CHUNKS):
            m.d.sync += finished[chunk].eq(finished[chunk] + sum(done[chunk][1:], start=done[chunk][0]))
            with m.If(handed & (self._chunk == chunk)):
                m.d.sync += handed_out[chunk].eq(handed_out[chunk] + 1)
            idle.append(finished[chunk] == handed_out[chunk])
        with m.If(self.clear):
            m.d.sync += [finished.eq(0), handed_out.eq(0)]
        # Late by a cycle it is right too: who asks has handed out nothing for some.
        m.d["sync" if self.pipeline.settle.latency > 1 else "comb"] += settled.eq(idle[0] & idle[1])
        return hand_out, handed

    def _entry(self, m: Module, entry: data.View, handed_out: data.View) -> None:
        """The instruction with its context, for a queue."""
        chunk, now, command = self._chunk, self._now, entry.command
        m.d.comb += [
            entry.number.eq(Mux(chunk, handed_out[1], handed_out[0])),
            entry.targets.eq(self._targets),
            entry.index.eq(self._pc),
            entry["pass"].eq(self._pass),
            command.instruction.eq(self._instruction),
            command.layer.eq(self._layer),
            command.rows.eq(Mux(chunk, now.second, now.rows)),
            command.position.eq(now.position + Mux(chunk, now.rows, 0)),
            command.sequence.eq(self._job.sequence),
            command.token.eq(now.token + Mux(chunk, now.rows, 0)),
            command.chunk.eq(chunk),
        ]
