"""Programs for two chunks in flight: the same numbers as those for one, in an order that the machine can run."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from celosia.arch.config import AcceleratorConfig, Array, Cache, Control, Vector
from celosia.arch.isa import Flag, Instruction, Opcode
from celosia.arch.layout import ceil_div
from celosia.driver.compiler import CompiledModel, compile_model
from celosia.golden.machine import Machine
from celosia.golden.records import Result, Retired

from ..models import random_config, random_model

ONE = AcceleratorConfig(
    name="one",
    array=Array(rows=2, channels=2),
    vector=Vector(lanes=4, chunk=6, scratchpad_words=4096, activation_words=512, parameter_words=256),
    cache=Cache(pages=8, sequences=1, pages_per_sequence=4, tail_words=256),
    control=Control(program_words=128, top_k=4),
)
"""A chunk of 6 does not divide a page."""

TWO = replace(ONE, name="two", vector=replace(ONE.vector, chunks=2))

BIASED = {
    "norm": "layer",
    "activation": "gelu",
    "qkv_bias": True,
    "attention_output_bias": True,
    "mlp_bias": True,
}
MIXED = {"layers.0.wv": "Q8_0", ".wv": "Q4_1", "wq": "Q4_1"}

MODELS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "llama": ({"n_layers": 3}, {}),
    "one layer, shared blocks": ({"n_layers": 1, "head_dim": 16, "n_heads": 4, "n_kv_heads": 2}, {}),
    "biases": (BIASED, {}),
    "biases of queries only": ({"qkv_bias": True, "tied_embeddings": True}, {}),
    "three runs of layers": ({"n_layers": 4}, {**MIXED, "layers.3.w_down": "Q4_0", "w_down": "Q8_0"}),
    "two runs of layers, biases": ({"n_layers": 3, **BIASED}, MIXED),
}

JOBS = ((5, 2), (6, 2), (9, 1), (12, 2), (13, 0), (25, 2), (6, 3))
"""Tokens and steps of jobs that follow each other: prompts end in a first or a second chunk, whole or not."""


def _compile(name: str) -> tuple[CompiledModel, CompiledModel]:
    changes, formats = MODELS[name]
    model = random_model(random_config(**changes), 21, formats)
    return compile_model(model, ONE), compile_model(model, TWO)


Written = dict[tuple[Any, ...], np.ndarray]
"""Rows of a tensor, by job, opcode, place, layer and position; the last write counts."""


def _run(compiled: CompiledModel) -> tuple[list[Result], Written, np.ndarray]:
    """All jobs on the golden machine; what was sampled, what was written, and the cache."""
    memory = np.zeros(compiled.memory.total_bytes, np.uint8)
    memory[: len(compiled.image)] = compiled.image
    program = b"".join(instruction.encode() for instruction in compiled.program)
    machine = Machine(compiled.config, memory, program=program, kv_base=compiled.memory.kv_offset)
    machine.open(0, (5, 2, 7, 0))
    results, written, position = [], {}, 0

    def note(retired: Retired) -> None:
        for tensor in retired.tensors:
            if tensor.kind == "spm":
                operand = compiled.notes[retired.index].operand
                for row, values in enumerate(tensor.data):
                    key = retired.instruction.opcode, operand, tensor.address, retired.layer, retired.position + row
                    written[len(results), *key] = values.view(np.uint32).copy()

    for index, (count, steps) in enumerate(JOBS):
        tokens = np.random.default_rng(index).integers(0, compiled.model.vocab_size, count).tolist()
        results.append(machine.run(0, position, tokens, steps, on_retire=note))
        position += count + max(0, steps - 1)
    return results, written, machine.memory[compiled.memory.kv_offset :].copy()


@pytest.mark.parametrize("name", MODELS)
def test_two_chunks_compute_what_one_computes(name: str) -> None:
    one, two = _compile(name)
    assert any(Flag.SECOND in instruction.flags for instruction in two.program)
    expected, written_one, cache_one = _run(one)
    results, written_two, cache_two = _run(two)
    for a, b in zip(expected, results, strict=True):
        assert (a.tokens, a.candidate_ids.tolist()) == (b.tokens, b.candidate_ids.tolist())
        assert np.array_equal(a.candidate_values.view(np.uint32), b.candidate_values.view(np.uint32))
    assert np.array_equal(cache_one, cache_two)
    assert written_one.keys() == written_two.keys()
    assert all(np.array_equal(row, written_two[key]) for key, row in written_one.items())


def _chunk(instruction: Instruction) -> Flag:
    return instruction.flags & Flag.SECOND


def _plain(instruction: Instruction) -> Instruction:
    return replace(instruction, flags=instruction.flags & ~(Flag.SECOND | Flag.BESIDE))


@pytest.mark.parametrize("name", MODELS)
def test_programs(name: str) -> None:
    """They fit their page; both chunks have the same instructions in the same order, but for LOADs."""
    one, two = _compile(name)
    assert len(two.program) * 32 <= 4096
    outside = (Opcode.LOAD, Opcode.LOOP, Opcode.NEXT, Opcode.END)
    body = [i for i in two.program if i.opcode not in outside and Flag.HEAD not in i.flags]
    assert [_plain(i) for i in body if not _chunk(i)] == [_plain(i) for i in body if _chunk(i)]
    for chunk in (Flag(0), Flag.SECOND):
        loads = [i for i in two.program if i.opcode is Opcode.LOAD and _chunk(i) == chunk and Flag.HEAD not in i.flags]
        assert len(loads) == sum(i.opcode is Opcode.LOAD and Flag.HEAD not in i.flags for i in one.program)
    assert _without_loads(one) == _without_loads(two)
    loops = [i for i in two.program if i.opcode is Opcode.LOOP]
    assert len(loops) == {"three runs of layers": 3, "two runs of layers, biases": 2}.get(name, 1)


def _without_loads(compiled: CompiledModel) -> list[tuple[Any, ...]]:
    """The first chunk's instructions without their addresses in the image and the program."""
    return [
        (replace(i, base=0, stride=0, src=0 if i.opcode is Opcode.NEXT else i.src), note.operand)
        for i, note in zip(compiled.program, compiled.notes, strict=True)
        if i.opcode is not Opcode.LOAD and not _chunk(i)
    ]


def _executed(program: tuple[Instruction, ...]) -> list[tuple[int, int]]:
    """Indices and layers of instructions, in the order of execution of a pass with both chunks that samples."""
    pc, layer, layers, order = 0, 0, 0, []
    while program[pc].opcode is not Opcode.END:
        instruction = program[pc]
        pc += 1
        if instruction.opcode is Opcode.LOOP:
            layer, layers = instruction.k, instruction.n
        elif instruction.opcode is Opcode.NEXT:
            layer, pc = (layer + 1, instruction.src) if layer + 1 < layers else (0, pc)
        else:
            order.append((pc - 1, layer))
    return order


Read = tuple[tuple[str, int, int], ...]
"""What an instruction finds in the parameter memory, word by word: operand, its layer, and the word of it."""


def _reads(compiled: CompiledModel, second: bool) -> list[Read]:
    """What the instructions of one chunk read from its parameter memory, with HEAD those of the second chunk."""
    memory: dict[int, tuple[str, int, int]] = {}
    reads = []
    lanes, layers = compiled.config.vector.lanes, range(compiled.model.n_layers)
    for index, layer in _executed(compiled.program):
        i = compiled.program[index]
        if second != (Flag.SECOND in i.flags) and not (second and Flag.HEAD in i.flags):
            continue
        if i.opcode is Opcode.LOAD:
            name = compiled.notes[index].operand
            place = compiled.memory.placements[name]
            source = (i.base + layer * i.stride) % (1 << 40)
            assert source + 4 * i.n <= len(compiled.image), "a load from behind the image"
            copy = next((n for n in layers if place.at(n) == source), -1)
            memory |= {i.dst + word: (name, copy, word) for word in range(ceil_div(i.n, lanes))}
        elif i.opcode is Opcode.NORM:
            words = i.k * 32 // lanes * (2 if Flag.LAYER_NORM in i.flags else 1)
            reads.append(tuple(memory[word] for word in range(words)))
        elif Flag.BIAS in i.flags:
            reads.append(tuple(memory[word] for word in range(ceil_div(i.n, lanes))))
    return reads


@pytest.mark.parametrize("name", MODELS)
def test_every_gain_and_bias_is_found(name: str) -> None:
    """A NORM, or a product with a bias, finds what it finds with one chunk, wherever the LOADs went."""
    one, two = _compile(name)
    head = [i for i in one.program if Flag.HEAD in i.flags and i.opcode is Opcode.NORM]
    expected = _reads(one, second=False)
    assert _reads(two, second=True) == expected
    assert _reads(two, second=False)[: len(expected) - len(head)] == expected[: -len(head)]
    assert all(copy >= 0 for read in expected for _, copy, _ in read)


def test_gains_come_behind_the_products_of_the_first_chunk() -> None:
    """Where no product reads the parameter memory; behind the second chunk's products, the norm would wait for them."""
    _, two = _compile("llama")
    order = [two.program[index] for index, _ in _executed(two.program)]
    loads = [index for index, i in enumerate(order) if i.opcode is Opcode.LOAD and Flag.HEAD not in i.flags]
    first = [index for index in loads if not _chunk(order[index])]
    assert [index + 1 for index in first] == [index for index in loads if _chunk(order[index])]
    for index in first[1:]:
        assert Flag.BESIDE in order[index].flags
        assert (order[index - 1].opcode, _chunk(order[index - 1])) == (Opcode.MATMUL, Flag(0))
        following = next(i for i in order[index + 2 :] if i.opcode in (Opcode.MATMUL, Opcode.ATTEND))
        assert (following.opcode, _chunk(following)) == (Opcode.MATMUL, Flag.SECOND) or Flag.HEAD in following.flags


def test_a_program_that_does_not_fit_names_the_field() -> None:
    small = replace(TWO, control=replace(TWO.control, program_words=32))
    with pytest.raises(Exception, match=r"control.program_words"):
        compile_model(random_model(random_config(), 21), small)
    assert len(compile_model(random_model(random_config(), 21), replace(small, vector=ONE.vector)).program) <= 32
