"""No result depends on the shape of the machine: what the RTL of two configs writes is the same, bit for bit."""

from typing import Any

import numpy as np
import pytest

from celosia.arch.config import AcceleratorConfig
from celosia.arch.isa import Flag, Instruction, Opcode
from celosia.compare import attributed
from celosia.driver.device import Job
from celosia.golden.records import TensorWrite

from .support import DEEP, NARROW, WIDE, Pair, small_model, tokens

LENGTH, STEPS = 35, 3

Rows = dict[tuple[int, int, int], np.ndarray]
"""Rows of scratchpad tensors, as bits, by instruction (a number of `_numbers`), layer and position."""

WRITERS = (Opcode.EMBED, Opcode.MATMUL, Opcode.ATTEND)


def _numbers(program: tuple[Instruction, ...]) -> dict[int, int]:
    """Index in the program to number among the instructions of its chunk that write the scratchpad."""
    writers = [index for index, instruction in enumerate(program) if instruction.opcode in WRITERS]
    second = [index for index in writers if Flag.SECOND in program[index].flags]
    first = [index for index in writers if index not in second]
    return dict(zip(first, range(len(first)), strict=True)) | dict(zip(second, range(len(second)), strict=True))


def _run(config: AcceleratorConfig, changes: dict[str, Any], chunk: int = 0) -> tuple[Rows, tuple[int, ...], Any]:
    """One job; every scratchpad tensor as the RTL wrote it, and what was sampled. `Pair` compares with the golden."""
    pair = Pair(small_model(config, **changes))
    pair.open(0, (5, 2))
    result = pair.run(Job(0, 0, tokens(LENGTH), STEPS, chunk=chunk))
    rows: Rows = {}
    recording, numbers = pair.recordings[0], _numbers(pair.compiled.program)
    written = {(w.pass_index, w.index, w.layer): w.scratchpad for w in attributed(pair.compiled, recording.writes)}
    for retired in recording.retired:
        for tensor in retired.tensors:
            if tensor.kind == "spm":
                records = written[retired.pass_index, retired.index, retired.layer]
                for row, bits in enumerate(_rows(records, tensor, config.vector.lanes)):
                    rows[numbers[retired.index], retired.layer, retired.position + row] = bits
    return rows, result.tokens, result.candidates


def _rows(records: np.ndarray, tensor: TensorWrite, lanes: int) -> np.ndarray:
    """Rows of a tensor, as bits: the golden machine only says where they stand."""
    rows, width = tensor.data.shape
    pitch = tensor.pitch or width // lanes
    words = np.zeros((int(records["address"].max()) + 1, lanes), np.uint32)
    values = np.ascontiguousarray(records["data"][:, : 4 * lanes]).view(np.uint32)
    for lane in range(lanes):
        chosen = (records["mask"] >> lane & 1).astype(bool)
        words[records["address"][chosen], lane] = values[chosen, lane]
    at = tensor.address + np.arange(rows)[:, None] * pitch + np.arange(width // lanes)
    bits: np.ndarray = words[at].reshape(rows, width)
    return bits


@pytest.mark.parametrize(
    "changes",
    [{}, {"head_dim": 16, "tied_embeddings": True}, {"head_dim": 48, "dim": 72, "norm": "layer", "qkv_bias": True}],
    ids=["heads of 32", "heads of 16", "heads of 48"],
)
def test_two_configs_write_the_same(changes: dict[str, Any]) -> None:
    """Rows, channels, lanes, chunk, chunks in flight, bus width, lag and FIFOs all differ."""
    narrow, *sampled = _run(NARROW, changes)
    wide, *sampled_wide = _run(WIDE, changes)
    assert sampled == sampled_wide
    assert narrow.keys() == wide.keys()
    assert {position for _, _, position in narrow} == set(range(LENGTH + STEPS - 1))
    for key, row in narrow.items():
        assert row.any(), key
        assert np.array_equal(row, wide[key]), key


def test_deep_pipelines_write_the_same() -> None:
    """Registers change cycles, never bits."""
    least, *sampled = _run(WIDE, {})
    deep, *sampled_deep = _run(DEEP, {})
    assert sampled == sampled_deep
    assert least.keys() == deep.keys()
    assert all(np.array_equal(row, deep[key]) for key, row in least.items())


@pytest.mark.parametrize("chunk", [1, 7, 8])
def test_chunks_of_a_job_write_the_same(chunk: int) -> None:
    """Also with pairs of chunks in one page, and with a chunk that does not fill the array's rows."""
    whole, *sampled = _run(WIDE, {})
    cut, *sampled_cut = _run(WIDE, {}, chunk)
    assert sampled == sampled_cut
    assert whole.keys() == cut.keys()
    assert all(np.array_equal(row, cut[key]) for key, row in whole.items())
