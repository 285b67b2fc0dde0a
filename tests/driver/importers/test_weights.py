"""Quantization and block fields against `gguf.quants`, which is not ours, and the machine's rules for odd values."""

from pathlib import Path

import gguf
import numpy as np
import pytest

from celosia.arch.model import BLOCK_FORMATS, Blocks, WeightTensor
from celosia.driver.errors import ModelError
from celosia.driver.importers.weights import clean_floats, clean_halves, quantize, unpack_blocks, widen_bfloat16

FILE = Path("m.gguf")


def packed(tensor: WeightTensor) -> np.ndarray:
    """GGUF bytes [rows, bytes] of a quantized tensor, assembled from its fields."""
    blocks = tensor.blocks
    rows, count = blocks.scales.shape
    parts = [blocks.scales.reshape(rows, count, 1).view(np.uint8)]
    if blocks.mins is not None:
        parts.append(blocks.mins.reshape(rows, count, 1).view(np.uint8))
    quants = blocks.quants.reshape(rows, count, 32)
    if tensor.format == "Q8_0":
        parts.append(quants.view(np.uint8))
    else:
        nibbles = (quants + (8 if tensor.format == "Q4_0" else 0)).astype(np.uint8)
        parts.append(nibbles[..., :16] | nibbles[..., 16:] << 4)
    return np.concatenate(parts, axis=-1).reshape(rows, -1)


def awkward(seed: int) -> np.ndarray:
    """Rows with zeros, equal extremes, exact halves, constants, tiny and large magnitudes."""
    random = np.random.RandomState(seed)
    x = random.standard_normal((40, 96)).astype(np.float32)
    x[0] = 0
    x[1] = 3.5
    x[2] = np.repeat([1.0, -1.0], 48)
    x[3] = np.arange(96) / 2
    x[4] *= 1e-7
    x[5] *= 1e4
    x[6, :32] = -np.abs(x[6, :32])
    x[7] = np.round(x[7] * 4) / 8
    x[8] = np.arange(96) - 127.5
    return x


@pytest.mark.parametrize("format", BLOCK_FORMATS)
@pytest.mark.parametrize("seed", [0, 1])
def test_quantize_equals_gguf_bit_for_bit(format: str, seed: int) -> None:
    kind = gguf.GGMLQuantizationType[format]
    x = awkward(seed)
    tensor = quantize(x, format, "w")
    expected = gguf.quants.quantize(x, kind)
    theirs = unpack_blocks(FILE, "w", format, x.shape, expected.ravel()).blocks  # which makes a scale of -0 +0
    assert (tensor.blocks.scales == theirs.scales).all()
    assert (tensor.blocks.quants == theirs.quants).all()
    assert tensor.blocks.mins is None if theirs.mins is None else (tensor.blocks.mins == theirs.mins).all()
    assert (tensor.dequantize() == gguf.quants.dequantize(expected, kind)).all()


@pytest.mark.parametrize("format", BLOCK_FORMATS)
def test_unpack_inverts_gguf_and_dequantizes_like_it(format: str) -> None:
    kind = gguf.GGMLQuantizationType[format]
    raw = np.random.RandomState(5).randint(0, 256, (7, 3 * gguf.GGML_QUANT_SIZES[kind][1])).astype(np.uint8)
    halves = raw.reshape(7, 3, -1)[..., 1 : 4 if format == "Q4_1" else 2 : 2]
    halves &= 0xBB  # finite, subnormals among them
    raw.reshape(7, 3, -1)[0, 0, :2] = (0x01, 0x00)  # the smallest subnormal fp16
    tensor = unpack_blocks(FILE, "w", format, (7, 96), raw.ravel())
    assert (packed(tensor) == raw).all()
    values = tensor.dequantize()
    assert values.shape == (7, 96)
    assert (values == gguf.quants.dequantize(raw, kind)).all()
    assert not np.signbit(values[values == 0]).any()
    assert np.abs(values).max() > 0


@pytest.mark.parametrize("format", BLOCK_FORMATS)
@pytest.mark.parametrize("k", [1, 31, 33, 70])
def test_rows_are_padded_to_whole_blocks(format: str, k: int) -> None:
    x = np.random.RandomState(k).standard_normal((5, k)).astype(np.float32)
    tensor = quantize(x, format)
    padded = np.zeros((5, -(-k // 32) * 32), np.float32)
    padded[:, :k] = x
    whole = quantize(padded, format)
    assert tensor.shape == (5, k)
    assert tensor.k_padded == padded.shape[1]
    assert (tensor.blocks.quants == whole.blocks.quants).all()
    assert tensor.dequantize().shape == (5, k)
    assert (tensor.dequantize() == whole.dequantize()[:, :k]).all()
    step = tensor.blocks.scales.view(np.float16).astype(np.float32).__abs__().repeat(32, axis=1)[:, :k]
    assert (
        np.abs(tensor.dequantize() - x) <= step * (1.01 if format == "Q4_0" else 0.6)
    ).all()  # halves, and the scale's own rounding


@pytest.mark.parametrize("format", BLOCK_FORMATS)
def test_blocks_below_fp16_become_zero(format: str) -> None:
    x = np.full((1, 32), 3e-38, np.float32)
    x[0, 0] = -2e-38
    assert (quantize(x, format).dequantize() == 0).all()


def test_quantize_wrong() -> None:
    x = np.ones((2, 32), np.float32)
    with pytest.raises(ModelError, match=r"^m\.gguf: format is 'Q6_K': supported: Q8_0, Q4_0, Q4_1$"):
        quantize(x, "Q6_K", "w", FILE)
    x[1, 3] = np.nan
    with pytest.raises(ModelError, match=r"^m\.gguf: tensor 'w' \[1, 3\] is nan: weights must be finite numbers$"):
        quantize(x, "Q8_0", "w", FILE)
    x[1, 3] = 1e38
    with pytest.raises(ModelError, match=r"^m\.gguf: scale of tensor 'w' \[1, 0\] is inf: it must be a finite number$"):
        quantize(x, "Q8_0", "w", FILE)
    x[1, 3], x[1, 4] = 3e38, -3e38
    with pytest.raises(ModelError, match=r"^m\.gguf: scale of tensor 'w' \[1, 0\]"):
        quantize(x, "Q4_1", "w", FILE)


def test_floats_lose_minus_zero_and_subnormals_only() -> None:
    tiny = np.float32(np.finfo(np.float32).tiny)
    x = np.array([[-0.0, 1e-40, -1e-45, tiny, -tiny, 0.0, 2.5]], np.float32)
    cleaned = clean_floats(FILE, "w", x)
    assert (
        cleaned.view(np.uint32).tolist()
        == np.array([[0, 0, 0, tiny, -tiny, 0, 2.5]], np.float32).view(np.uint32).tolist()
    )


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_floats_wrong(value: float) -> None:
    x = np.zeros((3, 4), np.float32)
    x[2, 1] = value
    with pytest.raises(
        ModelError, match=r"^m\.gguf: tensor 'blk\.0\.x' \[2, 1\] is (-?inf|nan): weights must be finite"
    ):
        clean_floats(FILE, "blk.0.x", x)


@pytest.mark.parametrize("bits", [0x7C00, 0xFC00, 0x7E01])
def test_halves_wrong(bits: int) -> None:
    halves = np.zeros((2, 3), np.uint16)
    halves[1, 2] = bits
    with pytest.raises(
        ModelError, match=r"^m\.gguf: minimum of tensor 'w' \[1, 2\] is (-?inf|nan): it must be a finite"
    ):
        clean_halves(FILE, "w", "minimum", halves)


def test_halves_keep_subnormals_and_lose_minus_zero() -> None:
    halves = np.array([[0x8000, 0x0001, 0x8001, 0x7BFF]], np.uint16)
    assert clean_halves(FILE, "w", "scale", halves).tolist() == [[0, 1, 0x8001, 0x7BFF]]


def test_bfloat16_widens_exactly() -> None:
    x = np.array([1.0, -2.5, 3.0e38, 1e-38], np.float32)
    bits = (x.view(np.uint32) >> 16).astype(np.uint16)
    assert (widen_bfloat16(bits).view(np.uint32) == (x.view(np.uint32) & 0xFFFF0000)).all()


@pytest.mark.parametrize(
    ("format", "data", "message"),
    [
        ("Q5_1", np.zeros((2, 32), np.float32), r"^format is 'Q5_1': it must be one of F32, F16, Q8_0, Q4_0, Q4_1$"),
        ("Q8_0", np.zeros((2, 32), np.float32), r"^format is 'Q8_0': Blocks hold the block formats"),
        ("F32", np.zeros((2, 32), np.float64), r"^data of 'w' must be float32 \[2, 32\]$"),
        ("F32", np.zeros((2, 31), np.float32), r"^data of 'w' must be float32 \[2, 32\]$"),
        ("Q8_0", Blocks(np.zeros((2, 1), np.uint16), np.zeros((2, 33), np.int8)), r"^quants of 'w' must be int8"),
        (
            "Q8_0",
            Blocks(np.zeros((2, 1), np.int16), np.zeros((2, 32), np.int8)),
            r"^scales of 'w' must be uint16 \[2, 1\]$",
        ),
        ("Q4_1", Blocks(np.zeros((2, 1), np.uint16), np.zeros((2, 32), np.int8)), r"^mins of 'w' must be uint16"),
        (
            "Q4_0",
            Blocks(np.zeros((2, 1), np.uint16), np.zeros((2, 32), np.int8), np.zeros((2, 1), np.uint16)),
            r"^mins of 'w' must be None: Q4_0 has no minimum$",
        ),
    ],
)
def test_tensor_wrong(format: str, data: np.ndarray | Blocks, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WeightTensor("w", format, (2, 32), data)


def test_float_tensor_has_no_blocks() -> None:
    with pytest.raises(ValueError, match=r"^tensor 'w' is F32: quantize it first$"):
        _ = WeightTensor("w", "F32", (2, 32), np.zeros((2, 32), np.float32)).blocks
