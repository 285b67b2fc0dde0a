"""What the stream unit must read and hand out, computed from `arch.layout` and docs/isa.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from celosia.arch.config import AcceleratorConfig, derive
from celosia.arch.formats import BLOCK, FORMAT_BY_CODE
from celosia.arch.isa import Flag, Geometry, Instruction, Opcode
from celosia.arch.layout import CacheLayout, MatmulLayout, ceil_div, round_up


@dataclass(frozen=True)
class Job:
    """The fields of `JOB`."""

    sequence: int
    position: int
    count: int
    steps: int
    chunk: int = 0


@dataclass(frozen=True)
class Pass:
    """The fields of `PASS`."""

    rows: int
    second: int
    position: int
    token: int
    head: int
    final: int

    def context(self, chunk: int) -> dict[str, int]:
        """Rows, position and token of one of its chunks."""
        before, rows = (self.rows, self.second) if chunk else (0, self.rows)
        return {"rows": rows, "position": self.position + before, "token": self.token + before}


def passes(job: Job, chunk: int, chunks: int = 1) -> list[Pass]:
    """docs/numerics.md, 10, and docs/isa.md, Jobs."""
    found = []
    done = 0
    most = job.chunk if 1 <= job.chunk <= chunk else chunk

    def cut() -> int:
        return min(most, job.count - done, BLOCK - (job.position + done) % BLOCK)

    while done < job.count:
        start, rows, second = done, cut(), 0
        done += rows
        if chunks == 2 and done < job.count:
            second = cut()
            done += second
        last = done == job.count
        head, final = last and job.steps > 0, last and job.steps <= 1
        found.append(Pass(rows, second, job.position + start, start, int(head), int(final)))
    for step in range(1, job.steps):
        token = job.count + step - 1
        found.append(Pass(1, 0, job.position + token, token, 1, int(step == job.steps - 1)))
    return found


@dataclass(frozen=True)
class Region:
    """A stretch that is read; `gate`: APPENDs of the job that must be in memory before, if it is of the cache."""

    address: int
    beats: int
    gate: int | None = None


@dataclass
class Plan:
    """Regions in order; what comes out of each output; and when APPENDs can complete.

    appends: for each APPEND, the number of items of each output that come before it.
    """

    regions: list[Region] = field(default_factory=list)
    items: dict[str, list[tuple[int, ...]]] = field(
        default_factory=lambda: {"tile": [], "payload": [], "beat": [], "exponents": []}
    )
    appends: list[dict[str, int]] = field(default_factory=list)

    def append(self) -> None:
        """Note that all items so far come before an APPEND."""
        self.appends.append({name: len(items) for name, items in self.items.items()})


@dataclass(frozen=True)
class Step:
    """An instruction as it is executed: its index in the program, its layer (0 outside of loops) and its chunk."""

    index: int
    instruction: Instruction
    layer: int
    chunk: int


def walk(program: list[Instruction], now: Pass) -> Iterator[Step]:
    """What a pass executes, in order, without LOOP, NEXT and END."""
    pc, layer, layers = 0, 0, 0
    while True:
        index, instruction = pc, program[pc]
        pc += 1
        head, second = Flag.HEAD in instruction.flags, Flag.SECOND in instruction.flags
        if (head and not now.head) or (second and not now.second):
            continue
        match instruction.opcode:
            case Opcode.END:
                return
            case Opcode.LOOP:
                layer, layers = instruction.k, instruction.n
            case Opcode.NEXT:
                layer, pc = (layer + 1, instruction.src) if layer + 1 < layers else (0, pc)
            case _:
                yield Step(index, instruction, layer, int(second or (head and now.second > 0)))


class Planner:
    """Makes the plan of a job.

    Parameters
    ----------
    read : gives the bytes at (bus address, length).
    table : page numbers of the sequence.
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        *,
        read: Callable[[int, int], bytes],
        image_base: int,
        kv_base: int,
        table: list[int],
    ) -> None:
        self.config, self.read, self.table = config, read, table
        self.image_base, self.kv_base = image_base, kv_base
        self.bus = derive(config).bus_bytes
        self.tile_bytes = config.array.channels * BLOCK

    def plan(self, program: list[Instruction], job: Job) -> Plan:
        """Everything that the stream unit does for a job that does not end early."""
        plan = Plan()
        vector = self.config.vector
        for now in passes(job, vector.chunk, vector.chunks):
            # APPENDs that the ATTENDs of each chunk wait for: of earlier passes; and the first chunk's of the layer.
            needed = [len(plan.appends)] * 2
            for step in walk(program, now):
                instruction, layer = step.instruction, step.layer
                match instruction.opcode:
                    case Opcode.MATMUL:
                        self._matmul(plan, instruction, layer)
                    case Opcode.LOAD:
                        self._beats(plan, instruction, layer, 4)
                    case Opcode.ROPE_TABLE:
                        self._beats(plan, instruction, layer, 8)
                    case Opcode.APPEND:
                        plan.append()
                        if step.chunk == 0:
                            needed[1] = len(plan.appends)
                    case Opcode.ATTEND:
                        self._attend(plan, step, now.context(step.chunk), needed[step.chunk])
        return plan

    def _start(self, instruction: Instruction, layer: int) -> int:
        return self.image_base + (instruction.base + layer * instruction.stride) % (1 << 40)

    def _beats(self, plan: Plan, instruction: Instruction, layer: int, element: int) -> None:
        start, beats = self._start(instruction, layer), ceil_div(instruction.n * element, self.bus)
        plan.regions.append(Region(start, beats))
        plan.items["beat"] += [(self._int(start + i * self.bus, self.bus),) for i in range(beats)]

    def _matmul(self, plan: Plan, instruction: Instruction, layer: int) -> None:
        weight_format = FORMAT_BY_CODE[instruction.format]
        layout = MatmulLayout(self.config, weight_format, instruction.n, instruction.k)
        start, channels = self._start(instruction, layer), self.config.array.channels
        plan.regions.append(Region(start, layout.bytes // self.bus))
        for tile in range(layout.tiles):
            payload = self._int(start + layout.payload_offset(tile), channels * weight_format.payload_bytes)
            scales = self._int(start + layout.scale_offset(tile), channels * weight_format.scale_bytes)
            # With its widths: what lies above in the output is undefined.
            widths = channels * weight_format.payload_bytes * 8, channels * weight_format.scale_bytes * 8
            plan.items["tile"].append((payload, scales, *widths))

    def _attend(self, plan: Plan, step: Step, context: dict[str, int], gate: int) -> None:
        instruction, rows, position = step.instruction, context["rows"], context["position"]
        geometry = Geometry.decode(instruction.aux)
        layout = CacheLayout(self.config, geometry.kv_heads, geometry.head_blocks, layers=1)
        pages = (position + rows - 1) // BLOCK + 1
        lag = self.config.stream.attention_lag
        row_groups = ceil_div(rows * geometry.rows_per_token, self.config.array.rows)
        sweeps = ceil_div(row_groups, instruction.k)
        places = [(head, page) for head in range(geometry.kv_heads) for _ in range(sweeps) for page in range(pages)]
        for turn in range(len(places) + lag):
            for values, place in ((False, turn), (True, turn - lag)):
                if not 0 <= place < len(places):
                    continue
                head, page = places[place]
                if page * BLOCK < position:
                    start = self.kv_base + self.table[page] * instruction.base + step.layer * instruction.stride
                    self._page(plan, layout, start + head * layout.head_bytes, values, gate)

    def _page(self, plan: Plan, layout: CacheLayout, start: int, values: bool, gate: int) -> None:
        exponents, payload = layout.exponent_bytes, layout.payload_bytes
        assert exponents == round_up(exponents, self.bus)
        if values:
            start += exponents + payload
        else:
            plan.regions.append(Region(start, exponents // self.bus, gate))
            plan.items["exponents"] += [(self._int(start + i, self.bus),) for i in range(0, exponents, self.bus)]
            start += exponents
        plan.regions.append(Region(start, payload // self.bus, gate))
        for offset in range(0, payload, self.tile_bytes):
            plan.items["payload"].append((self._int(start + offset, self.tile_bytes),))

    def _int(self, address: int, length: int) -> int:
        return int.from_bytes(self.read(address, length), "little")
