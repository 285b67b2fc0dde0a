"""Predictions of the cycle model, as figures to compare with and to print."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ...arch.config import AcceleratorConfig, derive
from ...arch.isa import Flag, Instruction, Opcode
from ..compiler import CompiledProgram, Plan
from ..device import Job
from .walk import LATENCY, QUEUE_OF, Retirement, Usage, Walk


@dataclass(frozen=True)
class ClassLoad:
    """What the instructions of one class take in a part of a job.

    Attributes:
        count: instructions. cycles: what they add, see `spans`. bytes: read from the stream.
        macs: multiply-accumulates, those for padding in attention included.
        bound: the least cycles that bus and array need for them.
        limit: "bus" or "array", whichever sets the bound and is at least 90 % of the cycles; "vector", "write" or
            "latency" for what neither explains.
    """

    count: int
    cycles: float
    bytes: int
    macs: int
    bound: float
    limit: str


@dataclass(frozen=True)
class Prediction:
    """A job's cycles.

    Attributes:
        prefill: from the doorbell to the first sampled token, or to the end of a job that samples none.
        decode: from each token to the next.
        prefill_classes, decode_classes: by class of instruction, of the prompt's passes and of all decode steps.
        retired: every instruction that was walked, in program order; all of them only with `every_layer`.
        bus: cycles in which the bus is busy, array: micro-ops of the engine, vector: cycles of the vector unit; each of
            prefill and of all decode steps.
    """

    config: AcceleratorConfig
    prefill: float
    decode: tuple[float, ...]
    prefill_classes: dict[str, ClassLoad]
    decode_classes: dict[str, ClassLoad]
    retired: tuple[Retirement, ...]
    bus: tuple[float, float]
    array: tuple[float, float]
    vector: tuple[float, float]

    @property
    def cycles(self) -> tuple[float, ...]:
        """As in `JobResult.cycles`: to the first token, then from token to token."""
        return (self.prefill, *self.decode)

    def tokens_per_second(self, step: int = 0) -> float:
        """Of a decode step, at the config's clock."""
        return self.config.control.clock_mhz * 1e6 / self.decode[step]

    def limit(self, part: str) -> tuple[str, float]:
        """What limits "prefill" or "decode", and its share of the cycles: "bus", "array" or "vector"."""
        which = ("prefill", "decode").index(part)
        total = self.prefill if which == 0 else sum(self.decode)
        shares = {name: getattr(self, name)[which] / total if total else 0.0 for name in ("bus", "array", "vector")}
        name = max(shares, key=shares.__getitem__)
        return name, shares[name]


def predict(
    compiled: Plan | CompiledProgram, job: Job, *, latency: int = LATENCY, every_layer: bool = False
) -> Prediction:
    """Predict a job on the config that it is compiled for.

    Args:
        latency: cycles from a read's address to its first beat; an ideal memory, a beat a cycle.
        every_layer: walk all layers and pages, not only until one takes as long as the one before.

    Raises:
        ValueError: the job has no tokens.
    """
    if not job.tokens:
        raise ValueError("job: 0 tokens; needs 1 or more")
    walk = Walk(compiled, job, latency=latency, every_layer=every_layer)
    steps = max(job.steps - 1, 0)
    parts = walk.usage[: len(walk.usage) - steps], walk.usage[len(walk.usage) - steps :]
    bus_bytes, pace = derive(walk.config).bus_bytes, walk.stream.pace
    totals = [_sum(part) for part in parts]
    return Prediction(
        config=walk.config,
        prefill=walk.sampled[0] if walk.sampled else walk.ended,
        decode=tuple(b - a for a, b in pairwise(walk.sampled)),
        prefill_classes=_classes(totals[0], walk.config, pace),
        decode_classes=_classes(totals[1], walk.config, pace),
        retired=tuple(walk.retired),
        bus=_pair(sum(u.bytes for u in t.values()) / bus_bytes * pace for t in totals),
        array=_pair(sum(u.array for u in t.values()) for t in totals),
        vector=_pair(sum(u.own for u in t.values()) for t in totals),
    )


def spans(
    retired: Iterable[Retirement], program: Sequence[Instruction], both_chunks: Sequence[bool]
) -> dict[tuple[int, int, int], float]:
    """Cycles of each instruction since it could have begun: since all before it were done in its queue, and in its
    chunk (with BESIDE all but one). Those of instructions that run side by side overlap.

    Args:
        retired: predicted or measured. both_chunks: of each pass, whether it has a second chunk.

    Returns:
        Cycles by index, layer and pass.
    """
    loop, start = {}, None
    for index, instruction in enumerate(program):
        start = index if instruction.opcode == Opcode.LOOP else start
        loop[index] = index if start is None else start
        start = None if instruction.opcode == Opcode.NEXT else start

    def executed(item: Retirement) -> tuple[int, int, int, int]:
        return item.pass_index, loop[item.index], item.layer, item.index

    queues: dict[str, float] = {}
    chunks: dict[bool, list[float]] = {False: [0.0, 0.0], True: [0.0, 0.0]}
    result = {}
    for item in sorted(retired, key=executed):
        instruction = program[item.index]
        queue = QUEUE_OF[instruction.opcode]
        chunk = Flag.SECOND in instruction.flags or (Flag.HEAD in instruction.flags and both_chunks[item.pass_index])
        earlier = chunks[chunk]
        since = max(queues.get(queue, 0.0), earlier[-2 if Flag.BESIDE in instruction.flags else -1])
        result[item.index, item.layer, item.pass_index] = item.cycle - since
        queues[queue] = item.cycle
        chunks[chunk] = sorted([*earlier, item.cycle])[-2:]
    return result


def _sum(part: list[dict[str, Usage]]) -> dict[str, Usage]:
    result: dict[str, Usage] = {}
    for usages in part:
        for name, usage in usages.items():
            result.setdefault(name, Usage()).add(usage)
    return result


def _classes(totals: dict[str, Usage], config: AcceleratorConfig, pace: float) -> dict[str, ClassLoad]:
    result = {}
    peak = derive(config).macs
    for name, usage in totals.items():
        bus = usage.bytes / derive(config).bus_bytes * pace
        bound = max(bus, usage.macs / peak)
        limit = "bus" if bus >= usage.array else "array"
        if max(bus, usage.array) < 0.9 * usage.cycles:
            limit = _OTHERWISE.get(name, "latency")
        result[name] = ClassLoad(usage.count, usage.cycles, usage.bytes, usage.macs, bound, limit)
    return result


_OTHERWISE = {
    **dict.fromkeys((o.name for o in (Opcode.NORM, Opcode.QUANTIZE, Opcode.QUERY, Opcode.ROPE_TABLE)), "vector"),
    Opcode.APPEND.name: "write",
}


def _pair(values: Iterable[float]) -> tuple[float, float]:
    first, second = values
    return first, second
