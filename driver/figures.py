"""What a run asked of the machine, in bytes and multiply-accumulates: the useful part of what the counters see."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..arch.formats import BLOCK
from ..arch.isa import INSTRUCTION_BYTES, Flag, Opcode
from .chunks import cut
from .compiler import CompiledModel
from .device import Job, JobResult

EXPONENT_SHARE = 1 / BLOCK
"""Bytes of exponents per byte of keys or values."""


@dataclass(frozen=True)
class Figures:
    """Totals of a run, as docs/figures.md defines them.

    Attributes:
        prefill, decode: cycles, from doorbell to the first sampled token, then from token to token.
        weights, kv, program: useful bytes moved. activations: bytes of operands and results in memory, 0 here.
        bus_utilization: of decode; None without a decode step. mac_utilization: of the whole run.
    """

    prefill: int
    decode: tuple[int, ...]
    weights: int
    kv: int
    activations: int
    program: int
    bus_utilization: float | None
    mac_utilization: float | None


def figures(compiled: CompiledModel, jobs: Iterable[tuple[Job, JobResult]]) -> Figures:
    """Figures of the jobs of one run, in order."""
    load = Load(compiled)
    weights = program = macs = prefill = total = 0
    kv, decode_bytes = 0.0, 0.0
    decode: list[int] = []
    for job, result in jobs:
        sampled, count = len(result.tokens), len(job.tokens)
        # A job that samples one token after another: its first token belongs to the prompt if nothing was sampled yet.
        for step in range(max(sampled, 1)):
            rows = count if step == 0 else 1
            position = job.position + (0 if step == 0 else count + step - 1)
            chunks = len(cut(compiled.config, position, rows, job.chunk))
            head = step < sampled
            step_weights = chunks * load.body_bytes + rows * load.row_bytes + head * load.head_bytes
            step_kv = load.kv_bytes(position, rows)
            weights, kv = weights + step_weights, kv + step_kv
            macs += load.macs(position, rows, head)
            cycles = result.cycles[step] if step < len(result.cycles) else 0
            total += cycles
            if step == 0 and (count > 1 or not prefill):
                prefill += cycles
                continue
            decode.append(cycles)
            decode_bytes += step_weights + step_kv
        program += len(compiled.program) * INSTRUCTION_BYTES
    bus = compiled.config.bus.data_bits // 8
    peak = compiled.config.array.rows * compiled.config.array.channels * BLOCK
    spent = sum(decode)
    return Figures(
        prefill=prefill,
        decode=tuple(decode),
        weights=round(weights),
        kv=round(kv),
        activations=0,
        program=program,
        bus_utilization=decode_bytes / (spent * bus) if spent else None,
        mac_utilization=macs / (total * peak) if total else None,
    )


class Load:
    """What one chunk of a compiled model asks for.

    Attributes:
        body_bytes: weights, gains and constants of every chunk. head_bytes: what sampling adds.
        row_bytes: of one embedding row.
    """

    def __init__(self, compiled: CompiledModel) -> None:
        self.compiled = compiled
        placements = compiled.memory.placements
        body = head = macs = head_macs = 0
        seen = set()
        for instruction, note in zip(compiled.program, compiled.notes, strict=True):
            # What is there for a second chunk, or loaded a layer ahead, is the same operand again.
            if not note.operand or (note.operand in seen and not instruction.flags & Flag.HEAD):
                continue
            seen.add(note.operand)
            operand = placements[note.operand].operand
            size, work = operand.useful_bytes() * operand.copies, operand.n * operand.k * BLOCK * operand.copies
            if instruction.opcode == Opcode.EMBED:
                self.row_bytes = operand.useful_bytes() // operand.n
            elif instruction.flags & Flag.HEAD:
                head, head_macs = head + size, head_macs + work
            else:
                body, macs = body + size, macs + work
        self.body_bytes, self.head_bytes = body, head
        self._macs, self._head_macs = macs, head_macs

    def kv_bytes(self, position: int, rows: int) -> float:
        """Keys and values read once per chunk and written once per row, exponents included."""
        model = self.compiled.model
        per_position = 2 * model.n_kv_heads * model.head_dim * model.n_layers * (1 + EXPONENT_SHARE)
        read = sum(chunk.position for chunk in cut(self.compiled.config, position, rows))
        return per_position * (read + rows)

    def macs(self, position: int, rows: int, head: bool) -> int:
        """Multiply-accumulates of `rows` tokens, causal ones only in attention."""
        model = self.compiled.model
        seen = rows * position + rows * (rows + 1) // 2
        attention = 2 * model.n_heads * model.head_dim * model.n_layers * seen
        return rows * self._macs + head * self._head_macs + attention
