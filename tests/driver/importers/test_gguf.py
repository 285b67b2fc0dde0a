"""GGUF import against files that the `gguf` library writes and reads."""

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from celosia.arch.model import expected_shapes, rope_frequencies
from celosia.driver.errors import ModelError
from celosia.driver.importers import load_model
from celosia.driver.importers.gguf_container import SUPPORTED_TYPES, TYPE_NAMES, parse

from . import files


@pytest.mark.parametrize("type_name", SUPPORTED_TYPES)
@pytest.mark.parametrize("tied", [False, True])
def test_every_format_imports_as_stored(tmp_path: Path, type_name: str, tied: bool) -> None:
    values = files.write_gguf(tmp_path / "m.gguf", type_name, tied=tied)
    model = load_model(tmp_path / "m.gguf")
    assert {name: tensor.shape for name, tensor in model.tensors.items()} == expected_shapes(model.config)
    assert model.output is model.tensors["embedding" if tied else "output"]
    for name, tensor in model.tensors.items():
        kind = files.gguf_type(name, type_name)
        assert tensor.format == ("F32" if kind.name == "BF16" else kind.name)
        stored = gguf.quants.dequantize(gguf.quants.quantize(values[name], kind), kind)
        assert (tensor.dequantize() == stored).all(), name


def test_config(tmp_path: Path) -> None:
    files.write_gguf(tmp_path / "m.gguf")
    config = load_model(tmp_path / "m.gguf").config
    assert (config.name, config.architecture, config.norm, config.activation) == ("tiny", "llama", "rms", "silu_gated")
    assert (config.dim, config.hidden_dim, config.n_layers, config.n_heads, config.n_kv_heads) == (64, 96, 2, 4, 2)
    assert (config.head_dim, config.vocab_size, config.context_length) == (16, 300, 128)
    assert (config.bos_id, config.eos_ids, config.rope_pairing) == (1, (2,), "neighbour")
    assert config.norm_eps == np.float32(1e-5)
    assert config.rope_frequencies == rope_frequencies(16, 50000.0)


def test_rope_scalings_fold_into_frequencies(tmp_path: Path) -> None:
    plain = np.array(rope_frequencies(16, 50000.0))
    files.write_gguf(
        tmp_path / "l.gguf", metadata={"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}
    )
    assert load_model(tmp_path / "l.gguf").config.rope_frequencies == tuple(plain / 4)
    divisors = np.linspace(1, 8, 8, dtype=np.float32)
    files.write_gguf(tmp_path / "f.gguf", extra={"rope_freqs.weight": divisors})
    assert load_model(tmp_path / "f.gguf").config.rope_frequencies == tuple(plain / divisors)


def test_biases_are_found(tmp_path: Path) -> None:
    bias = {
        f"blk.{i}.{name}.bias": np.full(size, 0.5, np.float32)
        for i in range(2)
        for name, size in (("attn_q", 64), ("attn_k", 32), ("attn_v", 32))
    }
    files.write_gguf(tmp_path / "m.gguf", extra=bias)
    model = load_model(tmp_path / "m.gguf")
    assert model.config.qkv_bias
    assert not model.config.attention_output_bias
    assert (model.tensors["layers.1.wk.bias"].dequantize() == np.full(32, 0.5)).all()


def test_container_agrees_with_the_library(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    files.write_gguf(file, "Q4_1", tokenizer="llama")
    container = parse(file, memoryview(file.read_bytes()))
    reader = gguf.GGUFReader(file)
    theirs = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    assert container.metadata == theirs
    assert list(container.tensors) == [tensor.name for tensor in reader.tensors]
    for tensor in reader.tensors:
        info = container.tensors[tensor.name]
        assert (info.type, info.start, info.size) == (tensor.tensor_type.name, tensor.data_offset, tensor.n_bytes)
        assert info.shape == tuple(reversed(tensor.shape.tolist()))


def test_type_names_are_the_library_s() -> None:
    assert {number: gguf.GGMLQuantizationType(number).name for number in TYPE_NAMES} == TYPE_NAMES
    assert {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"} == set(SUPPORTED_TYPES)


def test_unsupported_type_is_named(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    raw = np.zeros((2, gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType.Q6_K][1]), np.uint8)
    writer.add_tensor("blk.0.ffn_down.weight", raw, raw_dtype=gguf.GGMLQuantizationType.Q6_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path / "m.gguf")
    assert str(caught.value) == (
        f"{tmp_path / 'm.gguf'}: type of tensor 'blk.0.ffn_down.weight' is 'Q6_K': "
        "supported: F32, F16, BF16, Q8_0, Q4_0, Q4_1"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "gpt2"}, "general.architecture is 'gpt2': supported: llama"),
        ({"metadata": {"llama.expert_count": 8}}, "llama.expert_count is 8: it must be 0"),
        (
            {"metadata": {"llama.rope.dimension_count": 8}},
            "llama.rope.dimension_count is 8: it must be the head size, 16",
        ),
        ({"metadata": {"llama.attention.key_length": 24}}, "shape of tensor 'blk.0.attn_q.weight' is [64, 64]: "),
        (
            {"metadata": {"llama.attention.key_length": 512}},
            "llama.attention.key_length is 512: it must be an integer of 8",
        ),
        (
            {"metadata": {"llama.vocab_size": 299}},
            "shape of tensor 'token_embd.weight' is [300, 64]: the config asks for",
        ),
        (
            {"metadata": {"llama.rope.scaling.type": "yarn"}},
            "llama.rope.scaling.type is 'yarn': supported: none, linear",
        ),
        (
            {"extra": {"blk.0.attn_q_norm.weight": np.ones(4, np.float32)}},
            "tensor name is 'blk.0.attn_q_norm.weight': the",
        ),
        (
            {"extra": {"blk.2.ffn_norm.weight": np.ones(64, np.float32)}},
            "tensor 'blk.2.ffn_norm.weight' is [64]: a model ",
        ),
        (
            {"extra": {"rope_freqs.weight": np.zeros(8, np.float32)}},
            "tensor 'rope_freqs.weight' is 0.0: divisors must be",
        ),
        (
            {"extra": {"rope_freqs.weight": np.ones(7, np.float32)}},
            "tensor 'rope_freqs.weight' is ['F32', 7]: it must be F32",
        ),
        (
            {"metadata": {"tokenizer.ggml.model": "t5"}},
            "tokenizer.ggml.tokens is missing: it must be a list",
        ),
        (
            {"metadata": {"tokenizer.ggml.bos_token_id": 300}},
            "tokenizer.ggml.bos_token_id is 300: it must be a token id",
        ),
    ],
)
def test_contents_wrong(tmp_path: Path, changes: dict, message: str) -> None:
    file = tmp_path / "m.gguf"
    if "tokenizer.ggml.bos_token_id" in changes.get("metadata", {}):
        files.write_gguf(file)
        pair = struct.pack("<Q", 27) + b"tokenizer.ggml.bos_token_id" + struct.pack("<I", 4)
        data = file.read_bytes()
        file.write_bytes(data.replace(pair + struct.pack("<I", 1), pair + struct.pack("<I", 300)))
    else:
        files.write_gguf(file, **changes)
    with pytest.raises(ModelError) as caught:
        load_model(file)
    assert str(caught.value).startswith(f"{file}: {message}")
    assert "\n" not in str(caught.value)


def test_scale_not_finite_names_tensor_and_block(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    files.write_gguf(file, "Q8_0")
    reader = gguf.GGUFReader(file)
    start = next(t.data_offset for t in reader.tensors if t.name == "blk.1.ffn_up.weight")
    data = bytearray(file.read_bytes())
    data[start + 34 * 5 : start + 34 * 5 + 2] = b"\x00\x7c"  # row 2, block 1: two blocks a row
    file.write_bytes(data)
    with pytest.raises(
        ModelError, match=r"scale of tensor 'blk\.1\.ffn_up\.weight' \[2, 1\] is inf: it must be a finite"
    ):
        load_model(file)


def raw_gguf(
    *pairs: bytes, n_tensors: int = 0, n_pairs: int | None = None, tensors: bytes = b"", version: int = 3
) -> bytes:
    """A hand-made file: header, key-value pairs, tensor records."""
    head = struct.pack("<4sIQQ", b"GGUF", version, n_tensors, len(pairs) if n_pairs is None else n_pairs)
    return head + b"".join(pairs) + tensors


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def record(name: bytes, dims: tuple[int, ...], kind: int, offset: int, n_dims: int | None = None) -> bytes:
    n_dims = len(dims) if n_dims is None else n_dims
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", n_dims, *dims, kind, offset)


def array(kind: int, length: int) -> bytes:
    return text(b"k") + struct.pack("<IIQ", 9, kind, length)


HUGE = 1 << 60
HOSTILE = {
    "magic only": (b"GGUF", "version is 4: it needs that many bytes and 0 are left; the file is truncated"),
    "big endian": (struct.pack(">4sIQQ", b"GGUF", 3, 0, 0), "version is 50331648: versions 2 and 3, little endian"),
    "version 1": (raw_gguf(version=1), "version is 1: versions 2 and 3"),
    "tensor count": (raw_gguf(n_tensors=HUGE), f"tensor_count is {HUGE}: at most 0 fit"),
    "pair count": (raw_gguf(n_pairs=HUGE), f"kv_count is {HUGE}: at most 0 fit"),
    "key length": (raw_gguf(struct.pack("<Q", 1 << 63) + bytes(99)), f"length of key 0 is {1 << 63}: at most 99 fit"),
    "string length": (
        raw_gguf(text(b"k") + struct.pack("<IQ", 8, (1 << 64) - 1) + bytes(9)),
        f"length of k is {(1 << 64) - 1}: at most 9 fit",
    ),
    "key not text": (raw_gguf(text(b"\xff\xfe") + bytes(9)), r"key 0 is b'\xff\xfe': it must be UTF-8 text"),
    "value type": (raw_gguf(text(b"k") + struct.pack("<I", 13) + bytes(9)), "type of k is 13: GGUF knows value types"),
    "bool": (raw_gguf(text(b"k") + struct.pack("<IB", 7, 2)), "k is 2: a bool must be 0 or 1"),
    "array length": (raw_gguf(array(4, HUGE) + bytes(99)), f"length of k is {HUGE}: at most 24 fit"),
    "array type": (raw_gguf(array(77, 1) + bytes(99)), "type of k is 77: GGUF knows"),
    "array of arrays": (
        raw_gguf(array(9, 1) + struct.pack("<IQ", 9, 1) * 9 + bytes(99)),
        "k[0][0][0] is '5 nested arrays': at most 4 are read",
    ),
    "duplicate key": (
        raw_gguf(*[text(b"k") + struct.pack("<IB", 0, 2)] * 2),
        "key 1 is 'k': this key appeared before; each may appear once",
    ),
    "alignment": (
        raw_gguf(text(b"general.alignment") + struct.pack("<II", 4, 24)),
        "general.alignment is 24: it must be a power of two",
    ),
    "alignment zero": (
        raw_gguf(text(b"general.alignment") + struct.pack("<II", 4, 0)),
        "general.alignment is 0: it must be a power of two",
    ),
    "dimension count": (
        raw_gguf(n_tensors=1, tensors=record(b"t", (1,), 0, 0, n_dims=5) + bytes(99)),
        "dimension count of tensor 't' is 5: it must be 1 to 4",
    ),
    "no dimensions": (
        raw_gguf(n_tensors=1, tensors=record(b"t", (1,), 0, 0, n_dims=0) + bytes(99)),
        "dimension count of tensor 't' is 0: it must be 1 to 4",
    ),
    "dimensions overflow": (
        raw_gguf(n_tensors=1, tensors=record(b"t", (1 << 32, 1 << 32), 0, 0) + bytes(99)),
        "dimensions of tensor 't' is [4294967296, 4294967296]: they must be positive and fit",
    ),
    "dimension zero": (
        raw_gguf(n_tensors=1, tensors=record(b"t", (32, 0), 0, 0) + bytes(99)),
        "dimensions of tensor 't' is [32, 0]: they must be positive and fit",
    ),
    "type unknown": (
        raw_gguf(n_tensors=1, tensors=record(b"t", (32,), 999, 0) + bytes(99)),
        "type of tensor 't' is 'number 999': supported: F32",
    ),
    "row not in blocks": (
        raw_gguf(n_tensors=1, tensors=record(b"t", (40, 2), 8, 0) + bytes(199)),
        "row of tensor 't' is 40: Q8_0 rows are multiples of 32",
    ),
    "offset unaligned": (
        raw_gguf(n_tensors=1, tensors=record(b"t", (4,), 0, 8) + bytes(99)),
        "offset of tensor 't' is 8: it must be a multiple of 32",
    ),
    "offset outside": (
        raw_gguf(n_tensors=1, tensors=record(b"t", (4,), 0, 1 << 63) + bytes(99)),
        f"offset of tensor 't' is {1 << 63}: its 16 bytes end beyond the file's 156",
    ),
    "overlap": (
        raw_gguf(n_tensors=2, tensors=record(b"a", (9,), 0, 0) + record(b"b", (4,), 0, 32) + bytes(199)),
        "offset of tensor 'b' is 32: it lies inside tensor 'a'",
    ),
    "duplicate tensor": (
        raw_gguf(n_tensors=2, tensors=record(b"a", (4,), 0, 0) + record(b"a", (4,), 0, 32) + bytes(199)),
        "tensor name is 'a': this name appeared before",
    ),
    "name with newline": (
        raw_gguf(n_tensors=1, tensors=record(b"a\nb", (4,), 77, 0) + bytes(199)),
        r"type of tensor 'a\nb' is 'number 77'",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_structure_wrong(tmp_path: Path, name: str) -> None:
    data, message = HOSTILE[name]
    file = tmp_path / "m.gguf"
    file.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        load_model(file)
    assert str(caught.value).startswith(f"{file}: {message}")
    assert "\n" not in str(caught.value)
