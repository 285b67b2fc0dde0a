"""Third pass: addresses in the on-chip memories, by lifetime."""

from dataclasses import dataclass

from ...arch.isa import Flag, Opcode
from .program import AM, PM, SPM, Buffer, Operation


@dataclass(frozen=True)
class Allocation:
    """Where every buffer stands.

    Attributes:
        base: first word by buffer name (of a parameter buffer: 0, its operation has the offset).
        first, last: indices of the first and last operation that touch a buffer.
        used: words used by memory.
    """

    buffers: tuple[Buffer, ...]
    base: dict[str, int]
    first: dict[str, int]
    last: dict[str, int]
    used: dict[str, int]

    def __str__(self) -> str:
        lines = ["memory  words         instructions  buffer"]
        for b in sorted(self.buffers, key=lambda b: (b.memory, self.base[b.name], self.first[b.name])):
            start = self.base[b.name]
            span = f"{start} .. {start + b.words - 1}"
            life = f"{self.first[b.name]} .. {self.last[b.name]}"
            lines.append(f"{b.memory:<8}{span:<14}{life:<14}{b.name} ({b.width} elements a row)")
        lines.extend(f"{memory:<8}{words} words used" for memory, words in sorted(self.used.items()))
        return "\n".join(lines)


def allocate(operations: list[Operation]) -> Allocation:
    """First fit, largest buffers first; buffers that are never alive together share words.

    A buffer lives from the first to the last operation that touches it, both included, so that no operation reads and
    writes overlapping buffers, and on through the operations with BESIDE that follow, which may run at the same time.
    The residual stream is touched before and after the loop over layers, hence lives through it; every other buffer is
    written before it is read in each iteration. Gains and biases stand at the addresses that the instruction set fixes.
    The loops over later runs of layers touch the same buffers in the same
    order as the first one, which therefore speaks for all.
    """
    buffers: dict[str, Buffer] = {}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    loops, inside = 0, False
    for index, operation in enumerate(operations):
        loops += operation.opcode == Opcode.LOOP
        inside = operation.opcode == Opcode.LOOP or (inside and operation.opcode != Opcode.NEXT)
        if inside and loops > 1:
            continue
        if Flag.BESIDE in operation.flags:
            for name in [name for name, end in last.items() if end == index - 1]:
                last[name] = index
        for buffer in operation.buffers:
            buffers.setdefault(buffer.name, buffer)
            first.setdefault(buffer.name, index)
            last[buffer.name] = index
    base: dict[str, int] = {}
    used = dict.fromkeys((SPM, AM, PM), 0)
    for buffer in sorted(buffers.values(), key=lambda b: (-b.words, first[b.name])):
        name, placed = buffer.name, 0
        if buffer.memory != PM:
            rivals = [
                buffers[other]
                for other in base
                if buffers[other].memory == buffer.memory and first[other] <= last[name] and first[name] <= last[other]
            ]
            for rival in sorted(rivals, key=lambda b: base[b.name]):
                if base[rival.name] - placed < buffer.words:
                    placed = max(placed, base[rival.name] + rival.words)
                else:
                    break
        base[name] = placed
        used[buffer.memory] = max(used[buffer.memory], placed + buffer.words)
    return Allocation(tuple(buffers.values()), base, first, last, used)
