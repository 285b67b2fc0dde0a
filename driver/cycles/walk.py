"""The cycle model: walks the program of a job as sequencer and stream unit do, an event per instruction.

Queues, chunks and the stream decide when an instruction begins; `timing`, `stream` and `attention` say how long it
takes. A run of layers is walked until a layer takes as long as the one before; the rest is multiplied.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import takewhile

from ...arch.config import AcceleratorConfig, derive
from ...arch.formats import BLOCK
from ...arch.isa import INSTRUCTION_BYTES, Flag, Geometry, Instruction, Opcode
from ...arch.layout import Stripe, ceil_div
from ..chunks import paired
from ..compiler import CompiledProgram, Plan
from ..device import Job
from .attention import AttendModel
from .operands import Operands
from .stream import Stream
from .timing import FOLLOW, Timing

QUEUE_OF = {
    Opcode.EMBED: "embedding",
    Opcode.LOAD_ROWS: "embedding",
    Opcode.STORE_ROWS: "store",
    Opcode.MATMUL: "engine",
    Opcode.ATTEND: "engine",
    **dict.fromkeys(
        (Opcode.ROPE_TABLE, Opcode.LOAD, Opcode.NORM, Opcode.QUANTIZE, Opcode.QUERY, Opcode.APPEND), "vector"
    ),
}
"""Queue of the sequencer that an instruction waits in."""

QUEUE_DEPTH = 4
LATENCY = 32
"""Cycles from a read's address to its first beat, as in the simulation."""

STRIPE = 3
"""Cycles of a read's way over several ports, there and back."""


@dataclass(frozen=True)
class Retirement:
    """An instruction that is done: its index in the program, layer, pass and cycle from the doorbell."""

    index: int
    layer: int
    pass_index: int
    cycle: float


@dataclass
class Usage:
    """What instructions took.

    Attributes:
        count: how many. cycles: that they added. bytes: of the stream. macs: multiply-accumulates. array: micro-ops.
        own: cycles in the vector unit.
    """

    count: int = 0
    cycles: float = 0.0
    bytes: int = 0
    macs: int = 0
    array: int = 0
    own: float = 0.0

    def add(self, other: "Usage", times: int = 1) -> None:
        """Add another one, several times."""
        for name in ("count", "cycles", "bytes", "macs", "array", "own"):
            setattr(self, name, getattr(self, name) + times * getattr(other, name))


@dataclass(frozen=True)
class Pass:
    """One walk over the program: rows of two chunks, position and index of the first, whether it samples."""

    rows: int
    second: int
    position: int
    token: int
    head: bool


def passes(config: AcceleratorConfig, job: Job) -> Iterator[Pass]:
    """The passes of a job, as the hardware cuts it."""
    end = job.position + len(job.tokens)
    for first, *rest in paired(config, job.position, len(job.tokens), job.chunk):
        second, start = sum(chunk.rows for chunk in rest), first.position
        samples = start + first.rows + second == end and job.steps > 0
        yield Pass(first.rows, second, start, start - job.position, samples)
    for position in range(end, end + job.steps - 1):
        yield Pass(1, 0, position, position - job.position, True)


@dataclass
class _Chunk:
    """What a chunk's instructions did: when the last one was done, and before it when all but one were."""

    done: list[float] = field(default_factory=lambda: [0.0, 0.0])


@dataclass
class _Queue:
    """When a queue's instructions began and were done; those before only count as long as they hold something up."""

    begun: list[float] = field(default_factory=lambda: [0.0] * QUEUE_DEPTH)
    done: list[float] = field(default_factory=lambda: [0.0, 0.0])
    matrix: bool = False


class Walk:
    """A job on its way through the machine. Times are cycles from the doorbell.

    Parameters:
        latency: of the memory. every_layer: walk all layers and pages, so that `retired` is complete.

    Attributes:
        sampled: when each token was; ended: when all was done. retired: instructions that were walked.
        usage: by pass, by class.
    """

    def __init__(
        self, compiled: Plan | CompiledProgram, job: Job, *, latency: int = LATENCY, every_layer: bool = False
    ) -> None:
        self.config = compiled.config if isinstance(compiled, CompiledProgram) else compiled.geometry.config
        latency += STRIPE if self.config.bus.ports > 1 else 0
        attends = [i for i in compiled.program if i.opcode == Opcode.ATTEND]
        geometry = Geometry.decode(attends[0].aux if attends else 0)
        self.program, self.job, self.latency = compiled.program, job, latency
        self.every_layer = every_layer
        self.timing = Timing(self.config)
        self.stream = Stream(self.config, latency)
        self.attend = AttendModel(self.config, self.timing, geometry, every_page=every_layer)
        self.geometry: Geometry = geometry
        self.operands = Operands(self.config)
        # An embedding row's reads queue up behind these, one of them with its address about to go out.
        first = self.operands.first(self.program, self.config.bus.outstanding + 1, self.stream.burst)
        self._in_flight = min(first, self.stream.room)
        self.sampled: list[float] = []
        self.retired: list[Retirement] = []
        self.usage: list[dict[str, Usage]] = []
        self._chunks = (_Chunk(), _Chunk())
        self._queues = {name: _Queue() for name in ("embedding", "vector", "engine", "store")}
        self._now = self._walker = self._load()
        self._writer = self._appended = self._pass_appended = self._first_appended = 0.0
        self._tail = (0.0, 0.0, 0.0)
        self._stepped, self._adders = 0.0, Flag(0)
        self._stream_share = 0.0
        self._passes = list(passes(self.config, job))
        for index, item in enumerate(self._passes):
            self._pass(index, item)
        self.ended = max(self._now, self._finished() + self.timing.settle - 1, self._writer)

    def _load(self) -> float:
        """From the doorbell to the first pass: pages are looked up, the program is loaded."""
        last = self.job.position + len(self.job.tokens) + max(self.job.steps - 1, 0) - 1
        bus = derive(self.config).bus_bytes
        beats = ceil_div(len(self.program) * INSTRUCTION_BYTES, bus)
        # A beat is taken, or an instruction written; 16 beats are in flight.
        taken = max(beats + len(self.program), beats * (self.latency + 6) / 16)
        return 13 + last // BLOCK + self.latency + 6 + taken + 5

    def _pass(self, index: int, item: Pass) -> None:
        self.usage.append({})
        self._index, self._item = index, item
        self._pass_appended = self._appended
        counter = layer = first = last = 0
        body, marks = 0, [0.0]
        skipping = False
        while True:
            instruction = self.program[counter]
            skipped = (Flag.HEAD in instruction.flags and not item.head) or (
                Flag.SECOND in instruction.flags and not item.second
            )
            counter += 1
            if skipped:
                self._now += 3
                self._walker += 3
            elif instruction.opcode == Opcode.LOOP:
                first, last = instruction.k, instruction.n
                layer, body, marks, skipping = first, counter, [self._finished()], False
                before = self._snapshot()
                self._now += 4
                self._walker += 3
            elif instruction.opcode == Opcode.NEXT:
                self._now += 4
                self._walker += 3
                marks.append(self._finished())
                layer += 1
                left = last - layer
                if left and not self.every_layer and not skipping and self._steady(marks):
                    self._skip(left, marks[-1] - marks[-2], before)
                    left = 0
                before = self._snapshot()
                counter, layer = (body, layer) if left else (counter, 0)
            elif instruction.opcode == Opcode.SAMPLE:
                self._now = max(self._now + 4, self._finished() + self.timing.settle)
                self.sampled.append(self._now)
                self._now += 1
            elif instruction.opcode == Opcode.END:
                self._now += 6
                self._walker += 5
                return
            else:
                self._run(counter - 1, layer, instruction)

    def _steady(self, marks: list[float]) -> bool:
        """Whether a layer took as long as the one before it."""
        if len(marks) < 4:
            return False
        last, before = marks[-1] - marks[-2], marks[-2] - marks[-3]
        return abs(last - before) <= max(2.0, last * 0.001)

    def _skip(self, layers: int, period: float, before: dict[str, Usage]) -> None:
        """Everything later by `layers` periods, all that they use counted."""
        cycles = layers * period
        for name, usage in self.usage[-1].items():
            grown = replace(usage)
            grown.add(before.get(name, Usage()), -1)
            usage.add(grown, layers)
        self._now += cycles
        self._walker += cycles
        self._writer += cycles
        self._appended += cycles
        self._first_appended += cycles
        self.stream.shift(cycles)
        for chunk in self._chunks:
            chunk.done = [at + cycles for at in chunk.done]
        for queue in self._queues.values():
            queue.begun = [at + cycles for at in queue.begun]
            queue.done = [at + cycles for at in queue.done]
        self._tail = (self._tail[0] + cycles, self._tail[1] + cycles, self._tail[2] + cycles)
        self._stepped += cycles

    def _snapshot(self) -> dict[str, Usage]:
        return {name: replace(usage) for name, usage in self.usage[-1].items()}

    def _finished(self) -> float:
        return max(chunk.done[-1] for chunk in self._chunks)

    def _run(self, index: int, layer: int, instruction: Instruction) -> None:
        """One instruction: handed out, begun, done."""
        item = self._item
        second = Flag.SECOND in instruction.flags or (Flag.HEAD in instruction.flags and item.second > 0)
        chunk = self._chunks[second]
        rows = item.second if second else item.rows
        position = item.position + (item.rows if second else 0)
        name = QUEUE_OF[instruction.opcode]
        queue = self._queues[name]
        handed = max(self._now + 4, queue.begun[-QUEUE_DEPTH] + 1)
        self._now = handed + 1
        beside = Flag.BESIDE in instruction.flags
        begin = max(handed + self.timing.begin, chunk.done[-2 if beside else -1] + 1)
        matrix = instruction.opcode == Opcode.MATMUL
        joins = matrix and queue.matrix
        begin = max(begin, queue.done[-2 if joins else -1] + 1)
        before = max(queue.done[-1], chunk.done[-1])
        token = item.token + (item.rows if second else 0)
        done, usage = self._execute(instruction, begin, chunk.done[-1], position, token, rows, joins, second)
        if joins:
            done = max(done, queue.done[-1] + 1)
        queue.begun = [*queue.begun[1:], begin]
        queue.done = [queue.done[-1], done]
        queue.matrix = matrix
        chunk.done = sorted([*chunk.done, done])[-2:]
        usage.count, usage.cycles = 1, max(0.0, done - before)
        label = "HEAD" if matrix and Flag.HEAD in instruction.flags else instruction.opcode.name
        self.usage[-1].setdefault(label, Usage()).add(usage)
        self.retired.append(Retirement(index, layer, self._index, done))

    def _execute(
        self,
        instruction: Instruction,
        begin: float,
        settled: float,
        position: int,
        token: int,
        rows: int,
        joins: bool,
        second: bool,
    ) -> tuple[float, Usage]:
        """When it is done, and what it takes. settled: when all before it in its chunk is done."""
        opcode, timing = instruction.opcode, self.timing
        accepted = begin + 1
        bus = derive(self.config).bus_bytes
        if opcode == Opcode.MATMUL:
            return self._matmul(instruction, accepted, rows, joins)
        self._walker += 3
        if opcode == Opcode.ATTEND:
            needed = self._first_appended if second else self._pass_appended
            asked = max(self._walker + 2, needed) + 6
            attend = self.attend.run(self.stream, instruction, accepted, asked, settled + 1, position, rows)
            self._walker = attend.walked
            return attend.done, Usage(bytes=attend.beats * bus, macs=attend.macs, array=attend.array)
        if opcode in (Opcode.LOAD, Opcode.ROPE_TABLE):
            self._walker += 4
            beats = self.operands.beats(instruction)
            shape = timing.load(instruction) if opcode == Opcode.LOAD else timing.rope_table(instruction, rows)
            taken = self.stream.take(beats, self._walker, accepted + shape[0], shape[1])
            return max(taken.last, taken.first + shape[1]) + shape[2], Usage(bytes=beats * bus, own=sum(shape))
        if opcode == Opcode.EMBED:
            weight_format = self.operands.formats[instruction.format]
            row, crowded = (
                timing.embed_row(weight_format.payload_bytes, instruction.k, latency)
                for latency in (self.latency, max(self.latency, self._in_flight))
            )
            cycles = timing.embed(weight_format.payload_bytes, instruction.k, rows, self.latency)
            return accepted + cycles + self._behind_stream(accepted, second, rows, row, crowded - row), Usage()
        if opcode == Opcode.LOAD_ROWS:
            # With two chunks in flight the array is at work on one of them all the time, once it has begun.
            multiplies = self._tail[0] > accepted or (self._tail[0] > 0 and self._item.second > 0)
            share = self._stream_share if multiplies else 0.0
            cycles = timing.load_rows(instruction, rows, token, self.latency, 1 / (1 - share))
            return accepted + cycles + self._behind_stream(
                accepted, second, 1, cycles, self._in_flight - self.latency
            ), Usage()
        if opcode == Opcode.STORE_ROWS:
            return accepted + timing.store_rows(instruction, rows, token), Usage()
        if opcode == Opcode.APPEND:
            accepted = max(accepted, self._writer) + 1
            own = timing.vector(instruction, rows)
            done = accepted + own
            self._writer = done + timing.write_pages(self.geometry, rows)
            self._appended = self._writer
            if not second:
                self._first_appended = self._appended
            return done, Usage(own=own)
        own = timing.vector(instruction, rows)
        return accepted + own, Usage(own=own)

    def _behind_stream(self, accepted: float, second: bool, rows: int, row: float, wait: float) -> int:
        """Cycles by which an EMBED's reads queue up behind those of the stream until the FIFO is full.

        row: cycles of a row by itself. wait: by which it takes longer as long as the stream reads.
        """
        if self.stream.arrived > accepted:
            return 0
        regions = [beats for beats in map(self.operands.beats, self.program) if beats]
        product = next(i for i in self.program if i.opcode == Opcode.MATMUL)
        full = self.stream.full(self._walker, self.operands.matrix(product)[1], regions)
        if not second:
            # What is taken meanwhile, beside the EMBED.
            beside = takewhile(lambda i: i.opcode == Opcode.EMBED or Flag.BESIDE in i.flags, self.program)
            full += sum(map(self.operands.beats, beside)) * self.stream.pace
        filling = max(0.0, full - accepted - self.timing.first_answer(self.latency))
        if not self.stream.arrived:
            # The first row of a job asks as soon as the stream does.
            rows, filling = rows - 1, max(0.0, filling - row)
        wait = max(0.0, wait)
        return round(min(rows * wait, max(filling * wait / (row + wait), min(wait, filling))))

    def _matmul(self, instruction: Instruction, accepted: float, rows: int, joins: bool) -> tuple[float, Usage]:
        """A product: its micro-ops wait for tiles and for those of the one before, its results for their writer."""
        issued, handed, written = self._tail
        adders = instruction.flags & (Flag.BIAS | Flag.RESIDUAL | Flag.TOP_K | Flag.SECOND)
        if joins and adders == self._adders and Flag.TOP_K not in adders:
            written = self._stepped + FOLLOW - 1
        self._adders = adders
        self._walker += 7
        if joins:
            accepted = max(accepted, issued, handed + 1)
        issue = self.timing.matmul(instruction, rows)
        beats, scales = self.operands.matrix(instruction)
        unit = Stripe.of(self.config, self.operands.formats[instruction.format]).tile_beats
        first = accepted + 3
        taken = self.stream.take(beats, self._walker, first, issue.cycles, unit=unit, scales=scales)
        last = first + issue.cycles - 1
        if taken.last > first + issue.cycles:
            last = taken.last + 2
        # The writer works on, once it has begun, or ends with what came last.
        begins = max(taken.first + issue.first, first + issue.first) + self.timing.engine
        if joins:
            begins = max(begins, written + 1)
        self._stepped = max(last + self.timing.engine + issue.late, begins + issue.writing)
        done = self._stepped + issue.write
        if issue.writing > issue.queued:
            last = max(last, begins + issue.writing - issue.queued)
        self.stream.hold(last - issue.reuse)
        self._stream_share = min(0.5, beats / issue.cycles)  # the bus takes turns where two want all of it
        self._tail = (last, max(accepted + 1, written if joins else 0.0), done)
        return done, Usage(bytes=beats * derive(self.config).bus_bytes, macs=issue.macs, array=issue.cycles)
