"""What each instruction of a program asks of the machine in a job: useful bytes and multiply-accumulates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..arch.formats import BLOCK
from ..arch.isa import FIELDS, Flag, Opcode
from ..arch.model import ModelConfig
from .chunks import Chunk, paired
from .compiler import CompiledModel, CompiledProgram
from .figures import EXPONENT_SHARE


@dataclass
class Work:
    """Of one instruction of a program, all its executions together.

    Attributes:
        count: executions. bytes: useful ones, read and written. macs: causal ones only in attention.
        elements: of the rows that it makes; exponentials for ATTEND.
    """

    count: int = 0
    bytes: float = 0.0
    macs: int = 0
    elements: int = 0

    def __iadd__(self, other: Work) -> Work:
        self.count += other.count
        self.bytes += other.bytes
        self.macs += other.macs
        self.elements += other.elements
        return self


@dataclass(frozen=True)
class Pass:
    """One walk through the program: a chunk or two, and whether the last one is sampled from."""

    chunks: tuple[Chunk, ...]
    head: bool


def passes(compiled: CompiledProgram, position: int, rows: int, head: bool, chunk: int = 0) -> list[Pass]:
    """The passes of `rows` tokens from `position` (docs/numerics.md, 10); the last one samples if `head`.

    chunk: of the job.
    """
    pairs = paired(compiled.config, position, rows, chunk)
    return [Pass(pair, head and pair is pairs[-1]) for pair in pairs]


def executions(compiled: CompiledProgram, walk: Pass) -> Iterator[tuple[int, int, Chunk]]:
    """Index of every instruction that a pass executes, in order, with its layer and its chunk."""
    index = layer = layers = 0
    while (instruction := compiled.program[index]).opcode != Opcode.END:
        if instruction.opcode == Opcode.LOOP:
            layer, layers = instruction.k, instruction.n
        elif instruction.opcode == Opcode.NEXT:
            layer = layer + 1 if layer + 1 < layers else 0
            if layer:
                index = instruction.src
                continue
        else:
            head, second = instruction.flags & Flag.HEAD, instruction.flags & Flag.SECOND
            if (walk.head or not head) and (len(walk.chunks) > 1 or not second):
                yield index, layer, walk.chunks[-1 if head or second else 0]
        index += 1


def work(compiled: CompiledProgram, walks: Sequence[Pass]) -> dict[int, Work]:
    """Work of every instruction that the passes execute, by its index."""
    total: dict[int, Work] = {}
    for walk in walks:
        for index, layer, chunk in executions(compiled, walk):
            entry = total.setdefault(index, Work())
            entry += _once(compiled, index, layer, chunk)
    return total


def _once(compiled: CompiledProgram, index: int, layer: int, chunk: Chunk) -> Work:
    """Work of one execution."""
    instruction, note = compiled.program[index], compiled.notes[index]
    operand = compiled.memory.placements[note.operand].operand if note.operand else None
    last = instruction.flags & (Flag.LAST_ROW | Flag.TOP_K)
    rows = 1 if last else chunk.rows
    match instruction.opcode:
        case Opcode.EMBED if operand:
            return Work(1, rows * operand.useful_bytes() / operand.n, 0, rows * note.width)
        case Opcode.MATMUL if operand:
            return Work(1, operand.useful_bytes(), rows * operand.n * operand.k * BLOCK, rows * operand.n)
        case Opcode.LOAD_ROWS | Opcode.STORE_ROWS:
            return Work(1, 4 * rows * note.width, 0, rows * note.width)
        case Opcode.APPEND | Opcode.ATTEND if isinstance(compiled, CompiledModel):
            return _attention(compiled.model, instruction.opcode, rows, chunk)
        case _ if operand:
            useful = operand.useful_bytes() if _of_model(compiled, index, layer) else 0
            return Work(1, useful, 0, operand.n)
    return Work(1, 0.0, 0, rows * note.width)


def _attention(model: ModelConfig, opcode: Opcode, rows: int, chunk: Chunk) -> Work:
    """Work of an APPEND or an ATTEND."""
    kv_bytes = 2 * model.n_kv_heads * model.head_dim * (1 + EXPONENT_SHARE)
    if opcode == Opcode.APPEND:
        return Work(1, rows * kv_bytes, 0, 2 * rows * model.n_kv_heads * model.head_dim)
    seen = model.n_heads * (rows * chunk.position + rows * (rows + 1) // 2)
    return Work(1, chunk.position * kv_bytes, 2 * seen * model.head_dim, seen)


def _of_model(compiled: CompiledProgram, index: int, layer: int) -> bool:
    """Whether an operand is one of the model's: what the last layer loads for the layer after it is not."""
    instruction, place = compiled.program[index], compiled.memory.placements[compiled.notes[index].operand]
    first, end = place.operand.layers
    offset = (instruction.base + layer * instruction.stride) % (1 << FIELDS["base"])
    return end == first or offset <= place.at(end - 1)
