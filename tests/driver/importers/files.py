"""Tiny model files of every kind, written by libraries that are not ours or by hand."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import safetensors.numpy

DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, VOCABULARY, CONTEXT = 64, 96, 2, 4, 2, 16, 300, 128

_ONE_LAYER = {
    "attention_norm": (DIM,),
    "wq": (HEADS * HEAD_DIM, DIM),
    "wk": (KV_HEADS * HEAD_DIM, DIM),
    "wv": (KV_HEADS * HEAD_DIM, DIM),
    "wo": (DIM, HEADS * HEAD_DIM),
    "ffn_norm": (DIM,),
    "w_gate": (HIDDEN, DIM),
    "w_up": (HIDDEN, DIM),
    "w_down": (DIM, HIDDEN),
}

GGUF_LAYER = dict(
    zip(
        _ONE_LAYER,
        ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"),
        strict=True,
    )
)
HUGGINGFACE_LAYER = {
    "attention_norm": "input_layernorm",
    "wq": "self_attn.q_proj",
    "wk": "self_attn.k_proj",
    "wv": "self_attn.v_proj",
    "wo": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "w_gate": "mlp.gate_proj",
    "w_up": "mlp.up_proj",
    "w_down": "mlp.down_proj",
}


def weights(seed: int = 0, vocabulary: int = VOCABULARY) -> dict[str, np.ndarray]:
    """Float32 weights under canonical names, untied."""
    random = np.random.RandomState(seed)
    shapes = {"embedding": (vocabulary, DIM)}
    for i in range(LAYERS):
        shapes |= {f"layers.{i}.{name}": shape for name, shape in _ONE_LAYER.items()}
    shapes |= {"final_norm": (DIM,), "output": (vocabulary, DIM)}
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def gguf_name(name: str) -> str:
    """The name that GGUF gives a weight."""
    if name.startswith("layers."):
        _, i, kind = name.split(".")
        return f"blk.{i}.{GGUF_LAYER[kind]}.weight"
    return {"embedding": "token_embd", "final_norm": "output_norm", "output": "output"}[name] + ".weight"


def huggingface_name(name: str) -> str:
    """The name that Hugging Face gives a weight."""
    if name.startswith("layers."):
        _, i, kind = name.split(".")
        return f"model.layers.{i}.{HUGGINGFACE_LAYER[kind]}.weight"
    return {"embedding": "model.embed_tokens", "final_norm": "model.norm", "output": "lm_head"}[name] + ".weight"


def gguf_type(name: str, type_name: str) -> gguf.GGMLQuantizationType:
    """Norms stay F32, as in real files."""
    return gguf.GGMLQuantizationType["F32" if "norm" in name else type_name]


def write_gguf(
    file: Path,
    type_name: str = "Q8_0",
    *,
    tied: bool = False,
    seed: int = 0,
    architecture: str = "llama",
    extra: dict[str, np.ndarray] | None = None,
    tokenizer: str | None = None,
    add_tokenizer: Callable[[gguf.GGUFWriter], None] | None = None,
    metadata: dict[str, int | float | str] | None = None,
) -> dict[str, np.ndarray]:
    """Write a model with `gguf`'s writer; returns the float weights before quantization."""
    values = weights(seed)
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(DIM)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(50000.0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for key, value in (metadata or {}).items():
        add = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}[type(value)]
        add(key, value)
    if add_tokenizer is not None:
        add_tokenizer(writer)
    elif tokenizer == "gpt2":
        add_byte_level_tokenizer(writer)
    elif tokenizer == "llama":
        add_scored_tokenizer(writer)
    for name, array in values.items():
        if not (tied and name == "output"):
            kind = gguf_type(name, type_name)
            writer.add_tensor(gguf_name(name), gguf.quants.quantize(array, kind), raw_dtype=kind)
    for name, array in (extra or {}).items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return values


def byte_alphabet() -> list[str]:
    """The printable character that stands for each byte in byte-level vocabularies (GPT-2's rule)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) if byte in plain else chr(256 + others.index(byte)) for byte in range(256)]


def byte_level_vocabulary() -> tuple[list[str], list[str]]:
    """Tokens and merges: three control tokens, all bytes, a few merges, then fillers."""
    merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "Ġw o", "Ġ hello", "1 2", "o r", "Ġwo r"]
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *byte_alphabet(), *(m.replace(" ", "") for m in merges)]
    return tokens + [f"<filler{i}>" for i in range(VOCABULARY - len(tokens))], merges


def add_byte_level_tokenizer(writer: gguf.GGUFWriter, split: str = "smollm") -> None:
    tokens, merges = byte_level_vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split)
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(merges)


SCORED = [("▁", -1.0), ("▁he", -2.0), ("he", -2.5), ("ll", -3.0), ("llo", -3.5), ("▁hello", -4.0), ("é", -5.0)]


def add_scored_tokenizer(writer: gguf.GGUFWriter) -> None:
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *((f"<0x{byte:02X}>", 0.0) for byte in range(256))]
    pieces += [*SCORED, *((letter, -10.0) for letter in "hel")]
    types = [2, 3, 3] + [6] * 256 + [1] * (VOCABULARY - 259)
    pieces += [(f"<filler{i}>", -100.0) for i in range(VOCABULARY - len(pieces))]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([piece for piece, _ in pieces])
    writer.add_token_scores([score for _, score in pieces])
    writer.add_token_types(types)


CONFIG: dict[str, object] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": DIM,
    "intermediate_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-5,
    "rope_theta": 50000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": [2, 0],
}


def write_huggingface(
    folder: Path, *, shards: int = 1, dtype: str = "float32", **changes: object
) -> dict[str, np.ndarray]:
    """Write config.json (with `changes`; None removes a key) and safetensors; returns the float32 weights."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {key: value for key, value in {**CONFIG, **changes}.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    values = weights()
    named = {huggingface_name(name): array.astype(dtype) for name, array in values.items()}
    if shards == 1:
        safetensors.numpy.save_file(named, folder / "model.safetensors")
        return values
    weight_map = {name: f"model-{1 + i % shards}-of-{shards}.safetensors" for i, name in enumerate(named)}
    for shard in sorted(set(weight_map.values())):
        part = {name: array for name, array in named.items() if weight_map[name] == shard}
        safetensors.numpy.save_file(part, folder / shard)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return values


_LLAMA2C_ORDER = ("wq", "wk", "wv", "wo", "w_gate", "w_down", "w_up")


def write_llama2c(file: Path, version: int = 0, *, tied: bool = True) -> dict[str, np.ndarray]:
    """Write a llama2.c checkpoint; version 2 holds groups of 64. Returns the weights, version 2's before rounding."""
    values = weights()
    layers = {kind: [values[f"layers.{i}.{kind}"] for i in range(LAYERS)] for kind in _ONE_LAYER}
    header = [DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, VOCABULARY, CONTEXT]
    if version == 0:
        arrays = [values["embedding"], *layers["attention_norm"]]
        arrays += [array for kind in _LLAMA2C_ORDER[:4] for array in layers[kind]] + layers["ffn_norm"]
        arrays += [array for kind in _LLAMA2C_ORDER[4:] for array in layers[kind]] + [values["final_norm"]]
        arrays.append(np.full((2, CONTEXT, HEAD_DIM // 2), 7, np.float32))  # cosines and sines, which nobody reads
        header[5] = VOCABULARY if tied else -VOCABULARY
        head = struct.pack("<7i", *header)
    else:
        head = struct.pack("<Ii7iBi", 0x616B3432, version, *header, tied, 64 if version == 2 else 0).ljust(256, b"\0")
        norms = [*layers["attention_norm"], *layers["ffn_norm"], values["final_norm"]]
        matrices = [values["embedding"], *(array for kind in _LLAMA2C_ORDER for array in layers[kind])]
        arrays = norms + matrices
    arrays += [] if tied else [values["output"]]
    if version != 2:
        file.write_bytes(head + b"".join(array.tobytes() for array in arrays))
        return values
    matrices += [] if tied else [values["output"]]
    body = b"".join(array.tobytes() for array in norms)
    for matrix in matrices:
        groups = matrix.reshape(-1, 64)
        scales = (np.abs(groups).max(axis=1) / 127).astype(np.float32)
        body += np.round(groups / scales[:, None]).astype(np.int8).tobytes() + scales.tobytes()
    file.write_bytes(head + body)
    return values


def write_llama2c_tokenizer(file: Path, pieces: list[tuple[bytes, float]]) -> None:
    """Write a tokenizer.bin; ids 0 to 2 are control tokens, 3 to 258 bytes, then `pieces`."""
    table = [(b"<unk>", 0.0), (b"\n<s>\n", 0.0), (b"\n</s>\n", 0.0)]
    table += [(f"<0x{byte:02X}>".encode(), 0.0) for byte in range(256)] + pieces
    records = b"".join(struct.pack("<fi", score, len(piece)) + piece for piece, score in table)
    file.write_bytes(struct.pack("<i", max(len(piece) for piece, _ in table)) + records)
