"""Weights on their way in: exact widening, checks that the machine's number rules need, and block quantization."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...arch.formats import BLOCK, WEIGHT_FORMATS
from ...arch.model import BLOCK_FORMATS, Blocks, ModelConfig, WeightTensor, expected_shapes
from ..errors import ModelError

_FP16_EXPONENT = 0x7C00
_FP16_MINUS_ZERO = 0x8000


def clean_floats(file: Path, name: str, values: np.ndarray) -> np.ndarray:
    """Float32 values as the machine holds them: -0 and subnormals become +0.

    Parameters
    ----------
    values : float32 array
        A copy is made only where something changes.

    Raises
    ------
    ModelError
        A value is infinite or not a number; names the tensor and the first such index.
    """
    magnitude = np.abs(values)
    if not np.all(np.isfinite(magnitude)):
        index = np.unravel_index(int(np.argmin(np.isfinite(magnitude))), values.shape)
        where = ", ".join(str(int(i)) for i in index)
        raise ModelError(file, f"tensor {name!r} [{where}]", float(values[index]), "weights must be finite numbers")
    vanishing = (magnitude < np.finfo(np.float32).tiny) & (values.view(np.uint32) != 0)
    return np.where(vanishing, np.float32(0), values) if vanishing.any() else values


def clean_halves(file: Path, name: str, kind: str, bits: np.ndarray) -> np.ndarray:
    """Bits of fp16 scales or minimums, uint16 [rows, K / 32], with -0 made +0; subnormals stay.

    Raises
    ------
    ModelError
        A value is infinite or not a number; names the tensor and the first such block.
    """
    wrong = (bits & _FP16_EXPONENT) == _FP16_EXPONENT
    if wrong.any():
        row, block = (int(i) for i in np.unravel_index(int(np.argmax(wrong)), bits.shape))
        value = float(bits.view(np.float16)[row, block])
        raise ModelError(file, f"{kind} of tensor {name!r} [{row}, {block}]", value, "it must be a finite number")
    return np.where(bits == _FP16_MINUS_ZERO, np.uint16(0), bits)


def widen_bfloat16(bits: np.ndarray) -> np.ndarray:
    """Float32 values of bfloat16 bits (uint16); exact."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def unpack_blocks(file: Path, name: str, format: str, shape: tuple[int, int], raw: np.ndarray) -> WeightTensor:
    """GGUF blocks to structured fields.

    Parameters
    ----------
    shape : (rows, K)
        K is a multiple of 32.
    raw : uint8 [rows * K / 32 * bytes per block]
        Per block, little endian: fp16 d; for `Q4_1` fp16 m; then 32 int8, or 16 bytes whose low nibbles are elements
        0 to 15 and whose high nibbles are elements 16 to 31. Source: GGUF specification.
    """
    layout = WEIGHT_FORMATS[format]
    rows, k = shape
    blocks = raw.reshape(rows, k // BLOCK, layout.block_bytes)
    halves = np.ascontiguousarray(blocks[..., : layout.scale_bytes]).view("<u2").astype(np.uint16, copy=False)
    payload = blocks[..., layout.scale_bytes :]
    if layout.bits == 8:
        quants = np.ascontiguousarray(payload).view(np.int8)
    else:
        quants = np.empty((rows, k // BLOCK, BLOCK), np.int8)
        quants[..., : BLOCK // 2] = payload & 15
        quants[..., BLOCK // 2 :] = payload >> 4
        quants -= np.int8(layout.offset)
    mins = clean_halves(file, name, "minimum", halves[..., 1]) if layout.has_minimum else None
    scales = clean_halves(file, name, "scale", halves[..., 0])
    return WeightTensor(name, format, shape, Blocks(scales, quants.reshape(rows, k), mins))


def quantize(array: np.ndarray, format: str, name: str = "weights", file: Path = Path("<memory>")) -> WeightTensor:
    """Round a float matrix to a block format, by the rules of the GGUF reference quantizers.

    Parameters
    ----------
    array : float32 [rows, K]
        Finite. K need not be a multiple of 32: the blocks are padded with zeros, `shape` stays [rows, K]. Padding
        never changes a `Q8_0` or `Q4_0` block's scale; a padded `Q4_1` block spans zero.
    format : str
        `Q8_0`: d = max|x| / 127, q = round(x / d), halves away from zero. `Q4_0`: d = (x of largest magnitude) / -8,
        q = floor(x / d + 8.5) - 8, at most 7. `Q4_1`: m = min, d = (max - min) / 15, q = floor((x - m) / d + 0.5).
        All in float32, with x / d computed as x * (1 / d); d and m are then rounded to fp16. Source: GGUF.

    Raises
    ------
    ModelError
        Unknown format, a value that is not finite, or a scale or minimum beyond fp16.
    """
    if format not in BLOCK_FORMATS:
        raise ModelError(file, "format", format, f"supported: {', '.join(BLOCK_FORMATS)}")
    values = clean_floats(file, name, np.ascontiguousarray(array, np.float32))
    rows, k = values.shape
    x = np.zeros((rows, -(-k // BLOCK) * BLOCK), np.float32)
    x[:, :k] = values
    x = x.reshape(rows, -1, BLOCK)
    minimum = None
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        if format == "Q8_0":
            d = np.abs(x).max(axis=-1, keepdims=True) / np.float32(127)
            quants = _round_half_away(x * _reciprocal(d))
        elif format == "Q4_0":
            d = np.take_along_axis(x, np.abs(x).argmax(axis=-1, keepdims=True), axis=-1) / np.float32(-8)
            quants = np.trunc(x * _reciprocal(d) + np.float32(8.5)).clip(0, 15) - np.float32(8)
        else:
            minimum = x.min(axis=-1, keepdims=True)
            d = (x.max(axis=-1, keepdims=True) - minimum) / np.float32(15)
            quants = np.trunc((x - minimum) * _reciprocal(d) + np.float32(0.5)).clip(0, 15)
        scales = clean_halves(file, name, "scale", d[..., 0].astype(np.float16).view(np.uint16))
        mins = None
        if minimum is not None:
            mins = clean_halves(file, name, "minimum", minimum[..., 0].astype(np.float16).view(np.uint16))
    blocks = Blocks(scales, quants.astype(np.int8).reshape(rows, -1), mins)
    return WeightTensor(name, format, (rows, k), blocks)


def _reciprocal(d: np.ndarray) -> np.ndarray:
    """1 / d, and 0 where that is not a finite float32: such a block rounds to zeros, as its fp16 scale does."""
    inverse = np.float32(1) / d
    return np.where(np.isfinite(inverse), inverse, np.float32(0))


def _round_half_away(values: np.ndarray) -> np.ndarray:
    """Nearest integers, halves away from zero."""
    magnitude = np.abs(values)
    whole = np.floor(magnitude)
    whole += magnitude - whole >= np.float32(0.5)
    return np.copysign(whole, values)


def check_shapes(
    file: Path, config: ModelConfig, shapes: Mapping[str, tuple[int, ...]], names: Mapping[str, str] | None = None
) -> None:
    """Compare shapes by canonical name with the config; `names` gives the file's own names for the message.

    Raises
    ------
    ModelError
        A tensor is missing, has another shape, or has no place in the model.
    """
    names = names or {}
    expected = expected_shapes(config)
    for name, shape in expected.items():
        if name not in shapes:
            raise ModelError(file, f"tensor {name!r}", None, f"the config asks for {list(shape)}")
        if shapes[name] != shape:
            field = f"shape of tensor {names.get(name, name)!r}"
            raise ModelError(file, field, list(shapes[name]), f"the config asks for {list(shape)}")
    for name in sorted(shapes.keys() - expected.keys()):
        field = f"tensor {names.get(name, name)!r}"
        raise ModelError(file, field, list(shapes[name]), "a model with this config has no such tensor")
