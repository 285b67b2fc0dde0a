"""The machine as a whole: programs, jobs, shape independence, the cache in memory, errors."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from celosia.arch.config import AcceleratorConfig, load_config
from celosia.arch.formats import Q4_0, Q8_0
from celosia.arch.isa import Flag, Instruction, Opcode, Status
from celosia.arch.layout import CacheLayout, MatmulLayout
from celosia.driver.compiler import CompiledModel, compile_model
from celosia.golden.errors import MachineError, UnwrittenRead
from celosia.golden.machine import Machine
from celosia.golden.records import Retired

from ..driver.models import random_config, random_model

TOKENS = np.random.default_rng(1).integers(0, 100, 75).tolist()
TINY = load_config("default")


def _configs() -> list[AcceleratorConfig]:
    """Different rows, channels, lanes, bus, chunk and lag."""
    kria = load_config("kria")
    # With two chunks in flight a program has other instructions: tests/driver/compiler/test_overlap.py compares them.
    kria = replace(kria, vector=replace(kria.vector, chunks=1))
    narrow = replace(
        TINY,
        array=replace(TINY.array, rows=1, channels=1),
        vector=replace(TINY.vector, lanes=2, chunk=5, scratchpad_words=16384, activation_words=1024),
        cache=replace(TINY.cache, tail_words=128),
        stream=replace(TINY.stream, attention_lag=7),
    )
    wide = replace(
        kria,
        array=replace(kria.array, rows=32, channels=16),
        vector=replace(kria.vector, lanes=16, chunk=32, scratchpad_words=16384, activation_words=512),
    )
    control = TINY.control  # the number of candidates is a choice, not a shape
    return [replace(config, control=control) for config in (narrow, kria, wide)]


def _compile(config: AcceleratorConfig, **changes: Any) -> CompiledModel:
    formats = {"wq": "Q4_1", "w_down": "Q4_0", "layers.1.wo": "Q8_0"}
    return compile_model(random_model(random_config(**changes), 5, formats), config)


def _machine(compiled: CompiledModel, chunk: int | None = None, poison: int = 0xA5) -> Machine:
    memory = np.full(compiled.memory.total_bytes, poison, np.uint8)
    memory[: len(compiled.image)] = compiled.image
    program = b"".join(i.encode() for i in compiled.program)
    machine = Machine(compiled.config, memory, program=program, kv_base=compiled.memory.kv_offset, chunk=chunk)
    machine.open(0, [5, 2, 9, 7])
    return machine


class Recorder:
    """Every tensor by instruction, layer, number and position: independent of how tokens were grouped into passes."""

    def __init__(self) -> None:
        self.tensors: dict[tuple[int, int, int, int], list[bytes]] = {}
        self.kinds: set[str] = set()

    def __call__(self, retired: Retired) -> None:
        for number, write in enumerate(retired.tensors):
            self.kinds.add(write.kind)
            arrays = [a for a in (write.data, write.companion) if a is not None]
            if write.kind == "pm":
                parts = {-1: arrays}
            elif write.kind in ("logits", "topk") or Flag.LAST_ROW in retired.instruction.flags:
                parts = {retired.position + retired.rows - 1: arrays}
            else:
                axis = 1 if write.kind in ("key", "value") else 0
                cut = [np.split(a, retired.rows, axis) for a in arrays]
                parts = {retired.position + row: [c[row] for c in cut] for row in range(retired.rows)}
            for position, part in parts.items():
                self.tensors[retired.index, retired.layer, number, position] = [p.tobytes() for p in part]

    def first_difference(self, other: "Recorder") -> tuple[int, int, int, int] | None:
        """Instruction, layer, tensor and position, or None if all are equal."""
        keys = sorted(self.tensors.keys() | other.tensors.keys(), key=lambda k: (k[3], k[1], k[0], k[2]))
        return next((k for k in keys if self.tensors.get(k) != other.tensors.get(k)), None)


def _record(compiled: CompiledModel, chunk: int | None = None, steps: int = 3) -> tuple[Recorder, Machine]:
    recorder, machine = Recorder(), _machine(compiled, chunk)
    machine.run(0, 0, TOKENS, steps, on_retire=recorder)
    return recorder, machine


@pytest.mark.parametrize("changes", [{}, {"head_dim": 16, "n_heads": 4, "n_kv_heads": 2}, {"dim": 72, "head_dim": 48}])
def test_no_tensor_depends_on_the_shape_of_the_machine(changes: dict[str, Any]) -> None:
    expected, _ = _record(_compile(TINY, **changes))
    assert expected.kinds == {"spm", "am", "pm", "rope", "key", "value", "logits", "topk"}
    assert len(expected.tensors) > 75 * 2 * 15
    for config in _configs():
        recorder, _ = _record(_compile(config, **changes))
        assert recorder.first_difference(expected) is None, config


def test_no_tensor_depends_on_chunking() -> None:
    compiled = _compile(TINY)
    expected, machine = _record(compiled)
    for chunk in (1, 3, 7):
        recorder, other = _record(compiled, chunk)
        assert recorder.first_difference(expected) is None
        assert np.array_equal(other.memory, machine.memory)


def test_a_token_is_the_same_in_prompt_and_decode() -> None:
    compiled = _compile(TINY)
    expected, machine = _record(compiled, steps=1)
    recorder, other = Recorder(), _machine(compiled)
    for position in range(0, 75, 25):
        other.run(0, position, TOKENS[position : position + 25], int(position == 50), on_retire=recorder)
    assert recorder.first_difference(expected) is None
    assert np.array_equal(other.memory, machine.memory)


def test_activation_bits_do_matter() -> None:
    """The comparison above can fail."""
    eight = replace(TINY, array=replace(TINY.array, activation_bits=8))
    first, _ = _record(_compile(TINY), steps=0)
    second, _ = _record(_compile(eight), steps=0)
    assert first.first_difference(second) is not None


def test_only_the_sequences_own_positions_are_written() -> None:
    compiled = _compile(TINY)
    _, machine = _record(compiled)
    _, poisoned = _record(compiled)
    other = _machine(compiled, poison=0x3C)
    result = other.run(0, 0, TOKENS, 3)
    assert np.array_equal(result.tokens, poisoned.run(0, 0, TOKENS, 3).tokens), "nothing unwritten is used"
    start = compiled.memory.kv_offset
    written = machine.memory[start:] == other.memory[start:]
    page_bytes = CacheLayout(TINY, compiled.geometry.kv_heads, compiled.geometry.head_blocks, 2).page_bytes
    shares = written[: 10 * page_bytes].reshape(10, -1).mean(axis=1)
    # Pages 5 and 2 are full, page 9 has 75 + 2 - 64 = 13 of 32 positions; the rest is as it was.
    assert shares.tolist() == pytest.approx([0, 0, 1, 0, 0, 1, 0, 0, 0, 13 / 32])
    assert np.array_equal(machine.memory[: len(compiled.image)], compiled.image)


def test_all_logits_are_those_of_sampling() -> None:
    compiled = _compile(TINY)
    machine = _machine(compiled)
    logits = machine.run(0, 0, TOKENS, 0, all_logits=True).logits
    assert logits is not None
    assert logits.shape == (75, 100)
    for end in (1, 8, 33, 75):
        result = machine.run(0, 0, TOKENS[:end], 1)
        order = np.argsort(-logits[end - 1], kind="stable")[:8]
        assert result.candidate_ids.tolist() == order.tolist()
        assert np.array_equal(result.candidate_values, logits[end - 1][order])
        assert result.tokens == [int(order[0])]
        assert result.logits is None


def test_jobs_end_at_their_steps_or_the_end_of_text() -> None:
    machine = _machine(_compile(TINY))
    tokens = machine.run(0, 0, TOKENS[:9], 6).tokens
    assert len(tokens) == 6
    assert machine.run(0, 0, TOKENS[:9], 0).tokens == []
    assert machine.run(0, 0, TOKENS[:9], 6, end_of_text=tokens[2]).tokens == tokens[: tokens.index(tokens[2]) + 1]
    assert machine.run(0, 9, tokens[:1], 5).tokens == tokens[1:]
    with pytest.raises(MachineError, match=r"^the machine stopped: POSITION_RANGE, address 0x9$"):
        machine.run(0, 9, [], 1)


def test_sequences_do_not_meet() -> None:
    config = replace(TINY, cache=replace(TINY.cache, sequences=2))
    machine = _machine(_compile(config))
    alone = machine.run(0, 0, TOKENS[:40], 4).tokens
    machine.open(1, [0, 1])
    machine.run(0, 0, TOKENS[:40], 0)
    machine.run(1, 0, TOKENS[20:60], 4)
    assert machine.run(0, 40, alone[:1], 3).tokens == alone[1:]


# A program by hand: a table of integers, a diagonal of twos, a bias: every result is known without arithmetic rules.

HAND = replace(TINY, array=replace(TINY.array, formats=("Q8_0",)))
_TABLE, _MATRIX, _BIAS, _SIZE = 0, 4096, 8192, 16384


def _pack(memory: np.ndarray, base: int, quants: np.ndarray) -> None:
    """Q8_0 with d = 1; quants int8 [channels, 32]."""
    layout = MatmulLayout(HAND, Q8_0, len(quants), 1)
    for channel, row in enumerate(quants):
        tile, lane = layout.tile_index(channel // HAND.array.channels, 0), channel % HAND.array.channels
        at = base + layout.payload_offset(tile) + 32 * lane
        memory[at : at + 32] = row.astype(np.int8).view(np.uint8)
        at = base + layout.scale_offset(tile) + 2 * lane
        memory[at : at + 2] = np.array([1], np.float16).view(np.uint8)


def _hand(*instructions: Instruction, table: np.ndarray | None = None) -> Machine:
    memory = np.full(_SIZE, 0xEE, np.uint8)
    _pack(memory, _TABLE, np.arange(64).reshape(2, 32) if table is None else table)
    _pack(memory, _MATRIX, 2 * np.eye(32))
    memory[_BIAS : _BIAS + 128] = np.arange(32, dtype=np.float32).view(np.uint8)
    machine = Machine(HAND, memory, program=b"".join(i.encode() for i in instructions))
    machine.open(0, [0, 1])
    return machine


EMBED = Instruction(Opcode.EMBED, dst=8, n=2, k=1, base=_TABLE)
QUANTIZE = Instruction(Opcode.QUANTIZE, src=8, dst=3, n=32, k=1)
MATMUL = Instruction(Opcode.MATMUL, src=3, dst=100, n=32, k=1, base=_MATRIX)
LOAD = Instruction(Opcode.LOAD, dst=0, n=32, base=_BIAS)
END = Instruction(Opcode.END)


def test_a_program_by_hand() -> None:
    product = replace(MATMUL, flags=Flag.BIAS)
    residual = replace(MATMUL, flags=Flag.RESIDUAL)
    head = replace(MATMUL, flags=Flag.HEAD | Flag.TOP_K | Flag.LAST_ROW)
    sample = Instruction(Opcode.SAMPLE, flags=Flag.HEAD)
    seen: dict[int, np.ndarray] = {}
    machine = _hand(EMBED, QUANTIZE, LOAD, product, residual, replace(QUANTIZE, n=5), head, sample, END)
    result = machine.run(0, 0, [1, 0], 1, on_retire=lambda r: seen.update({r.index: r.tensors[0].data}))
    x = np.array([np.arange(32, 64), np.arange(32)], np.float32)
    assert np.array_equal(seen[0], x)
    assert np.array_equal(seen[3], 2 * x + np.arange(32))
    assert np.array_equal(seen[4], 4 * x + np.arange(32))
    assert result.candidate_values.tolist() == [72, 70, 68, 66, 64, 0, 0, 0]  # row 0, five real elements
    assert result.candidate_ids.tolist() == [4, 3, 2, 1, 0, 5, 6, 7], "ties go to the lower id"
    assert np.array_equal(machine.memories[0].scratchpad.read(100, 2, 32, 8), seen[4])


def test_loops_stride_over_layers() -> None:
    """Two iterations, the second one with the matrix a stride further on."""
    layout = MatmulLayout(HAND, Q8_0, 32, 1)
    body = replace(MATMUL, stride=layout.bytes)
    machine = _hand(
        EMBED,
        Instruction(Opcode.LOOP, n=2),
        QUANTIZE,
        body,
        Instruction(Opcode.NEXT, src=2),
        replace(MATMUL, base=0),
        END,
    )
    _pack(machine.memory, _MATRIX + layout.bytes, 3 * np.eye(32))
    _pack(machine.memory, _TABLE, np.eye(32) + 1)
    seen: list[tuple[int, int, float]] = []

    def record(retired: Retired) -> None:
        if retired.instruction.opcode == Opcode.MATMUL:
            seen.append((retired.index, retired.layer, float(retired.tensors[0].data[0, 0])))

    machine.run(0, 0, [1], 0, on_retire=record)
    assert seen == [(3, 0, 2), (3, 1, 3), (5, 0, 34)]


def test_a_run_of_layers_starts_at_its_first_one() -> None:
    """Layers 2 and 3, so near the start of the image that the base wraps below 0; then layer 0 again."""
    stride = 4096
    machine = _hand(
        EMBED,
        Instruction(Opcode.LOOP, k=2, n=4),
        QUANTIZE,
        replace(MATMUL, base=(_MATRIX - 2 * stride) % (1 << 40), stride=stride),
        replace(LOAD, base=(_MATRIX - 2 * stride) % (1 << 40), stride=stride),
        Instruction(Opcode.NEXT, src=2),
        replace(MATMUL, stride=stride),
        END,
    )
    _pack(machine.memory, _MATRIX + stride, 3 * np.eye(32))
    seen: list[tuple[int, int, float]] = []
    loaded: list[np.ndarray] = []

    def record(retired: Retired) -> None:
        if retired.instruction.opcode == Opcode.MATMUL:
            seen.append((retired.index, retired.layer, float(retired.tensors[0].data[0, 1])))
        if retired.instruction.opcode == Opcode.LOAD:
            loaded.append(retired.tensors[0].data)

    machine.run(0, 0, [0], 0, on_retire=record)
    assert seen == [(3, 2, 2), (3, 3, 3), (6, 0, 2)]
    for layer, values in enumerate(loaded):
        at = _MATRIX + layer * stride
        assert np.array_equal(values.view(np.uint8), machine.memory[at : at + 128])


def test_write_forgets_unpacked_weights() -> None:
    machine = _hand(EMBED, QUANTIZE, MATMUL, END)
    machine.run(0, 0, [1], 0)
    changed = machine.memory.copy()
    _pack(changed, _MATRIX, 5 * np.eye(32))
    machine.write(_MATRIX, changed[_MATRIX:_BIAS])
    machine.run(0, 0, [1], 0)
    assert machine.memories[0].scratchpad.read(100, 1, 32, 8)[0, 0] == 5 * 32
    with pytest.raises(MachineError, match="BUS_WRITE"):
        machine.write(_SIZE - 1, np.zeros(2, np.uint8))


@pytest.mark.parametrize(
    ("program", "status", "address"),
    [
        ([replace(EMBED, n=1), END], Status.TOKEN_RANGE, 1),
        ([EMBED, QUANTIZE], Status.ILLEGAL_INSTRUCTION, 2),
        ([EMBED, QUANTIZE, replace(MATMUL, format=Q4_0.code), END], Status.ILLEGAL_INSTRUCTION, 2),
        ([replace(EMBED, dst=4095), END], Status.ILLEGAL_INSTRUCTION, 0),
        ([EMBED, replace(QUANTIZE, dst=256), END], Status.ILLEGAL_INSTRUCTION, 1),
        ([EMBED, replace(LOAD, dst=249), END], Status.ILLEGAL_INSTRUCTION, 1),
        ([EMBED, QUANTIZE, replace(MATMUL, base=_SIZE), END], Status.BUS_READ, _SIZE),
        ([Instruction(Opcode.SAMPLE), END], Status.ILLEGAL_INSTRUCTION, 0),
    ],
)
def test_program_errors(program: list[Instruction], status: Status, address: int) -> None:
    machine = _hand(*program)
    with pytest.raises(MachineError) as caught:
        machine.run(0, 0, [1], 1)
    assert (caught.value.status, caught.value.address) == (status, address)


def test_an_unknown_opcode() -> None:
    machine = _hand(EMBED, END)
    broken = Machine(HAND, machine.memory, program=EMBED.encode() + b"\x7f" + bytes(31))
    broken.open(0, [0])
    with pytest.raises(MachineError, match=r"^the machine stopped: ILLEGAL_INSTRUCTION, address 0x1$"):
        broken.run(0, 0, [1], 0)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ([QUANTIZE, END], r"^instruction 0 \(QUANTIZE\): scratchpad word 8: row 0, element 0 of \[1, 32\]$"),
        ([EMBED, MATMUL, END], r"^instruction 1 \(MATMUL\): activation memory word 3: row 0, block 0 of \[1, 1\]$"),
        ([EMBED, QUANTIZE, replace(MATMUL, flags=Flag.BIAS), END], r"^instruction 2 \(MATMUL\): parameter memory"),
    ],
)
def test_reads_of_what_was_not_written_in_this_pass(program: list[Instruction], message: str) -> None:
    machine = _hand(*program)
    for memory in (machine.memories[0].scratchpad, machine.memories[0].parameters):
        memory.data.fill(1)  # a pass before this one
    with pytest.raises(UnwrittenRead, match=message):
        machine.run(0, 0, [1], 0)


def test_cache_errors_and_restart() -> None:
    compiled = _compile(TINY)
    machine = _machine(compiled)

    def fails(sequence: int, position: int, status: Status, address: int) -> None:
        with pytest.raises(MachineError) as caught:
            machine.run(sequence, position, TOKENS[:40], 1)
        assert (caught.value.status, caught.value.address) == (status, address)

    expected = machine.run(0, 0, TOKENS, 2).tokens
    fails(1, 0, Status.SEQUENCE_CLOSED, 1)
    fails(0, 100, Status.PAGE_UNMAPPED, 128)  # four pages are mapped
    fails(0, 16 * 32 - 39, Status.POSITION_RANGE, 512)
    fails(0, 16 * 32 + 3, Status.POSITION_RANGE, 515)
    machine.open(0, [1, TINY.cache.pages])
    fails(0, 0, Status.PAGE_UNMAPPED, 32)
    fails(0, 200, Status.PAGE_UNMAPPED, 32)  # the lowest, not the job's own
    machine.close(0)
    fails(0, 0, Status.SEQUENCE_CLOSED, 0)
    with pytest.raises(MachineError, match="SEQUENCE_CLOSED"):
        machine.map(0, [1])
    machine.open(0, [4])
    machine.map(0, [3, 8])
    assert machine.run(0, 0, TOKENS, 2).tokens == expected


@pytest.mark.parametrize("scale", [1.0, -1.0])
def test_saturation_is_remembered_until_the_next_job(scale: float) -> None:
    """One element of the scratchpad reaches the largest float32, of either sign; then only the one before it."""
    machine = _hand(EMBED, QUANTIZE, LOAD, replace(MATMUL, flags=Flag.BIAS), replace(MATMUL, flags=Flag.RESIDUAL), END)
    bias = machine.memory[_BIAS : _BIAS + 128].view(np.float32)
    for value, saturated in ((3.4028235e38, True), (3.4028233e38, False)):
        bias[7] = scale * value
        assert machine.run(0, 0, [0], 0).saturated is saturated
        assert machine.saturated is saturated


def test_wrong_arguments() -> None:
    machine = _hand(END)
    with pytest.raises(ValueError, match=r"^sequence = 1: must be below cache\.sequences = 1$"):
        machine.open(1)
    with pytest.raises(ValueError, match=r"^pages: 17 are more than cache\.pages_per_sequence = 16$"):
        machine.open(0, range(17))
    with pytest.raises(ValueError, match=r"^chunk = 9: must be from 1 to vector\.chunk = 8$"):
        Machine(HAND, machine.memory, program=b"", chunk=9)
