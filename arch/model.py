"""What a language model is, as plain data: shapes, switches and weight tensors under canonical names.

Importers produce a `Model`, the float reference reads it, the compiler packs it. Nothing here knows a file format.

Canonical tensor names, with their shapes (rows are outputs, columns are inputs, as in y = W x)::

    embedding                  [vocab_size, dim]
    layers.{i}.attention_norm  [dim]
    layers.{i}.wq              [n_heads * head_dim, dim]
    layers.{i}.wk, .wv         [n_kv_heads * head_dim, dim]
    layers.{i}.wo              [dim, n_heads * head_dim]
    layers.{i}.ffn_norm        [dim]
    layers.{i}.w_gate          [hidden_dim, dim]            (gated activations only)
    layers.{i}.w_up            [hidden_dim, dim]
    layers.{i}.w_down          [dim, hidden_dim]
    final_norm                 [dim]
    output                     [vocab_size, dim]            (absent when the embedding is tied)

A bias is named after its weight or norm with `.bias` appended; LayerNorm always has one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .formats import BLOCK, WEIGHT_FORMATS

FLOAT_FORMATS = ("F32", "F16")
BLOCK_FORMATS = tuple(WEIGHT_FORMATS)
TENSOR_FORMATS = FLOAT_FORMATS + BLOCK_FORMATS

NORMS = ("rms", "layer")
ACTIVATIONS = ("silu_gated", "gelu_gated", "gelu")
ROPE_PAIRINGS = ("neighbour", "half")

MAX_LAYERS = 1024
MAX_CONTEXT = 1 << 24
MAX_VOCABULARY = 1 << 24
MAX_WIDTH = 1 << 20
MAX_HEADS = 1 << 16
HEAD_SIZES = (8, 256)


class FieldError(ValueError):
    """A field of a description is out of range: `field`, its `value`, and the `rule` it breaks."""

    def __init__(self, field: str, value: object, rule: str) -> None:
        super().__init__(field, value, rule)
        self.field, self.value, self.rule = field, value, rule

    def __str__(self) -> str:
        return f"{self.field} is {self.value!r}: {self.rule}"


class Tokenizer(Protocol):
    """Text to token ids and back."""

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, with the leading tokens that the model expects."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`; control tokens give no text."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Shape and switches of one model.

    Parameters
    ----------
    name : str
        For people; never interpreted.
    architecture : str
        Family, `"llama"`.
    dim, hidden_dim : int
        Width of the residual stream and of the feed-forward layer, in elements. Any size, not only multiples of 32.
    n_layers, n_heads, n_kv_heads, head_dim : int
        `n_heads` is a multiple of `n_kv_heads`; `head_dim` is even, 8 to 256, and need not be dim / n_heads.
    vocab_size, context_length : int
        Tokens; positions the model was made for.
    norm : str
        `"rms"` or `"layer"` (mean removed, with bias).
    norm_eps : float
        Added to the mean square before the square root.
    activation : str
        `"silu_gated"`: silu(gate) * up. `"gelu_gated"`: gelu(gate) * up. `"gelu"`: gelu(up), no gate.
        GELU is the exact one, x times the Gaussian cumulative distribution.
    rope_theta : float
        Base of the rotary frequencies, for people; `rope_frequencies` is what counts.
    rope_pairing : str
        Which elements of a head, as its rows are stored, rotate together: `"neighbour"` (2i, 2i + 1) or `"half"`
        (i, i + head_dim / 2).
    rope_frequencies : tuple of float
        Radians per position of each of the head_dim / 2 pairs, all scalings folded in.
    tied_embeddings : bool
        The output matrix is the embedding.
    qkv_bias, attention_output_bias, mlp_bias : bool
        Which linear layers have a bias.
    bos_id : int or None
        Token that begins a text.
    eos_ids : tuple of int
        Tokens that end one.
    chat_template : str or None
        Jinja text from the model file, not rendered here.

    Raises
    ------
    FieldError
        A field out of range.
    """

    name: str
    architecture: str = "llama"
    dim: int
    hidden_dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    vocab_size: int
    context_length: int
    norm: str = "rms"
    norm_eps: float = 1e-5
    activation: str = "silu_gated"
    rope_theta: float = 10000.0
    rope_pairing: str = "half"
    rope_frequencies: tuple[float, ...]
    tied_embeddings: bool = False
    qkv_bias: bool = False
    attention_output_bias: bool = False
    mlp_bias: bool = False
    bos_id: int | None = None
    eos_ids: tuple[int, ...] = ()
    chat_template: str | None = None

    def __post_init__(self) -> None:
        for field, low, high in (
            ("dim", 1, MAX_WIDTH),
            ("hidden_dim", 1, MAX_WIDTH),
            ("n_layers", 1, MAX_LAYERS),
            ("n_heads", 1, MAX_HEADS),
            ("n_kv_heads", 1, MAX_HEADS),
            ("head_dim", *HEAD_SIZES),
            ("vocab_size", 1, MAX_VOCABULARY),
            ("context_length", 1, MAX_CONTEXT),
        ):
            value = getattr(self, field)
            if not low <= value <= high:
                raise FieldError(field, value, f"it must be {low} to {high}")
        for field, choices in (("norm", NORMS), ("activation", ACTIVATIONS), ("rope_pairing", ROPE_PAIRINGS)):
            value = getattr(self, field)
            if value not in choices:
                raise FieldError(field, value, f"it must be one of {', '.join(choices)}")
        if self.head_dim % 2:
            raise FieldError("head_dim", self.head_dim, "it must be even, rope rotates pairs")
        if self.n_heads % self.n_kv_heads:
            raise FieldError("n_kv_heads", self.n_kv_heads, f"it must divide n_heads, {self.n_heads}")
        if not 0 <= self.norm_eps < 1:
            raise FieldError("norm_eps", self.norm_eps, "it must be at least 0 and below 1")
        self._check_rope()
        self._check_ids()

    def _check_rope(self) -> None:
        if not (math.isfinite(self.rope_theta) and self.rope_theta > 0):
            raise FieldError("rope_theta", self.rope_theta, "it must be positive and finite")
        if len(self.rope_frequencies) != self.head_dim // 2:
            rule = f"it must be head_dim / 2, {self.head_dim // 2}"
            raise FieldError("length of rope_frequencies", len(self.rope_frequencies), rule)
        for frequency in self.rope_frequencies:
            if not 0 <= frequency <= math.tau:
                raise FieldError("rope_frequencies", frequency, "it must be 0 to 2 pi radians a position")

    def _check_ids(self) -> None:
        for field, ids in (("bos_id", () if self.bos_id is None else (self.bos_id,)), ("eos_ids", self.eos_ids)):
            for value in ids:
                if not 0 <= value < self.vocab_size:
                    raise FieldError(field, value, f"it must be 0 to {self.vocab_size - 1}, a token id")

    @property
    def gated(self) -> bool:
        """Whether the feed-forward layer has a gate."""
        return self.activation != "gelu"

    @property
    def group_size(self) -> int:
        """Query heads that share one key and value head."""
        return self.n_heads // self.n_kv_heads


@dataclass(frozen=True, eq=False)
class Blocks:
    """A matrix in block-scaled integers, K rounded up to whole blocks: padding meets zero activations only.

    Parameters
    ----------
    scales : uint16 [rows, k_padded / 32]
        Bits of the fp16 scale d. Finite.
    quants : int8 [rows, k_padded]
        Integers q, in the range of the format.
    mins : uint16 [rows, k_padded / 32] or None
        Bits of the fp16 offset m, `Q4_1` only. Finite.
    """

    scales: np.ndarray
    quants: np.ndarray
    mins: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class WeightTensor:
    """One weight, as the file gives it: no rounding has happened.

    Parameters
    ----------
    name : str
        Canonical name.
    format : str
        One of `TENSOR_FORMATS`. `"F16"` data is widened to float32, which is exact (so is BF16, then called `"F32"`).
    shape : tuple of int
        [rows, K], or [n] for norms and biases. Without padding.
    data : float32 array of `shape`, or Blocks
        Finite, no -0, no subnormals.

    Raises
    ------
    ValueError
        Format, shape and data do not belong together.
    """

    name: str
    format: str
    shape: tuple[int, ...]
    data: np.ndarray | Blocks

    def __post_init__(self) -> None:
        if self.format not in TENSOR_FORMATS:
            raise FieldError("format", self.format, f"it must be one of {', '.join(TENSOR_FORMATS)}")
        if isinstance(self.data, Blocks) != (self.format in BLOCK_FORMATS):
            raise FieldError("format", self.format, "Blocks hold the block formats and float32 arrays the others")
        if isinstance(self.data, Blocks):
            self._check_blocks(self.data)
        elif self.data.shape != self.shape or self.data.dtype != np.float32:
            raise ValueError(f"data of {self.name!r} must be float32 {list(self.shape)}")

    def _check_blocks(self, blocks: Blocks) -> None:
        rows, per_row = self.shape[0], self.k_padded // BLOCK
        expected: dict[str, tuple[tuple[int, int], type]] = {
            "quants": ((rows, self.k_padded), np.int8),
            "scales": ((rows, per_row), np.uint16),
        }
        if WEIGHT_FORMATS[self.format].has_minimum:
            expected["mins"] = expected["scales"]
        elif blocks.mins is not None:
            raise ValueError(f"mins of {self.name!r} must be None: {self.format} has no minimum")
        for field, (shape, dtype) in expected.items():
            array = getattr(blocks, field)
            if array is None or array.shape != shape or array.dtype != dtype:
                raise ValueError(f"{field} of {self.name!r} must be {np.dtype(dtype).name} {list(shape)}")

    @property
    def k_padded(self) -> int:
        """Elements of a row after padding to whole blocks."""
        return -(-self.shape[-1] // BLOCK) * BLOCK

    @property
    def blocks(self) -> Blocks:
        """The block data of a quantized tensor.

        Raises
        ------
        ValueError
            The tensor is floating point.
        """
        if not isinstance(self.data, Blocks):
            raise ValueError(f"tensor {self.name!r} is {self.format}: quantize it first")
        return self.data

    def dequantize(self) -> np.ndarray:
        """Values as float32 of `shape`: d * q (exact), for `Q4_1` rne32(d * q + m). No -0."""
        if not isinstance(self.data, Blocks):
            return self.data
        rows = self.shape[0]
        quants = self.data.quants.reshape(rows, -1, BLOCK)
        values = quants.astype(np.float32)
        values *= self.data.scales.view(np.float16).astype(np.float32)[:, :, None]
        if self.data.mins is not None:
            values += self.data.mins.view(np.float16).astype(np.float32)[:, :, None]
        values += np.float32(0)  # a negative scale times 0 is -0, which the machine does not have
        return values.reshape(rows, -1)[:, : self.shape[1]]


@dataclass(frozen=True, eq=False)
class Model:
    """A model as imported: what it is, its weights by canonical name, its tokenizer (None: token ids only)."""

    config: ModelConfig
    tensors: Mapping[str, WeightTensor]
    tokenizer: Tokenizer | None = None

    @property
    def output(self) -> WeightTensor:
        """The matrix that makes logits: `output`, or the embedding it is tied to."""
        return self.tensors["embedding" if self.config.tied_embeddings else "output"]


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor that a model of this config has, by canonical name, with its shape."""
    dim, hidden = config.dim, config.hidden_dim
    q_dim, kv_dim = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    shapes: dict[str, tuple[int, ...]] = {"embedding": (config.vocab_size, dim)}
    norms = [f"layers.{i}.{norm}" for i in range(config.n_layers) for norm in ("attention_norm", "ffn_norm")]
    for norm in [*norms, "final_norm"]:
        shapes[norm] = (dim,)
        if config.norm == "layer":
            shapes[f"{norm}.bias"] = (dim,)
    linears = {
        "wq": ((q_dim, dim), config.qkv_bias),
        "wk": ((kv_dim, dim), config.qkv_bias),
        "wv": ((kv_dim, dim), config.qkv_bias),
        "wo": ((dim, q_dim), config.attention_output_bias),
        "w_gate": ((hidden, dim), config.mlp_bias),
        "w_up": ((hidden, dim), config.mlp_bias),
        "w_down": ((dim, hidden), config.mlp_bias),
    }
    if not config.gated:
        del linears["w_gate"]
    for i in range(config.n_layers):
        for linear, (shape, bias) in linears.items():
            shapes[f"layers.{i}.{linear}"] = shape
            if bias:
                shapes[f"layers.{i}.{linear}.bias"] = shape[:1]
    if not config.tied_embeddings:
        shapes["output"] = (config.vocab_size, dim)
    return shapes


def rope_frequencies(head_dim: int, theta: float) -> tuple[float, ...]:
    """Unscaled rotary frequencies theta ** (-2 i / head_dim), in radians per position, for i in 0 .. head_dim / 2."""
    return tuple(float(theta) ** (-2 * i / head_dim) for i in range(head_dim // 2))
