"""A bare matrix product as a program: rows from memory times a weight matrix, results back to memory."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...arch.config import AcceleratorConfig, derive
from ...arch.formats import BLOCK, WEIGHT_FORMATS
from ...arch.isa import INSTRUCTION_BYTES, Flag, Instruction, Opcode
from ...arch.layout import ceil_div, round_up
from ...arch.model import Blocks, WeightTensor
from .compiled import CompiledProgram, Note
from .errors import FitError, Misfit
from .fit import address_misfits, at_least
from .memory import CACHE_ALIGNMENT, REGION_ALIGNMENT, MemoryMap, Placement, Region
from .pack import pack_matrix
from .program import AM, OUTSIDE, SPM, Operand
from .weights import arrange, padded

ROWS = "rows"
"""Region of the rows in memory."""


@dataclass(frozen=True, eq=False)
class CompiledProduct(CompiledProgram):
    """Y = X W^T for X of `rows` x `inputs`, W of `channels` x `inputs`, on a config.

    In memory a row is a record: that of X, then that of Y, float32, each padded to whole blocks of 32.

    Attributes:
        rows, inputs, channels: shape of the product.
    """

    rows: int
    inputs: int
    channels: int

    @property
    def output_offset(self) -> int:
        """Bytes from the start of a record to its results."""
        return 4 * round_up(self.inputs, BLOCK)

    @property
    def record_bytes(self) -> int:
        """Bytes of a record."""
        return self.output_offset + 4 * round_up(self.channels, BLOCK)

    @property
    def macs(self) -> int:
        """Multiply-accumulates that the product asks for."""
        return self.rows * self.inputs * self.channels


def compile_product(config: AcceleratorConfig, weights: WeightTensor, rows: int, weight_format: str) -> CompiledProduct:
    """Compile a product of `rows` rows with a matrix [channels, inputs].

    Args:
        weight_format: for a float matrix; a quantized one keeps its format.

    Raises:
        ConfigError: an illegal config. FitError: names every field to change.
    """
    derive(config)
    channels, inputs = weights.shape
    code = weights.format if weights.format in WEIGHT_FORMATS else weight_format
    name = f"product {rows}x{inputs}x{channels}"
    width = _check(config, name, inputs, channels, code)
    blocks = arrange(weights, code, padded(np.arange(channels), round_up(channels, BLOCK)))
    starts = range(0, len(blocks.scales), width)
    start = round_up((2 * config.vector.chunks * (1 + len(starts)) + 1) * INSTRUCTION_BYTES, REGION_ALIGNMENT)
    places: list[Placement] = []
    image = [np.zeros(start, np.uint8)]
    for first in starts:
        part = _rows_of(blocks, first, first + width)
        size = len(part.scales)
        operand = Operand(f"{weights.name}[{first}:{first + size}]", weights.name, "matrix", OUTSIDE, size, 0, code)
        operand = replace(operand, k=ceil_div(inputs, BLOCK))
        places.append(Placement(operand, start, 0, operand.bytes(config)))
        image.append(pack_matrix(config, WEIGHT_FORMATS[code], part))
        start += len(image[-1])
    product = CompiledProduct(
        config=config,
        context=config.cache.pages_per_sequence * BLOCK,
        memory=MemoryMap((), {place.operand.name: place for place in places}, start, 0, 0),
        program=(),
        notes=(),
        image=np.concatenate(image),
        rows=rows,
        inputs=inputs,
        channels=channels,
    )
    return _finish(product, name, list(_instructions(product, places)))


def _check(config: AcceleratorConfig, name: str, inputs: int, channels: int, code: str) -> int:
    """Channels whose results are in the scratchpad at once: all of them, or half of what fits.

    Raises:
        FitError: names every field to change.
    """
    vector, rows = config.vector, config.vector.chunk
    k, n = ceil_div(inputs, BLOCK), ceil_div(channels, BLOCK)
    block_words = rows * BLOCK // vector.lanes
    blocks = vector.scratchpad_words // block_words
    width = n if n <= blocks else blocks // 2
    parts = ceil_div(n, max(width, 1))
    misfits: list[Misfit] = []
    if code not in config.array.formats:
        formats = config.array.formats
        misfits.append(Misfit("array.formats", formats, (*formats, code), f"the weights are {code}"))
    for field, need, why in (
        ("vector.scratchpad_words", max(k, min(n, 2)) * block_words, f"words for {rows} rows"),
        ("vector.activation_words", derive(config).row_groups * k, f"words for {rows} rows"),
        ("control.program_words", 2 * config.vector.chunks * (1 + parts) + 1, "instructions"),
    ):
        misfits += at_least(config, field, need, f"it needs {need} {why}")
    if misfits:
        raise FitError(name, config.name, misfits)
    return width * BLOCK


def _rows_of(blocks: Blocks, first: int, end: int) -> Blocks:
    mins = None if blocks.mins is None else blocks.mins[first:end]
    return Blocks(blocks.scales[first:end], blocks.quants[first:end], mins)


def _instructions(product: CompiledProduct, places: list[Placement]) -> Iterator[tuple[Instruction, Note]]:
    """The program: inputs are quantized before results take their words; of these two parts alternate, so that one is
    stored while the next is computed."""
    config, stride = product.config, product.record_bytes
    inputs, k = round_up(product.inputs, BLOCK), ceil_div(product.inputs, BLOCK)
    half = config.vector.chunk * places[0].operand.n // config.vector.lanes

    def both(instruction: Instruction, note: Note) -> Iterator[tuple[Instruction, Note]]:
        yield instruction, note
        if config.vector.chunks > 1:
            yield replace(instruction, flags=instruction.flags | Flag.SECOND), note

    yield from both(Instruction(Opcode.LOAD_ROWS, n=inputs, base=0, stride=stride), Note((ROWS,), "x", SPM, inputs, ""))
    yield from both(Instruction(Opcode.QUANTIZE, n=inputs, k=k), Note(("x",), "x_quantized", AM, inputs, ""))
    base = product.output_offset
    for index, place in enumerate(places):
        operand = place.operand
        words, name = index % 2 * half, f"y[{index}]"
        multiply = Instruction(
            Opcode.MATMUL,
            format=WEIGHT_FORMATS[operand.format].code,
            flags=Flag.BESIDE if index else Flag(0),
            dst=words,
            n=operand.n,
            k=k,
            base=place.offset,
        )
        yield from both(multiply, Note(("x_quantized",), name, SPM, operand.n, operand.name))
        store = Instruction(Opcode.STORE_ROWS, src=words, n=operand.n, base=base, stride=stride)
        yield from both(store, Note((name,), ROWS, "", operand.n, ""))
        base += 4 * operand.n
    yield Instruction(Opcode.END), Note((), "", "", 0, "")


def _finish(product: CompiledProduct, name: str, lines: list[tuple[Instruction, Note]]) -> CompiledProduct:
    """The product with its program in the image, and the memory behind it."""
    try:
        encoded = b"".join(instruction.encode() for instruction, _ in lines)
    except ValueError as error:
        raise FitError(name, product.config.name, [Misfit("inputs", product.inputs, None, str(error))]) from None
    product.image[: len(encoded)] = np.frombuffer(encoded, np.uint8)
    memory = product.memory
    behind = round_up(len(product.image), CACHE_ALIGNMENT)
    weights = next(iter(memory.placements.values())).offset
    regions = (
        Region("program", 0, len(encoded)),
        Region("weights", weights, len(product.image) - weights),
        Region("kv_cache", behind, 0),
        Region(ROWS, behind, product.rows * product.record_bytes),
    )
    if misfits := address_misfits(product.config, behind + regions[-1].bytes):
        raise FitError(name, product.config.name, misfits)
    return replace(
        product,
        memory=replace(memory, regions=regions, kv_offset=behind),
        program=tuple(instruction for instruction, _ in lines),
        notes=tuple(note for _, note in lines),
    )
