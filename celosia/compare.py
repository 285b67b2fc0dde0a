"""Bit-exact comparison of what the RTL wrote with what the golden machine wrote, instruction by instruction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arch.config import AcceleratorConfig
from .arch.formats import BLOCK
from .arch.isa import Opcode
from .driver.compiler import CompiledProgram
from .driver.device import JobResult
from .golden.records import Retired, TensorWrite
from .sim.rtl import Writes

WRITERS = {
    "scratchpad": (Opcode.EMBED, Opcode.LOAD_ROWS, Opcode.MATMUL, Opcode.ATTEND),
    "activation": (Opcode.NORM, Opcode.QUANTIZE, Opcode.QUERY),
    "cache": (Opcode.APPEND,),
}
"""Who writes what the RTL shows; instructions of one chunk that run side by side write to different memories."""

Read = Callable[[int, int], NDArray[np.uint8]]

KEY_FIELDS = {"value": 1, "row": 5, "head": 8, "block": 4}
"""Leading fields of a cache block, least significant first, before its elements and exponent."""


@dataclass(frozen=True)
class Mismatch:
    """Where RTL and golden first differ."""

    pass_index: int
    layer: int
    instruction: str
    tensor: str
    element: tuple[int, ...]
    expected: str
    actual: str

    def __str__(self) -> str:
        return (
            f"pass {self.pass_index}, layer {self.layer}, instruction {self.instruction}, tensor {self.tensor}, "
            f"element {list(self.element)}: golden {self.expected}, RTL {self.actual}"
        )


def attributed(compiled: CompiledProgram, rtl: Iterable[Writes]) -> Iterator[Writes]:
    """What a chunk wrote until an instruction retired that does not write there, the next one that does has written."""
    before: dict[str, list[NDArray[np.void]]] = {memory: [] for memory in WRITERS}
    for writes in rtl:
        parts: dict[str, Any] = {}
        for memory, opcodes in WRITERS.items():
            part = getattr(writes, memory)
            if len(part):
                before[memory].append(part)
            if compiled.program[writes.index].opcode in opcodes and before[memory]:
                parts[memory] = np.concatenate(before[memory])
                before[memory] = []
            else:
                parts[memory] = part[:0]
        yield replace(writes, **parts)


@dataclass
class Comparison:
    """Compares as it goes; stops looking at the first difference.

    Attributes:
        tensors, elements: how many were compared and found equal (the first mismatch ends the count).
        mismatch: the first difference, None while there is none.
    """

    compiled: CompiledProgram
    tensors: int = 0
    elements: int = 0
    mismatch: Mismatch | None = None
    _config: AcceleratorConfig = field(init=False)

    def __post_init__(self) -> None:
        self._config = self.compiled.config

    @property
    def bit_exact(self) -> bool:
        """Whether something was compared and nothing differed."""
        return self.mismatch is None and self.tensors > 0

    def compare(self, golden: Iterable[Retired], rtl: Iterable[Writes], read: Read | None = None) -> None:
        """Compare one job: every tensor of the scratchpad, the activation memory and the cache, rows in memory.

        Args:
            read: bytes of the RTL's memory, by address and size, after the job; None: no rows were stored.
        """
        written = {(w.pass_index, w.index, w.layer): w for w in attributed(self.compiled, rtl)}
        stored: dict[int, tuple[Retired, int, NDArray[np.uint32]]] = {}
        for retired in golden:
            if self.mismatch is not None:
                return
            writes = written.pop((retired.pass_index, retired.index, retired.layer), None)
            for tensor in retired.tensors:
                if tensor.kind in ("spm", "am", "key", "value"):
                    self._compare(retired, tensor, writes)
                elif tensor.kind == "rows":
                    if writes is None:
                        self._differs(retired, (0,), "executed", "not executed")
                    # Of what was stored to one place twice the memory has the last.
                    for row, values in enumerate(tensor.data.view(np.uint32)):
                        stored[tensor.address + row * tensor.pitch] = retired, row, values
                    self.tensors += 1
        if self.mismatch is None and read is not None:
            self._compare_rows(stored, read)
        if self.mismatch is None and written:
            pass_index, index, layer = min(written)
            instruction = f"{index} {self.compiled.program[index].opcode.name}"
            name = self.compiled.notes[index].writes or "-"
            self.mismatch = Mismatch(pass_index, layer, instruction, name, (0,), "not executed", "executed")

    def _compare_rows(self, stored: dict[int, tuple[Retired, int, NDArray[np.uint32]]], read: Read) -> None:
        for address, (retired, row, expected) in stored.items():
            actual = read(address, expected.nbytes).view(np.uint32)
            different = np.flatnonzero(expected != actual)
            if len(different):
                where = int(different[0])
                self._differs(retired, (row, where), _float(expected[where]), _float(actual[where]))
                return
            self.elements += expected.size

    def compare_page(self, page: int, golden: Read, actual: Read) -> None:
        """Compare the bytes of a page of the cache; a page counts as a tensor."""
        if self.mismatch is not None:
            return
        memory = self.compiled.memory
        size = memory.kv_bytes // self._config.cache.pages
        offset = memory.kv_offset + page * size
        expected, found = golden(offset, size), actual(offset, size)
        different = np.flatnonzero(expected != found)
        if not len(different):
            self.tensors += 1
            self.elements += size
        else:
            where = int(different[0])
            name = f"page {page} of the KV cache"
            self.mismatch = Mismatch(-1, -1, "APPEND", name, (where,), str(expected[where]), str(found[where]))

    def compare_results(self, golden: JobResult, rtl: JobResult) -> None:
        """Compare the sampled tokens, the last step's candidates and the sticky flag of one job."""
        for name, expected, actual in (
            ("tokens", golden.tokens, rtl.tokens),
            ("candidates", golden.candidates, rtl.candidates[: len(golden.candidates)]),
            ("saturated", (golden.saturated,), (rtl.saturated,)),
        ):
            if self.mismatch is None and expected != actual:
                pairs = enumerate(zip(expected, actual, strict=False))
                where = next((i for i, (a, b) in pairs if a != b), min(len(expected), len(actual)))
                self.mismatch = Mismatch(-1, -1, "SAMPLE", name, (where,), str(expected), str(actual))

    def _compare(self, retired: Retired, tensor: TensorWrite, writes: Writes | None) -> None:
        if writes is None:
            self._differs(retired, (0,), "executed", "not executed")
            return
        expected = tensor.data.view(np.uint32) if tensor.kind == "spm" else tensor.data
        shape = tensor.data.shape
        parts: list[tuple[Any, np.ndarray, np.ndarray]]
        if tensor.kind == "spm":
            parts = [(expected, *self._scratchpad(tensor, writes))]
        elif tensor.kind == "am":
            q, e, seen = self._activation(tensor, writes)
            parts = [(expected, q, np.broadcast_to(seen[..., None], shape)), (tensor.companion, e, seen)]
        else:
            q, e, seen = self._cache(tensor, writes)
            parts = [(expected, q, np.broadcast_to(seen[..., None], shape)), (tensor.companion, e, seen)]
        for want, got, seen in parts:
            wrong = (want != got) | ~seen
            if wrong.any():
                where = tuple(int(i) for i in np.argwhere(wrong)[0])
                if tensor.kind == "spm" and seen[where]:
                    self._differs(retired, where, _float(want[where]), _float(got[where]))
                else:
                    actual = str(got[where]) if seen[where] else "not written"
                    self._differs(retired, where, str(want[where]), actual)
                return
            self.elements += want.size
        self.tensors += 1

    def _differs(self, retired: Retired, where: tuple[int, ...], expected: str, actual: str) -> None:
        note = self.compiled.notes[retired.index]
        self.mismatch = Mismatch(
            retired.pass_index,
            retired.layer,
            f"{retired.index} {retired.instruction.opcode.name}",
            note.writes or "-",
            where,
            expected,
            actual,
        )

    def _scratchpad(self, tensor: TensorWrite, writes: Writes) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
        lanes = self._config.vector.lanes
        rows, width = tensor.data.shape
        pitch = tensor.pitch or width // lanes
        words = (rows - 1) * pitch + -(-width // lanes)
        memory = np.zeros((words, lanes), np.uint32)
        seen = np.zeros((words, lanes), np.bool_)
        records = writes.scratchpad
        inside = (records["address"] >= tensor.address) & (records["address"] < tensor.address + words)
        records = records[inside]
        address = records["address"].astype(np.int64) - tensor.address
        values = np.ascontiguousarray(records["data"][:, : lanes * 4]).view(np.uint32)
        for lane in range(lanes):
            chosen = (records["mask"] >> lane & 1).astype(bool)
            memory[address[chosen], lane] = values[chosen, lane]
            seen[address[chosen], lane] = True
        at = np.arange(rows)[:, None] * pitch * lanes + np.arange(width)[None, :]
        return memory.reshape(-1)[at], seen.reshape(-1)[at]

    def _activation(
        self, tensor: TensorWrite, writes: Writes
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        bits, banks = self._config.array.activation_bits, self._config.array.rows
        rows, blocks, _ = tensor.data.shape
        words = -(-rows // banks) * blocks
        records = writes.activation
        records = records[(records["address"] >= tensor.address) & (records["address"] < tensor.address + words)]
        plain = np.unpackbits(records["data"], axis=1, bitorder="little")
        q = _signed(plain[:, : BLOCK * bits].reshape(-1, BLOCK, bits))
        exponent = _signed(plain[:, BLOCK * bits : BLOCK * bits + 8])
        out_q = np.zeros((banks, words, BLOCK), np.int64)
        out_e = np.zeros((banks, words), np.int64)
        seen = np.zeros((banks, words), np.bool_)
        address = records["address"].astype(np.int64) - tensor.address
        for bank in range(banks):
            chosen = (records["banks"] >> bank & 1).astype(bool)
            out_q[bank, address[chosen]] = q[chosen]
            out_e[bank, address[chosen]] = exponent[chosen]
            seen[bank, address[chosen]] = True
        row = np.arange(rows)
        index = (row % banks)[:, None], (row // banks * blocks)[:, None] + np.arange(blocks)
        return out_q[index], out_e[index], seen[index]

    def _cache(
        self, tensor: TensorWrite, writes: Writes
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        heads, rows, blocks, _ = tensor.data.shape
        plain = np.unpackbits(writes.cache["data"], axis=1, bitorder="little")
        values, low = {}, 0
        for name, width in KEY_FIELDS.items():
            values[name] = _unsigned(plain[:, low : low + width])
            low += width
        q = _signed(plain[:, low : low + BLOCK * 8].reshape(-1, BLOCK, 8))
        exponent = _signed(plain[:, low + BLOCK * 8 : low + BLOCK * 8 + 8])
        chosen = values["value"] == (tensor.kind == "value")
        chosen &= (values["head"] < heads) & (values["row"] < rows) & (values["block"] < blocks)
        where = values["head"][chosen], values["row"][chosen], values["block"][chosen]
        out_q = np.zeros((heads, rows, blocks, BLOCK), np.int64)
        out_e = np.zeros((heads, rows, blocks), np.int64)
        seen = np.zeros((heads, rows, blocks), np.bool_)
        out_q[where], out_e[where], seen[where] = q[chosen], exponent[chosen], True
        return out_q, out_e, seen


def _unsigned(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Integers from their bits on the last axis, least significant first."""
    weights = 1 << np.arange(bits.shape[-1], dtype=np.int64)
    return bits.astype(np.int64) @ weights


def _signed(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    width = bits.shape[-1]
    return _unsigned(bits) - (bits[..., -1].astype(np.int64) << width)


def _float(bits: np.uint32) -> str:
    return f"{np.uint32(bits).view(np.float32)!r} ({int(bits):#010x})"
