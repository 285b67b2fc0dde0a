"""`celosia bench`: runs phases of a model on the RTL and accounts for every cycle (docs/bench.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..arch.config import derive
from ..arch.formats import BLOCK
from ..arch.isa import Flag, Instruction, Opcode
from ..arch.layout import ceil_div
from ..arch.model import WeightTensor
from ..driver.compiler import CompiledModel, CompiledProduct, CompiledProgram, FitError, compile_product
from ..driver.compiler.product import ROWS
from ..driver.cycles import chunk_for
from ..driver.device import Job
from ..driver.product import open_sequence, product_jobs
from ..driver.registers import RegisterAccelerator
from ..driver.work import Pass, Work, passes, work
from .dram import MemoryModel
from .ledger import UNITS, Ledger
from .replay import DramStatistics
from .rtl import RtlDevice, memory_bytes_for

DECODE_CONTEXTS = (16, 256, 2048)
PROMPT = 128
ATTENTION_CONTEXTS = (2048, 1024, 512, 256, 128, 64, 32)
"""Attention alone takes the first of these that fits."""

SEED = 1
UNIT_OPCODES: dict[str, tuple[Opcode, Flag, Flag]] = {
    "norm": (Opcode.NORM, Flag(0), Flag.HEAD | Flag.SECOND),
    "rope": (Opcode.QUERY, Flag.ROPE, Flag.SECOND),
    "gate": (Opcode.QUANTIZE, Flag.GATED, Flag.SECOND),
    "quantize": (Opcode.QUANTIZE, Flag(0), Flag.GATED | Flag.SILU | Flag.GELU | Flag.SECOND),
}
"""Non-linear unit: the instruction that shows it, with flags that it has and flags that it does not have."""

PRODUCT = 1024
"""Rows, inputs and channels of the bare product; fewer rows where a sequence has fewer positions."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Phase:
    """What is run, and what of it is measured.

    Attributes:
        name: "decode@256". kind: "decode", "prompt", "attention", "unit" or "product".
        job: None where it cannot be run, for `reason`.
        first, last: the samples between which cycles count, 0: start and end of the job.
        walks: passes that are measured, for the useful work.
        alone: index in the model's program of the one instruction that is run, and then only its cycles count.
        unit: whose working cycles the phase is about.
        product: what is run instead of the model.
        fused: "activation" or "softmax", whose cost over the bare products the phase shows.
    """

    name: str
    kind: str
    context: int = 0
    job: Job | None = None
    reason: str = ""
    first: int = 0
    last: int = 0
    walks: tuple[Pass, ...] = ()
    alone: int | None = None
    unit: str = ""
    product: CompiledProduct | None = None
    fused: str = ""


@dataclass(frozen=True, eq=False)
class Measured:
    """A phase as the RTL ran it.

    Attributes:
        cycles: of the phase. ledger: of all that was watched. owner: the one instruction that counts, or None.
        work: useful work by index in `program`.
        dram: what the memory did in it, where one is asked for.
    """

    phase: Phase
    cycles: int
    ledger: Ledger
    owner: int | None
    work: dict[int, Work]
    program: tuple[Instruction, ...]
    names: tuple[str, ...]
    dram: DramStatistics | None = None

    @property
    def total(self) -> Work:
        """Work of the whole phase; bytes and products of an ATTEND are not the softmax's."""
        total = Work()
        for entry in self.work.values():
            total += entry
        return Work(total.count, elements=total.elements) if self.phase.unit == "softmax" else total


@dataclass(frozen=True, eq=False)
class Bench:
    """All phases on one accelerator.

    Attributes:
        simulated_cycles, seconds: of the simulation, without building.
    """

    compiled: CompiledModel
    memory: str
    measured: tuple[Measured, ...]
    skipped: tuple[Phase, ...]
    simulated_cycles: int = 0
    seconds: float = 0.0

    @property
    def bus_bytes(self) -> int:
        """Bytes of a beat."""
        return derive(self.compiled.config).bus_bytes

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates of a cycle."""
        return derive(self.compiled.config).macs

    def bound(self, asked: Work) -> int:
        """Cycles that no machine with this bus and this array gets below."""
        return max(ceil_div(round(asked.bytes), self.bus_bytes), ceil_div(asked.macs, self.macs_per_cycle))


@dataclass
class Plan:
    """Which phases a model on a config has."""

    compiled: CompiledModel
    prompts: Sequence[int] = (PROMPT,)
    decodes: Sequence[int] = ()
    phases: list[Phase] = field(default_factory=list)

    def build(self) -> list[Phase]:
        """All phases, in the order in which they are run."""
        for context in DECODE_CONTEXTS:
            self._decode(context)
        for count in self.decodes:
            self._decode_all(count)
        for count in self.prompts:
            self._prompt(count)
        self._attention()
        for name, (opcode, having, without) in UNIT_OPCODES.items():
            self._unit(name, opcode, having, without)
        self._product()
        return self.phases

    def _decode(self, context: int) -> None:
        """The second token of a job: the stream runs as far ahead as it ever does. A third one follows, if it fits."""
        name, limit = f"decode@{context}", self.compiled.context
        if context > limit:
            self.phases.append(Phase(name, "decode", context, reason=f"the context has {limit} positions"))
            return
        steps = 3 if context < limit else 2
        walks = passes(self.compiled, context - 1, 1, head=True)
        job = Job(0, context - 2, (1,), steps)
        self.phases.append(Phase(name, "decode", context, job, first=1, last=2, walks=tuple(walks)))

    def _decode_all(self, count: int) -> None:
        """Tokens at positions 1 to `count`, one after the other."""
        name, limit = f"decode@1-{count}", self.compiled.context
        if count >= limit:
            self.phases.append(Phase(name, "decode", count, reason=f"the context has {limit} positions"))
            return
        walks = [walk for position in range(1, count + 1) for walk in passes(self.compiled, position, 1, head=True)]
        job = Job(0, 0, (1,), count + 1)
        self.phases.append(Phase(name, "decode", count, job, first=1, last=count + 1, walks=tuple(walks)))

    def _prompt(self, count: int) -> None:
        name, limit = f"prompt@{count}", self.compiled.context
        if count > limit:
            self.phases.append(Phase(name, "prompt", count, reason=f"the context has {limit} positions"))
            return
        chunk = chunk_for(self.compiled, 0, count)
        job = Job(0, 0, self._tokens(count), 1, chunk=chunk)
        walks = passes(self.compiled, 0, count, head=True, chunk=chunk)
        self.phases.append(Phase(name, "prompt", count, job, last=1, walks=tuple(walks)))

    def _attention(self) -> None:
        context = next((c for c in ATTENTION_CONTEXTS if c <= self.compiled.context), self.compiled.context)
        index = self._find(Opcode.ATTEND, Flag(0), Flag.SECOND)
        walks = tuple(passes(self.compiled, context - 1, 1, head=False))
        job = Job(0, context - 1, (1,), 0)
        name = f"attention@{context}"
        self.phases.append(Phase(name, "attention", context, job, walks=walks, alone=index, unit="attention"))
        self.phases.append(Phase("softmax", "unit", context, job, walks=walks, alone=index, unit="softmax"))

        # A whole chunk, as in a prompt: the array sets the pace, and what the softmax adds to its products shows.
        rows = min(self.compiled.config.vector.chunk, context)
        walks = tuple(passes(self.compiled, context - rows, rows, head=False))
        job = Job(0, context - rows, self._tokens(rows), 0)
        chunk = Phase(f"{name}, {rows} rows", "attention", context, job, walks=walks, alone=index, fused="softmax")
        self.phases.append(replace(chunk, unit="attention"))

    def _unit(self, name: str, opcode: Opcode, having: Flag, without: Flag) -> None:
        """A whole chunk of rows through one instruction."""
        index = self._find(opcode, having, without)
        if index is None:
            self.phases.append(Phase(name, "unit", reason="the model has no such instruction"))
            return
        rows = min(self.compiled.config.vector.chunk, self.compiled.context)
        walks = tuple(passes(self.compiled, 0, rows, head=False))
        job = Job(0, 0, self._tokens(rows), 0)
        self.phases.append(Phase(name, "unit", rows, job, walks=walks, alone=index, unit="vector"))

    def _product(self) -> None:
        """Rows from memory, results to memory."""
        config = self.compiled.config
        rows = min(PRODUCT, config.cache.pages_per_sequence * BLOCK)
        name = f"product {rows}x{PRODUCT}x{PRODUCT}"
        values = np.random.default_rng(SEED).standard_normal((PRODUCT, PRODUCT)).astype(np.float32)
        weights = WeightTensor("weights", "F32", values.shape, values)
        try:
            product = compile_product(config, weights, rows, config.array.formats[0])
        except FitError as error:
            self.phases.append(Phase(name, "product", rows, reason=str(error)))
            return
        walks = tuple(passes(product, 0, rows, head=False))
        (job,) = product_jobs(product)
        bare = Phase(name, "product", rows, job, walks=walks, product=product)
        activated = replace(bare, name=f"{name} of SiLU", product=_activated(product), fused="activation")
        self.phases += [bare, activated]

    def _tokens(self, count: int) -> tuple[int, ...]:
        return tuple(np.random.default_rng(SEED).integers(0, self.compiled.model.vocab_size, count).tolist())

    def _find(self, opcode: Opcode, having: Flag, without: Flag) -> int | None:
        for index, instruction in enumerate(self.compiled.program):
            flags = instruction.flags
            if instruction.opcode == opcode and flags & having == having and not flags & without:
                return index
        return None


def run_bench(
    compiled: CompiledModel,
    memory: MemoryModel | None = None,
    *,
    report: Report | None = None,
    prompts: Sequence[int] = (PROMPT,),
    decodes: Sequence[int] = (),
    phases: Sequence[Phase] | None = None,
) -> Bench:
    """Run the phases (all that there are, if none are given) on the RTL.

    Args:
        prompts: tokens of the prompts among all phases. decodes: tokens of runs of decode steps among them.
        memory: its timing; None is the ideal one. Only then there are no figures of the memory.
        report: told what is being done, a line at a time.

    Raises:
        BuildError, ToolMissing, CacheError: no simulator. AcceleratorError: the device stopped with an error.
    """
    chosen = Plan(compiled, prompts, decodes).build() if phases is None else list(phases)
    runnable = [phase for phase in chosen if phase.job is not None]
    needed = [compiled, *(phase.product for phase in runnable if phase.product is not None)]
    size = memory_bytes_for(compiled.config, max(program.memory.total_bytes for program in needed))
    device = RtlDevice(compiled.config, size, memory=memory, record=memory is not None, report=report)
    try:
        device.keep_writes(False)
        accelerator = RegisterAccelerator(device)
        measured = []
        for number, phase in enumerate(runnable, start=1):
            if report is not None:
                _show(device, report, f"{number} of {len(runnable)}: {phase.name}")
            measured.append(_measure(device, accelerator, compiled, phase))
        skipped = tuple(phase for phase in chosen if phase.job is None)
        return Bench(compiled, device.model.name, tuple(measured), skipped, device.cycles, device.seconds)
    finally:
        device.close()


def _show(device: RtlDevice, report: Report, what: str) -> None:
    report(what)
    device.on_slice = lambda: report(f"{what}, {device.cycles:,} cycles")


def _prepare(accelerator: RegisterAccelerator, compiled: CompiledModel, product: CompiledProduct | None) -> None:
    """Keys, values and exponents that no prompt made, or rows: cycles do not depend on them."""
    random = np.random.default_rng(SEED)
    if product is not None:
        region = product.memory.region(ROWS)
        rows = random.standard_normal(region.bytes // 4).astype(np.float32)
        accelerator.write(region.offset, rows.view(np.uint8))
        open_sequence(accelerator, product)
        return
    memory = compiled.memory
    values = random.integers(-8, 8, memory.kv_bytes, dtype=np.int8)
    accelerator.write(memory.kv_offset, values.view(np.uint8))
    accelerator.open(0, tuple(range(ceil_div(compiled.context, BLOCK))))


def _measure(device: RtlDevice, accelerator: RegisterAccelerator, compiled: CompiledModel, phase: Phase) -> Measured:
    """Run one phase."""
    assert phase.job is not None
    model = compiled if phase.alone is None else only(compiled, phase.alone)
    loaded: CompiledProgram = phase.product or model
    accelerator.load(loaded)
    _prepare(accelerator, compiled, phase.product)
    device.watch(phase.first, phase.last)
    result = accelerator.run(phase.job)
    ledger = device.ledger()
    owner = None if phase.alone is None else 0
    cycles = ledger.cycles
    if owner is not None:
        cycles = int(ledger.busy[UNITS.index(phase.unit)].sum() if phase.unit == "softmax" else ledger.bus[owner].sum())
    start = device.doorbell + sum(result.cycles[: phase.first])
    dram = None
    if phase.kind != "unit" and len(requests := device.requests()):
        taken = (requests["cycle"] >= start) & (requests["cycle"] < start + ledger.cycles)
        dram = device.dram_statistics(start, start + ledger.cycles) if taken.any() else None
    names = tuple(_name(instruction) for instruction in loaded.program)
    return Measured(phase, cycles, ledger, owner, work(loaded, phase.walks), loaded.program, names, dram)


def only(compiled: CompiledModel, index: int) -> CompiledModel:
    """The same image with a program of one instruction."""
    end = next(i for i, instruction in enumerate(compiled.program) if instruction.opcode == Opcode.END)
    program = tuple(compiled.program[i] for i in (index, end))
    notes = tuple(compiled.notes[i] for i in (index, end))
    return replace(compiled, program=program, notes=notes, image=_image(compiled, program))


def _activated(product: CompiledProduct) -> CompiledProduct:
    """The same product of its rows' SiLU."""
    program = tuple(
        replace(i, flags=i.flags | Flag.SILU) if i.opcode == Opcode.QUANTIZE else i for i in product.program
    )
    return replace(product, program=program, image=_image(product, program))


def _image(compiled: CompiledProgram, program: Sequence[Instruction]) -> NDArray[np.uint8]:
    """The image with another program, not longer than its own."""
    image = compiled.image.copy()
    code = np.frombuffer(b"".join(instruction.encode() for instruction in program), np.uint8)
    start = compiled.memory.region("program").offset
    image[start : start + len(code)] = code
    return image


def _name(instruction: Instruction) -> str:
    """Class of an instruction: its opcode; the output head's product and gated activations apart."""
    name = Opcode(instruction.opcode).name
    if instruction.flags & Flag.TOP_K:
        return f"{name} (head)"
    return f"{name} (gate)" if instruction.flags & (Flag.SILU | Flag.GELU) else name
