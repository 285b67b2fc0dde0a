"""GGUF files of the llama family (Llama, SmolLM, SmolLM2) to the model description."""

import mmap
from pathlib import Path
from typing import Any

import numpy as np

from ...arch.model import (
    MAX_CONTEXT,
    MAX_HEADS,
    MAX_LAYERS,
    MAX_VOCABULARY,
    MAX_WIDTH,
    Model,
    ModelConfig,
    WeightTensor,
    rope_frequencies,
)
from ..errors import ModelError
from .fields import Fields, configure
from .gguf_container import Container, TensorInfo, parse
from .gguf_tokenizer import gguf_tokenizer
from .weights import check_shapes, clean_floats, unpack_blocks, widen_bfloat16

ARCHITECTURES = ("llama",)

_GLOBAL_NAMES = {"token_embd": "embedding", "output_norm": "final_norm", "output": "output"}
_LAYER_NAMES = {
    "attn_norm": "attention_norm",
    "attn_q": "wq",
    "attn_k": "wk",
    "attn_v": "wv",
    "attn_output": "wo",
    "ffn_norm": "ffn_norm",
    "ffn_gate": "w_gate",
    "ffn_up": "w_up",
    "ffn_down": "w_down",
}
_ROPE_FACTORS = "rope_freqs.weight"


def load(file: Path) -> Model:
    """Read one GGUF file.

    Raises
    ------
    ModelError
        Malformed, of another architecture, or with tensors that do not fit its own metadata.
    """
    with file.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)  # unmapped with its last view
    return _convert(file, parse(file, memoryview(mapped)), np.frombuffer(mapped, np.uint8))


def _convert(file: Path, container: Container, data: np.ndarray) -> Model:
    fields = Fields(file, container.metadata)
    fields.choice("general.architecture", ARCHITECTURES)
    factors = container.tensors.pop(_ROPE_FACTORS, None)
    names = {_canonical(file, name): name for name in container.tensors}
    config = _config(file, fields, container, set(names), factors, data)
    shapes = {name: container.tensors[own].shape for name, own in names.items()}
    check_shapes(file, config, shapes, names)
    tensors = {name: _tensor(file, name, container.tensors[own], data) for name, own in names.items()}
    return Model(config, tensors, gguf_tokenizer(file, fields, container.metadata, config))


def _canonical(file: Path, name: str) -> str:
    """`blk.3.attn_q.weight` is `layers.3.wq`."""
    parts = name.split(".")
    suffix = {"weight": "", "bias": ".bias"}.get(parts[-1])
    if suffix is not None:
        if len(parts) == 2 and parts[0] in _GLOBAL_NAMES:
            return _GLOBAL_NAMES[parts[0]] + suffix
        if len(parts) == 4 and parts[0] == "blk" and parts[1].isdecimal() and parts[2] in _LAYER_NAMES:
            return f"layers.{parts[1]}.{_LAYER_NAMES[parts[2]]}{suffix}"
    raise ModelError(file, "tensor name", name, "the llama family has no such tensor; this variant is not supported")


def _config(
    file: Path, fields: Fields, container: Container, names: set[str], factors: TensorInfo | None, data: np.ndarray
) -> ModelConfig:
    if fields.integer("llama.expert_count", 0, 1 << 16, 0):
        raise ModelError(file, "llama.expert_count", fields.integer("llama.expert_count", 0, 1 << 16), "it must be 0")
    dim = fields.integer("llama.embedding_length", 1, MAX_WIDTH)
    n_heads = fields.integer("llama.attention.head_count", 1, MAX_HEADS)
    head_dim = fields.integer("llama.attention.key_length", 8, 256, max(dim // n_heads, 1))
    for key in ("llama.attention.value_length", "llama.rope.dimension_count"):
        if fields.integer(key, 0, 1 << 16, head_dim) != head_dim:
            raise ModelError(file, key, fields.integer(key, 0, 1 << 16), f"it must be the head size, {head_dim}")
    embedding = container.tensors.get("token_embd.weight")
    if embedding is None:
        raise ModelError(file, "tensor 'token_embd.weight'", None, "a model has an embedding; convert it again")
    theta = fields.number("llama.rope.freq_base", 1, 1e12, 10000.0)
    vocab_size = fields.integer("llama.vocab_size", 1, MAX_VOCABULARY, embedding.shape[0])
    bos = fields.ids("tokenizer.ggml.bos_token_id", vocab_size)
    return configure(
        file,
        name=fields.text("general.name", file.stem),
        dim=dim,
        hidden_dim=fields.integer("llama.feed_forward_length", 1, MAX_WIDTH),
        n_layers=fields.integer("llama.block_count", 1, MAX_LAYERS),
        n_heads=n_heads,
        n_kv_heads=fields.integer("llama.attention.head_count_kv", 1, MAX_HEADS, n_heads),
        head_dim=head_dim,
        vocab_size=vocab_size,
        context_length=fields.integer("llama.context_length", 1, MAX_CONTEXT),
        norm_eps=fields.number("llama.attention.layer_norm_rms_epsilon", 0, 1, 1e-5),
        rope_theta=theta,
        rope_pairing="neighbour",
        rope_frequencies=_frequencies(file, fields, rope_frequencies(head_dim, theta), factors, data),
        tied_embeddings="output" not in names,
        qkv_bias="layers.0.wq.bias" in names,
        attention_output_bias="layers.0.wo.bias" in names,
        mlp_bias="layers.0.w_up.bias" in names,
        bos_id=bos[0] if bos else None,
        eos_ids=fields.ids("tokenizer.ggml.eos_token_id", vocab_size),
        chat_template=fields.optional_text("tokenizer.chat_template"),
    )


def _frequencies(
    file: Path, fields: Fields, plain: tuple[float, ...], factors: TensorInfo | None, data: np.ndarray
) -> tuple[float, ...]:
    """Rotary frequencies with the file's scaling folded in: a factor for all, or a tensor of one divisor per pair."""
    if fields.choice("llama.rope.scaling.type", ("none", "linear"), "none") == "linear":
        factor = fields.number("llama.rope.scaling.factor", 1, 1e6)
        plain = tuple(frequency / factor for frequency in plain)
    if factors is None:
        return plain
    if factors.shape != (len(plain),) or factors.type != "F32":
        raise ModelError(
            file, f"tensor {_ROPE_FACTORS!r}", [factors.type, *factors.shape], f"it must be F32 [{len(plain)}]"
        )
    divisors = clean_floats(file, _ROPE_FACTORS, _raw(factors, data).view("<f4"))
    if not np.all((divisors >= 1e-3) & (divisors <= 1e6)):
        raise ModelError(file, f"tensor {_ROPE_FACTORS!r}", float(divisors.min()), "divisors must be 0.001 to 1e6")
    return tuple(frequency / float(divisor) for frequency, divisor in zip(plain, divisors, strict=True))


def _raw(info: TensorInfo, data: np.ndarray) -> np.ndarray:
    """The tensor's bytes, copied: the file is closed after import, and need not be aligned."""
    return data[info.start : info.start + info.size].copy()


def _tensor(file: Path, name: str, info: TensorInfo, data: np.ndarray) -> WeightTensor:
    raw = _raw(info, data)
    values: Any
    if info.type == "F32":
        values = raw.view("<f4").astype(np.float32, copy=False)
    elif info.type == "F16":
        values = raw.view("<f2").astype(np.float32)
    elif info.type == "BF16":
        values = widen_bfloat16(raw.view("<u2"))
    elif len(info.shape) == 2:
        return unpack_blocks(file, info.name, info.type, (info.shape[0], info.shape[1]), raw)
    else:
        raise ModelError(file, f"type of tensor {info.name!r}", info.type, "vectors must be F32, F16 or BF16")
    values = clean_floats(file, info.name, values.reshape(info.shape))
    return WeightTensor(name, "F16" if info.type == "F16" else "F32", info.shape, values)
