"""The passes in a row: model and config in, program, image and memory map out."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...arch.config import AcceleratorConfig, derive
from ...arch.formats import BLOCK, WEIGHT_FORMATS
from ...arch.isa import FIELDS, Flag, Instruction, Opcode
from ...arch.model import Model, ModelConfig
from .allocate import Allocation, allocate
from .compiled import CompiledModel, Note
from .errors import FitError, Misfit
from .fit import apply, size_misfits, structural_misfits
from .geometry import ModelGeometry
from .memory import MemoryMap, Placement, map_memory
from .overlap import overlap
from .pack import pack_floats, pack_matrix, pack_rope
from .program import Operand, Operation, build_program
from .weights import AUTO, FormatPlan, arrange, arrange_vector, choose_formats, padded, row_order

Progress = Callable[[int, int], None]
"""Called with (bytes packed, bytes in all)."""


@dataclass(frozen=True)
class Plan:
    """Everything about a compiled model but its weights.

    Attributes:
        geometry, formats, operations, allocation, memory: results of the passes, each printable.
        program: encoded instructions, one per operation.
        context: positions that a sequence may have.
    """

    geometry: ModelGeometry
    formats: FormatPlan
    operations: list[Operation]
    allocation: Allocation
    memory: MemoryMap
    program: tuple[Instruction, ...]
    context: int


def default_context(config: AcceleratorConfig, model: ModelConfig) -> int:
    """Positions that model and config both allow."""
    return min(model.context_length, min(config.cache.pages_per_sequence, config.cache.pages) * BLOCK)


def plan(config: AcceleratorConfig, model: ModelConfig, formats: FormatPlan, context: int | None = None) -> Plan:
    """Run every pass that needs no weights.

    Args:
        context: positions that a sequence must be able to have; None is what model and config both allow.

    Raises:
        ConfigError: an illegal config.
        FitError: the model does not fit; names every field to change.
    """
    derive(config)
    wanted = default_context(config, model) if context is None else context
    if not 1 <= wanted <= model.context_length:
        raise FitError(model.name, config.name, [_context_misfit(model, wanted)])
    misfits = structural_misfits(config, model, formats, wanted)
    sized = apply(config, misfits)
    geometry = ModelGeometry.of(sized, model)
    operations = build_program(geometry, formats)
    allocation = allocate(operations)
    operations = overlap(operations, sized.vector.chunks)
    memory = map_memory(geometry, operations)
    misfits += size_misfits(sized, geometry, operations, allocation, memory)
    if misfits:
        raise FitError(model.name, config.name, misfits)
    program = []
    for index, operation in enumerate(operations):
        instruction = _encode(operation, geometry, allocation, memory)
        try:
            instruction.encode()
        except ValueError as error:
            why = f"instruction {index} ({operation.opcode.name}): {error}"
            raise FitError(model.name, config.name, [Misfit("model", model.name, None, why)]) from None
        program.append(instruction)
    return Plan(geometry, formats, operations, allocation, memory, tuple(program), wanted)


def _context_misfit(model: ModelConfig, wanted: int) -> Misfit:
    reason = f"the model was made for 1 to {model.context_length} positions"
    return Misfit("context", wanted, min(max(wanted, 1), model.context_length), reason)


def _encode(operation: Operation, geometry: ModelGeometry, allocation: Allocation, memory: MemoryMap) -> Instruction:
    """Names to addresses."""
    base, stride = _operand(operation, memory.placements[operation.operand.name]) if operation.operand else (0, 0)
    if operation.cached:
        base, stride = geometry.cache.page_bytes, geometry.cache.layer_bytes
    source = allocation.base[operation.src.name] if operation.src else 0
    return Instruction(
        opcode=operation.opcode,
        format=WEIGHT_FORMATS[operation.operand.format].code if operation.operand and operation.operand.format else 0,
        flags=operation.flags,
        src=source if operation.target is None else operation.target,
        dst=allocation.base[operation.dst.name] + operation.dst_offset if operation.dst else 0,
        n=operation.n,
        k=operation.k,
        pitch=operation.pitch,
        base=base,
        stride=stride,
        imm=operation.imm,
        aux=allocation.base[operation.gate.name] if operation.gate else operation.aux,
    )


def _operand(operation: Operation, place: Placement) -> tuple[int, int]:
    """Base and stride of an operand."""
    if operation.layer is not None:
        return place.at(operation.layer), 0
    # The last layer's loads for the layer after read what follows in the image, for nobody.
    return (place.base + operation.ahead * place.stride) % (1 << FIELDS["base"]), place.stride


def compile_model(
    model: Model,
    config: AcceleratorConfig,
    *,
    weight_format: str = AUTO,
    head_format: str = "Q8_0",
    context: int | None = None,
    progress: Progress | None = None,
) -> CompiledModel:
    """Compile a model onto a config.

    Args:
        weight_format, head_format: block formats for float weights of the layers, and of embedding and output; tensors
            that are quantized in the file keep theirs. `AUTO`: Q4_0 where it is exact, else Q8_0.
        context: positions that a sequence must be able to have; None is what model and config both allow.
        progress: called while weights are packed.

    Raises:
        ConfigError: an illegal config.
        FitError: the model does not fit the config; names every field to change.
        ValueError: an unknown format.
    """
    started = time.perf_counter()
    formats = choose_formats(model, config, weight_format, head_format)
    plan_ = plan(config, model.config, formats, context)
    image = np.zeros(plan_.memory.image_bytes, np.uint8)
    encoded = b"".join(instruction.encode() for instruction in plan_.program)
    image[: len(encoded)] = np.frombuffer(encoded, np.uint8)
    total, done = len(image), len(encoded)
    for place in plan_.memory.placements.values():
        for layer in range(*place.operand.layers) if place.operand.layered else (0,):
            start = place.at(layer)
            image[start : start + place.bytes] = _pack(plan_, model, place.operand, layer)
            done += place.bytes
            if progress:
                progress(min(done, total), total)
    return CompiledModel(
        config=config,
        model=model.config,
        formats=formats,
        geometry=plan_.geometry.attention,
        context=plan_.context,
        memory=plan_.memory,
        program=plan_.program,
        notes=tuple(_note(operation) for operation in plan_.operations),
        image=image,
        seconds=time.perf_counter() - started,
    )


def _pack(plan_: Plan, model: Model, operand: Operand, layer: int) -> np.ndarray:
    """Bytes of one operand in one layer."""
    config, name = plan_.geometry.config, operand.tensor
    if operand.kind == "rope":
        return pack_rope(config, model.config.rope_frequencies)
    full = f"layers.{layer}.{name}" if operand.layered else name
    if operand.kind == "floats":
        base = name.removesuffix(".bias")
        order = np.arange(model.config.dim) if base.endswith("norm") else row_order(plan_.geometry, base)
        values = arrange_vector(model.tensors[full].dequantize(), padded(order, operand.n))
        return pack_floats(config, values)
    weight_format = WEIGHT_FORMATS[operand.format]
    order = row_order(plan_.geometry, name)
    return pack_matrix(config, weight_format, arrange(model.tensors[full], operand.format, order))


def _note(operation: Operation) -> Note:
    """What an instruction reads and writes, by name."""
    reads = [b.name for b in (operation.src, operation.gate) if b is not None]
    if Flag.RESIDUAL in operation.flags or operation.opcode == Opcode.APPEND:
        reads += [operation.dst.name] if operation.dst else []
    writes = operation.dst.name if operation.dst and operation.opcode != Opcode.APPEND else ""
    return Note(
        reads=tuple(reads),
        writes={Opcode.APPEND: "kv_cache", Opcode.SAMPLE: "token"}.get(operation.opcode, writes)
        or ("logits" if Flag.TOP_K in operation.flags else ""),
        memory=operation.dst.memory if operation.dst and writes else "",
        width=operation.dst.width if operation.dst and writes else 0,
        operand=operation.operand.name if operation.operand else "",
    )
