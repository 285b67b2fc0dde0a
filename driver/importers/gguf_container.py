"""The GGUF container, parsed strictly: no count, length or offset is used before it is checked against the file size.

The `gguf` library's reader maps the file and trusts what it says, so it serves in the tests, where its writer makes
files and its reader confirms this one. Source: the GGUF specification, versions 2 and 3, little endian.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from ...arch.formats import BLOCK, WEIGHT_FORMATS
from ..errors import ModelError

MAGIC = b"GGUF"
VERSIONS = (2, 3)

TYPE_NAMES = {
    **{0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K"},
    **{12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S"},
    **{20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64"},
    **{29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4"},
}
"""Names of tensor types by number, the unsupported ones for error messages."""

FLOAT_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
SUPPORTED_TYPES = (*FLOAT_BYTES, *WEIGHT_FORMATS)

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_MAX_NESTING = 4
_MIN_PAIR_BYTES = 8 + 4 + 1
_MIN_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8
_MAX_ALIGNMENT = 1 << 20


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies: `shape` slowest dimension first, `start` in bytes from the beginning of the file."""

    name: str
    type: str
    shape: tuple[int, ...]
    start: int
    size: int


@dataclass(frozen=True)
class Container:
    """A parsed file: metadata values (scalars, strings, lists) and tensors, all inside the file and apart."""

    metadata: dict[str, Any]
    tensors: dict[str, TensorInfo]


class _Cursor:
    """Reads forward through `data`; nothing is read that is not there."""

    def __init__(self, file: Path, data: memoryview) -> None:
        self.file, self.data, self.at = file, data, 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, size: int, field: str) -> memoryview:
        if size > self.left:
            raise ModelError(
                self.file, field, size, f"it needs that many bytes and {self.left} are left; the file is truncated"
            )
        self.at += size
        return self.data[self.at - size : self.at]

    def scalar(self, layout: str, field: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout), field))[0]

    def count(self, layout: str, smallest: int, field: str) -> int:
        """A number of items that take at least `smallest` bytes each."""
        value = int(self.scalar(layout, field))
        if value > self.left // smallest:
            raise ModelError(self.file, field, value, f"at most {self.left // smallest} fit into the rest of the file")
        return value

    def text(self, field: str) -> str:
        size = self.count("<Q", 1, f"length of {field}")
        try:
            return str(self.take(size, field), "utf-8")
        except UnicodeDecodeError as error:
            raise ModelError(self.file, field, bytes(error.object[:32]), "it must be UTF-8 text") from None

    def value(self, kind: int, field: str, depth: int = 0) -> Any:
        if kind == _STRING:
            return self.text(field)
        if kind in _SCALARS:
            return self._scalars(kind, 1, field)[0]
        if kind != _ARRAY:
            raise ModelError(self.file, f"type of {field}", kind, "GGUF knows value types 0 to 12")
        if depth == _MAX_NESTING:
            raise ModelError(self.file, field, f"{depth + 1} nested arrays", f"at most {_MAX_NESTING} are read")
        inner = self.scalar("<I", f"element type of {field}")
        if inner in _SCALARS:
            return self._scalars(inner, self.count("<Q", struct.calcsize(_SCALARS[inner]), f"length of {field}"), field)
        smallest = 12 if inner == _ARRAY else 8
        length = self.count("<Q", smallest, f"length of {field}")
        return [self.value(inner, f"{field}[{i}]" if depth else field, depth + 1) for i in range(length)]

    def _scalars(self, kind: int, length: int, field: str) -> list[Any]:
        size = struct.calcsize(_SCALARS[kind])
        raw = self.take(size * length, field)
        if kind == 7 and any(byte > 1 for byte in raw):
            raise ModelError(self.file, field, max(raw), "a bool must be 0 or 1")
        values: list[Any] = np.frombuffer(raw, _SCALARS[kind]).tolist()
        return values


def parse(file: Path, data: memoryview) -> Container:
    """Parse a whole GGUF file.

    Parameters
    ----------
    file : Path
        For messages.
    data : memoryview of bytes
        The file; tensors stay in it.

    Raises
    ------
    ModelError
        Truncated, malformed, inconsistent, or with a tensor type outside `SUPPORTED_TYPES`.
    """
    cursor = _Cursor(file, data)
    if bytes(cursor.take(4, "magic")) != MAGIC:
        raise ModelError(file, "magic", bytes(data[:4]), f"a GGUF file begins with {MAGIC!r}")
    version = cursor.scalar("<I", "version")
    if version not in VERSIONS:
        raise ModelError(
            file, "version", version, "versions 2 and 3, little endian, are supported; convert the model again"
        )
    n_tensors = cursor.count("<Q", _MIN_TENSOR_BYTES, "tensor_count")
    n_pairs = cursor.count("<Q", _MIN_PAIR_BYTES, "kv_count")
    metadata = _metadata(cursor, n_pairs)
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= _MAX_ALIGNMENT or alignment & (alignment - 1):
        raise ModelError(file, "general.alignment", alignment, f"it must be a power of two up to {_MAX_ALIGNMENT}")
    infos = _unique(file, [_tensor_info(cursor, i) for i in range(n_tensors)])
    start = -(-cursor.at // alignment) * alignment
    return Container(metadata, _place(file, infos, start, alignment, len(data)))


def _metadata(cursor: _Cursor, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for i in range(count):
        key = cursor.text(f"key {i}")
        if key in metadata:
            raise ModelError(cursor.file, f"key {i}", key, "this key appeared before; each may appear once")
        metadata[key] = cursor.value(cursor.scalar("<I", f"type of {key}"), key)
    return metadata


def _tensor_info(cursor: _Cursor, index: int) -> TensorInfo:
    """One record, with `start` still relative to the data section."""
    name = cursor.text(f"name of tensor {index}")
    field = f"tensor {name!r}"
    n_dims = cursor.scalar("<I", f"dimension count of {field}")
    if not 1 <= n_dims <= 4:
        raise ModelError(cursor.file, f"dimension count of {field}", n_dims, "it must be 1 to 4")
    dims = [cursor.scalar("<Q", f"dimension of {field}") for _ in range(n_dims)]
    kind = cursor.scalar("<I", f"type of {field}")
    offset = cursor.scalar("<Q", f"offset of {field}")
    type_name = TYPE_NAMES.get(kind, f"number {kind}")
    if type_name not in SUPPORTED_TYPES:
        raise ModelError(cursor.file, f"type of {field}", type_name, f"supported: {', '.join(SUPPORTED_TYPES)}")
    size = 1
    for dim in dims:
        size *= dim
    if not 0 < size <= 8 * len(cursor.data):  # eight elements a byte: beyond any format
        raise ModelError(cursor.file, f"dimensions of {field}", dims, "they must be positive and fit into the file")
    if type_name in WEIGHT_FORMATS:
        if dims[0] % BLOCK:
            raise ModelError(cursor.file, f"row of {field}", dims[0], f"{type_name} rows are multiples of {BLOCK}")
        size = size // BLOCK * WEIGHT_FORMATS[type_name].block_bytes
    else:
        size *= FLOAT_BYTES[type_name]
    return TensorInfo(name, type_name, tuple(reversed(dims)), offset, size)


def _unique(file: Path, infos: list[TensorInfo]) -> list[TensorInfo]:
    seen: set[str] = set()
    for info in infos:
        if info.name in seen:
            raise ModelError(file, "tensor name", info.name, "this name appeared before; each may appear once")
        seen.add(info.name)
    return infos


def _place(file: Path, infos: list[TensorInfo], start: int, alignment: int, end: int) -> dict[str, TensorInfo]:
    """Make offsets absolute; every tensor aligned, inside the file and apart from the others."""
    placed: dict[str, TensorInfo] = {}
    for info in infos:
        if info.start % alignment:
            raise ModelError(
                file, f"offset of tensor {info.name!r}", info.start, f"it must be a multiple of {alignment}"
            )
        if start + info.start + info.size > end:
            raise ModelError(
                file,
                f"offset of tensor {info.name!r}",
                info.start,
                f"its {info.size} bytes end beyond the file's {end}; the file is truncated or damaged",
            )
        placed[info.name] = TensorInfo(info.name, info.type, info.shape, start + info.start, info.size)
    ordered = sorted(placed.values(), key=attrgetter("start"))
    for before, after in pairwise(ordered):
        if before.start + before.size > after.start:
            raise ModelError(
                file, f"offset of tensor {after.name!r}", after.start - start, f"it lies inside tensor {before.name!r}"
            )
    return placed
