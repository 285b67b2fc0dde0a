"""Hugging Face folders of the llama family: config.json, safetensors (whole or in shards), tokenizer.json."""

import json
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from ...arch.model import (
    MAX_CONTEXT,
    MAX_HEADS,
    MAX_LAYERS,
    MAX_VOCABULARY,
    MAX_WIDTH,
    Model,
    ModelConfig,
    Tokenizer,
    WeightTensor,
    rope_frequencies,
)
from ..errors import ModelError
from ..tokenizer import ByteTokenizer, load_tokenizer_json
from .fields import Fields, configure, scaled_frequencies
from .weights import check_shapes, clean_floats, widen_bfloat16

MODEL_TYPES = ("llama",)
DTYPES = ("F32", "F16", "BF16")

_ACTIVATIONS = {"silu": "silu_gated", "swish": "silu_gated", "gelu": "gelu_gated"}
_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_LARGEST_JSON = 64 << 20
_BYTE_VOCABULARY = range(256, 260)

_GLOBAL_NAMES = {"model.embed_tokens": "embedding", "model.norm": "final_norm", "lm_head": "output"}
_LAYER_NAMES = {
    "input_layernorm": "attention_norm",
    "self_attn.q_proj": "wq",
    "self_attn.k_proj": "wk",
    "self_attn.v_proj": "wv",
    "self_attn.o_proj": "wo",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "w_gate",
    "mlp.up_proj": "w_up",
    "mlp.down_proj": "w_down",
}


def load(folder: Path) -> Model:
    """Read one model folder.

    Raises
    ------
    ModelError
        A file is missing or malformed, the architecture is another, or tensors do not fit config.json.
    """
    fields = Fields(folder / "config.json", _read_json(folder / "config.json"))
    config = _config(folder, fields)
    tensors: dict[str, WeightTensor] = {}
    names: dict[str, str] = {}
    for file, expected in _weight_files(folder):
        for own, dtype, shape, data in _read_safetensors(file, expected):
            name = _canonical(file, own)
            if name is None or (name == "output" and config.tied_embeddings):
                continue
            if name in tensors:
                raise ModelError(file, "tensor name", own, "another file of this folder has it too")
            tensors[name], names[name] = _tensor(file, name, own, dtype, shape, data), own
    check_shapes(folder, config, {name: tensor.shape for name, tensor in tensors.items()}, names)
    return Model(config, tensors, _tokenizer(folder, config))


def _read_json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise ModelError(file, "file", None, "the model needs it; fetch or copy the whole folder")
    if file.stat().st_size > _LARGEST_JSON:
        raise ModelError(file, "size", file.stat().st_size, f"at most {_LARGEST_JSON} bytes are read")
    try:
        value = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(file, "contents", str(error), "it must be JSON") from None
    if not isinstance(value, dict):
        raise ModelError(file, "contents", value, "it must be a JSON object")
    return value


def _config(folder: Path, fields: Fields) -> ModelConfig:
    file = fields.file
    fields.choice("model_type", MODEL_TYPES)
    if "quantization_config" in fields:
        raise ModelError(file, "quantization_config", "present", "give the unquantized model, or a GGUF file")
    dim = fields.integer("hidden_size", 1, MAX_WIDTH)
    n_heads = fields.integer("num_attention_heads", 1, MAX_HEADS)
    head_dim = fields.integer("head_dim", 8, 256, dim // n_heads)
    vocab_size = fields.integer("vocab_size", 1, MAX_VOCABULARY)
    context = fields.integer("max_position_embeddings", 1, MAX_CONTEXT, 2048)
    # rope_parameters is what newer releases write: it holds the base as well as the scaling.
    parameters = fields.mapping("rope_parameters") if "rope_parameters" in fields else fields.mapping("rope_scaling")
    theta_from = parameters if "rope_theta" in parameters else fields
    theta = theta_from.number("rope_theta", 1, 1e12, 10000.0)
    bias = fields.flag("attention_bias", False)
    bos = fields.ids("bos_token_id", vocab_size)
    return configure(
        file,
        name=folder.resolve().name,
        dim=dim,
        hidden_dim=fields.integer("intermediate_size", 1, MAX_WIDTH),
        n_layers=fields.integer("num_hidden_layers", 1, MAX_LAYERS),
        n_heads=n_heads,
        n_kv_heads=fields.integer("num_key_value_heads", 1, MAX_HEADS, n_heads),
        head_dim=head_dim,
        vocab_size=vocab_size,
        context_length=context,
        norm_eps=fields.number("rms_norm_eps", 0, 1, 1e-6),
        activation=_ACTIVATIONS[fields.choice("hidden_act", tuple(_ACTIVATIONS), "silu")],
        rope_theta=theta,
        rope_pairing="half",
        rope_frequencies=scaled_frequencies(parameters, rope_frequencies(head_dim, theta), context),
        tied_embeddings=fields.flag("tie_word_embeddings", False),
        qkv_bias=bias,
        attention_output_bias=bias,
        mlp_bias=fields.flag("mlp_bias", False),
        bos_id=bos[0] if bos else None,
        eos_ids=fields.ids("eos_token_id", vocab_size),
        chat_template=_chat_template(folder),
    )


def _chat_template(folder: Path) -> str | None:
    """From chat_template.jinja, or from tokenizer_config.json, where several may carry names."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        try:
            return file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ModelError(file, "contents", str(error), "it must be UTF-8 text") from None
    file = folder / "tokenizer_config.json"
    if not file.is_file():
        return None
    value = _read_json(file).get("chat_template")
    if isinstance(value, list):
        named = [entry for entry in value if isinstance(entry, dict) and entry.get("name") == "default"]
        value = named[0].get("template") if named else None
    return Fields(file, {"chat_template": value}).optional_text("chat_template")


def _weight_files(folder: Path) -> list[tuple[Path, set[str] | None]]:
    """The safetensors files, each with the tensor names that the index says it has."""
    if (folder / _INDEX).is_file():
        weight_map = _read_json(folder / _INDEX).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise ModelError(folder / _INDEX, "weight_map", weight_map, "it must map tensor names to file names")
        shards: dict[str, set[str]] = {}
        for name, shard in weight_map.items():
            # A shard is a plain name: a path could lead out of the folder.
            if not isinstance(shard, str) or not shard.endswith(".safetensors") or Path(shard).name != shard:
                raise ModelError(
                    folder / _INDEX, f"weight_map[{name!r}]", shard, "it must name a .safetensors file here"
                )
            shards.setdefault(shard, set()).add(name)
        return [(folder / shard, names) for shard, names in sorted(shards.items())]
    if (folder / _SINGLE).is_file():
        return [(folder / _SINGLE, None)]
    pickles = sorted(file.name for file in folder.glob("*.bin"))
    if pickles:
        raise ModelError(
            folder, "weights", pickles[0], "pickle files can run code and are not read; convert to safetensors"
        )
    raise ModelError(folder, "weights", None, f"the folder must hold {_SINGLE} or {_INDEX}")


def _read_safetensors(file: Path, expected: set[str] | None) -> list[tuple[str, str, tuple[int, ...], bytearray]]:
    """Name, dtype, shape and bytes of every tensor; the library checks offsets and sizes."""
    if not file.is_file():
        raise ModelError(file, "file", None, "the model needs it; fetch or copy the whole folder")
    try:
        entries = safetensors.deserialize(file.read_bytes())
    except (safetensors.SafetensorError, ValueError) as error:
        raise ModelError(file, "contents", str(error), "it must be a whole safetensors file") from None
    entries.sort(key=itemgetter(0))  # the library's order changes from run to run
    names = {name for name, _ in entries}
    if expected is not None and names != expected:
        raise ModelError(file, "tensor names", sorted(names ^ expected)[0], "the index and this file disagree about it")
    return [(name, entry["dtype"], tuple(entry["shape"]), entry["data"]) for name, entry in entries]


def _canonical(file: Path, name: str) -> str | None:
    """`model.layers.3.self_attn.q_proj.weight` is `layers.3.wq`; None for buffers that are not weights."""
    stem, _, last = name.rpartition(".")
    if name.endswith("rotary_emb.inv_freq"):
        return None
    suffix = {"weight": "", "bias": ".bias"}.get(last)
    if suffix is not None:
        if stem in _GLOBAL_NAMES:
            return _GLOBAL_NAMES[stem] + suffix
        parts = stem.split(".", 3)
        if parts[:2] == ["model", "layers"] and len(parts) == 4 and parts[2].isdecimal() and parts[3] in _LAYER_NAMES:
            return f"layers.{parts[2]}.{_LAYER_NAMES[parts[3]]}{suffix}"
    raise ModelError(file, "tensor name", name, "the llama family has no such tensor; this variant is not supported")


def _tensor(file: Path, name: str, own: str, dtype: str, shape: tuple[int, ...], data: bytearray) -> WeightTensor:
    if dtype not in DTYPES:
        raise ModelError(file, f"type of tensor {own!r}", dtype, f"supported: {', '.join(DTYPES)}")
    if dtype == "F32":
        values = np.frombuffer(data, "<f4").astype(np.float32, copy=False)
    elif dtype == "F16":
        values = np.frombuffer(data, "<f2").astype(np.float32)
    else:
        values = widen_bfloat16(np.frombuffer(data, "<u2"))
    values = clean_floats(file, own, values.reshape(shape))
    return WeightTensor(name, "F16" if dtype == "F16" else "F32", shape, values)


def _tokenizer(folder: Path, config: ModelConfig) -> Tokenizer | None:
    file = folder / "tokenizer.json"
    if file.is_file():
        return load_tokenizer_json(file, config.vocab_size)
    return ByteTokenizer() if config.vocab_size in _BYTE_VOCABULARY else None
