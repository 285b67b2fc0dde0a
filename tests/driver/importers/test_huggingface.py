"""Hugging Face folders: weights, config, shards, and every way in which a folder can be wrong."""

import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from celosia.arch.model import expected_shapes, rope_frequencies
from celosia.driver.errors import ModelError
from celosia.driver.importers import load_model

from . import files


def write_bfloat16(folder: Path) -> None:
    """Rewrite the weights as BF16, which numpy has no name for: the container is written by hand."""
    weights = safetensors.numpy.load_file(folder / "model.safetensors")
    header, body = {}, b""
    for name, array in weights.items():
        raw = (array.view(np.uint32) >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": "BF16", "shape": array.shape, "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "shards"])
def test_weights_import_as_stored(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "tiny"
    values = files.write_huggingface(
        folder, shards=3 if kind == "shards" else 1, dtype="float16" if kind == "float16" else "float32"
    )
    if kind == "bfloat16":
        write_bfloat16(folder)
    model = load_model(folder)
    assert {name: tensor.shape for name, tensor in model.tensors.items()} == expected_shapes(model.config)
    for name, tensor in model.tensors.items():
        expected = values[name]
        if kind == "float16":
            expected = expected.astype(np.float16).astype(np.float32)
        if kind == "bfloat16":
            expected = (expected.view(np.uint32) & 0xFFFF0000).view(np.float32)
        assert tensor.format == ("F16" if kind == "float16" else "F32")
        assert (tensor.dequantize() == expected).all(), name


def test_config(tmp_path: Path) -> None:
    files.write_huggingface(tmp_path / "tiny")
    config = load_model(tmp_path / "tiny").config
    assert (config.name, config.architecture, config.norm, config.activation) == ("tiny", "llama", "rms", "silu_gated")
    assert (config.dim, config.hidden_dim, config.n_layers, config.n_heads, config.n_kv_heads) == (64, 96, 2, 4, 2)
    assert (config.head_dim, config.vocab_size, config.context_length, config.norm_eps) == (16, 300, 128, 1e-5)
    assert (config.bos_id, config.eos_ids, config.rope_pairing, config.tied_embeddings) == (1, (2, 0), "half", False)
    assert config.rope_frequencies == rope_frequencies(16, 50000.0)
    assert config.chat_template is None


def test_any_file_of_the_folder_names_it(tmp_path: Path) -> None:
    files.write_huggingface(tmp_path)
    assert load_model(tmp_path / "config.json").config == load_model(tmp_path / "model.safetensors").config


def test_tied_folder_ignores_its_output_and_old_buffers(tmp_path: Path) -> None:
    files.write_huggingface(tmp_path, tie_word_embeddings=True)
    weights = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(8, np.float32)
    safetensors.numpy.save_file(weights, tmp_path / "model.safetensors")
    model = load_model(tmp_path)
    assert "output" not in model.tensors
    assert model.output is model.tensors["embedding"]


def test_rope_scalings_fold_into_frequencies(tmp_path: Path) -> None:
    """The llama3 rule, restated per wavelength as its paper's code does."""
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    llama3 |= {"original_max_position_embeddings": 64}
    files.write_huggingface(tmp_path / "old", rope_scaling=llama3)
    files.write_huggingface(tmp_path / "new", rope_theta=None, rope_parameters={**llama3, "rope_theta": 50000.0})
    config = load_model(tmp_path / "old").config
    assert load_model(tmp_path / "new").config.rope_frequencies == config.rope_frequencies
    kinds = set()
    for plain, scaled in zip(rope_frequencies(16, 50000.0), config.rope_frequencies, strict=True):
        wavelength = 2 * math.pi / plain
        if wavelength < 64 / 4:
            kinds.add("kept")
            assert scaled == plain
        elif wavelength > 64 / 1:
            kinds.add("divided")
            assert scaled == pytest.approx(plain / 8, rel=1e-12)
        else:
            kinds.add("blended")
            smooth = (64 / wavelength - 1) / (4 - 1)
            assert scaled == pytest.approx((1 - smooth) * plain / 8 + smooth * plain, rel=1e-12)
    assert kinds == {"kept", "divided", "blended"}
    files.write_huggingface(tmp_path / "linear", rope_scaling={"type": "linear", "factor": 2.0})
    linear = load_model(tmp_path / "linear").config.rope_frequencies
    assert linear == tuple(frequency / 2 for frequency in rope_frequencies(16, 50000.0))


def test_chat_template_text_is_kept(tmp_path: Path) -> None:
    files.write_huggingface(tmp_path)
    named = [{"name": "tool", "template": "no"}, {"name": "default", "template": "{{ x }}"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert load_model(tmp_path).config.chat_template == "{{ x }}"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ y }}"}))
    assert load_model(tmp_path).config.chat_template == "{{ y }}"
    (tmp_path / "chat_template.jinja").write_text("{{ z }}")
    assert load_model(tmp_path).config.chat_template == "{{ z }}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mixtral"}, "model_type is 'mixtral': supported: llama"),
        ({"model_type": None}, "model_type is missing: the file must give a string here"),
        ({"hidden_size": "64"}, "hidden_size is '64': it must be an integer of 1 to 1048576"),
        ({"hidden_size": True}, "hidden_size is True: it must be an integer"),
        ({"hidden_size": 64.0}, "hidden_size is 64.0: it must be an integer"),
        ({"hidden_size": 10**30}, "hidden_size is 1000000000000000000000000000000: it must be an integer"),
        ({"num_hidden_layers": -1}, "num_hidden_layers is -1: it must be an integer of 1 to 1024"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0: it must be an integer of 1"),
        ({"num_attention_heads": 16}, "head_dim is 4: it must be an integer of 8 to 256"),
        ({"num_attention_heads": 7}, "head_dim is 9: it must be even, rope rotates pairs"),
        ({"num_key_value_heads": 3}, "n_kv_heads is 3: it must divide n_heads, 4"),
        ({"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new': supported: silu, swish, gelu"),
        ({"rms_norm_eps": 2}, "rms_norm_eps is 2: it must be a number of 0 to 1"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps is nan: it must be a number of 0 to 1"),
        ({"rope_theta": float("inf")}, "rope_theta is inf: it must be a number of 1 to 1e+12"),
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 4}},
            "rope_type is 'yarn': supported: default, linear, llama3",
        ),
        ({"rope_scaling": [1]}, "rope_scaling is [1]: it must be an object"),
        ({"rope_scaling": {"type": "linear"}}, "factor is missing: the file must give a number"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings is 'yes': it must be true or false"),
        ({"eos_token_id": [300]}, "eos_token_id is 300: it must be a token id of 0 to 299"),
        ({"bos_token_id": {}}, "bos_token_id is {}: it must be a token id"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is 'present': give the unquantized model"),
    ],
)
def test_config_wrong(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    files.write_huggingface(tmp_path, **changes)
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'config.json'}: {message}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"vocab_size": 299},
            "shape of tensor 'model.embed_tokens.weight' is [300, 64]: the config asks for [299, 64]",
        ),
        ({"num_hidden_layers": 3}, "tensor 'layers.2.attention_norm' is missing: the config asks for [64]"),
        (
            {"num_hidden_layers": 1},
            "tensor 'model.layers.1.input_layernorm.weight' is [64]: a model with this config has no",
        ),
        ({"attention_bias": True}, "tensor 'layers.0.wq.bias' is missing: the config asks for [64]"),
    ],
)
def test_weights_that_do_not_fit_the_config(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    files.write_huggingface(tmp_path, **changes)
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: {message}")


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (
            "model.layers.0.self_attn.q_norm.weight",
            np.ones(4, np.float32),
            "tensor name is 'model.layers.0.self_attn.q_norm.",
        ),
        (
            "model.norm.weight",
            np.ones(64, np.int64),
            "type of tensor 'model.norm.weight' is 'I64': supported: F32, F16, BF16",
        ),
        (
            "model.norm.weight",
            np.full(64, np.nan, np.float32),
            "tensor 'model.norm.weight' [0] is nan: weights must be",
        ),
        ("model.norm.weight", np.ones((), np.float32), "shape of tensor 'model.norm.weight' is []: the config asks"),
    ],
)
def test_tensor_wrong(tmp_path: Path, name: str, values: np.ndarray, message: str) -> None:
    files.write_huggingface(tmp_path)
    weights = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    safetensors.numpy.save_file({**weights, name: values}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path)
    assert message in str(caught.value)


def test_pickle_is_refused(tmp_path: Path) -> None:
    files.write_huggingface(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    message = "weights is 'pytorch_model.bin': pickle files can run code and are not read; convert to safetensors"
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path)
    assert str(caught.value) == f"{tmp_path}: {message}"
    with pytest.raises(ModelError, match="pickle files can run code"):
        load_model(tmp_path / "pytorch_model.bin")
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(
        ModelError,
        match=r"weights is missing: the folder must hold model\.safetensors or model\.",
    ):
        load_model(tmp_path)


@pytest.mark.parametrize("shard", ["../model.safetensors", "/etc/passwd", "a/b.safetensors", "model.bin", 7, ".."])
def test_shard_outside_the_folder_is_refused(tmp_path: Path, shard: object) -> None:
    files.write_huggingface(tmp_path / "m")
    index = {"weight_map": {"model.norm.weight": shard}}
    (tmp_path / "m/model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(
        ModelError, match=r"weight_map\['model\.norm\.weight'\] is .*: it must name a \.safetensors file here$"
    ):
        load_model(tmp_path / "m")


def test_index_and_shard_must_agree(tmp_path: Path) -> None:
    files.write_huggingface(tmp_path, shards=2)
    index_file = tmp_path / "model.safetensors.index.json"
    index = json.loads(index_file.read_text())
    del index["weight_map"]["model.norm.weight"]
    index_file.write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"tensor names is 'model\.norm\.weight': the index and this file disagree"):
        load_model(tmp_path)
    (tmp_path / "model-2-of-2.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model-2-of-2\.safetensors: file is missing: the model needs|disagree"):
        load_model(tmp_path)


@pytest.mark.parametrize("contents", [b"", b"{", b"[1]", b"\xff\xfe{}", b'{"a": ' + b"[" * 100000])
def test_config_that_is_no_json_object(tmp_path: Path, contents: bytes) -> None:
    files.write_huggingface(tmp_path)
    (tmp_path / "config.json").write_bytes(contents)
    with pytest.raises(ModelError, match=r"config\.json: contents is .*: it must be (JSON|a JSON object)$"):
        load_model(tmp_path)


def test_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json: file is missing: the model needs it; fetch"):
        load_model(tmp_path)
