"""llama2.c checkpoints of all three kinds, and wrong ones."""

import struct
from pathlib import Path

import numpy as np
import pytest

from celosia.arch.model import expected_shapes, rope_frequencies
from celosia.driver.errors import ModelError
from celosia.driver.importers import load_model

from . import files


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("tied", [False, True])
def test_weights_import_as_stored(tmp_path: Path, version: int, tied: bool) -> None:
    values = files.write_llama2c(tmp_path / "m.bin", version, tied=tied)
    model = load_model(tmp_path / "m.bin")
    assert {name: tensor.shape for name, tensor in model.tensors.items()} == expected_shapes(model.config)
    assert model.config.tied_embeddings is tied
    for name, tensor in model.tensors.items():
        assert tensor.format == "F32"
        if version == 2 and "norm" not in name:
            groups = values[name].reshape(-1, 64)
            scales = np.abs(groups).max(axis=1, keepdims=True) / np.float32(127)
            expected = (np.round(groups / scales) * scales).astype(np.float32).reshape(tensor.shape)
        else:
            expected = values[name]
        assert (tensor.dequantize() == expected).all(), name


def test_config(tmp_path: Path) -> None:
    files.write_llama2c(tmp_path / "stories.bin")
    config = load_model(tmp_path / "stories.bin").config
    assert (config.name, config.norm_eps, config.rope_pairing, config.bos_id) == ("stories", 1e-5, "neighbour", 1)
    assert (config.dim, config.hidden_dim, config.n_layers, config.n_heads, config.n_kv_heads) == (64, 96, 2, 4, 2)
    assert (config.head_dim, config.vocab_size, config.context_length) == (16, 300, 128)
    assert config.rope_frequencies == rope_frequencies(16, 10000.0)


def test_tokenizer_beside_the_checkpoint(tmp_path: Path) -> None:
    files.write_llama2c(tmp_path / "m.bin")
    assert load_model(tmp_path / "m.bin").tokenizer is None
    pieces = [(f" {i}".encode(), -float(i)) for i in range(files.VOCABULARY - 259)]
    files.write_llama2c_tokenizer(tmp_path / "tokenizer.bin", pieces)
    tokenizer = load_model(tmp_path / "m.bin").tokenizer
    assert tokenizer is not None
    assert tokenizer.decode([1, 259 + 7, 259 + 8]) == "7 8"
    files.write_llama2c_tokenizer(tmp_path / "tok300.bin", list(reversed(pieces)))
    tokenizer = load_model(tmp_path / "m.bin").tokenizer
    assert tokenizer is not None
    assert tokenizer.decode([1, 259]) == str(len(pieces) - 1)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_size_is_exact(tmp_path: Path, version: int) -> None:
    file = tmp_path / "m.bin"
    files.write_llama2c(file, version)
    data = file.read_bytes()
    for wrong in (data[:-4], data + bytes(4)):
        file.write_bytes(wrong)
        message = rf"size is {len(wrong)}: its header asks for {len(data)} bytes; truncated, or not llama2\.c$"
        with pytest.raises(ModelError, match=message):
            load_model(file)


def header(**changes: int) -> bytes:
    values = {
        "dim": 64,
        "hidden_dim": 96,
        "n_layers": 2,
        "n_heads": 4,
        "n_kv_heads": 2,
        "vocab_size": 300,
        "context": 128,
    }
    return struct.pack("<7i", *{**values, **changes}.values())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "size is 0: it is too short to be a model"),
        (b"1234567", "size is 7: a llama2.c checkpoint begins with 28 bytes of header"),
        (header(), r"size is 28: its header asks for \d+ bytes; truncated, or not llama2\.c"),
        (header(dim=-64), "dim is -64: it must be 1 to 1048576"),
        (header(dim=0), "dim is 0: it must be 1"),
        (header(n_layers=1 << 30), "n_layers is 1073741824: it must be 1 to 1024"),
        (header(n_heads=0), "n_heads is 0: it must be 1"),
        (header(n_heads=-4), "n_heads is -4: it must be 1"),
        (header(n_heads=3), "n_heads is 3: it must divide dim, 64"),
        (header(n_heads=1, dim=1 << 19), "head_dim is 524288: it must be 8 to 256"),
        (header(vocab_size=-(1 << 31)), "vocab_size is 2147483648: it must be 1 to 16777216"),
        (
            struct.pack("<Ii", 0x616B3432, 3).ljust(256, b"\1"),
            r"version is 3: llama2\.c versions 1 and 2 are supported",
        ),
        (struct.pack("<Ii", 0x616B3432, 1).ljust(200, b"\1"), "size is 200: the header alone takes 256 bytes"),
        (struct.pack("<Ii", 0x616B3432, 1).ljust(256, b"\2"), "shared classifier is 2: it must be 0 or 1"),
        (
            (struct.pack("<Ii", 0x616B3432, 2) + header() + b"\1" + struct.pack("<i", 0)).ljust(256, b"\0"),
            "group size is 0:",
        ),
        (
            (struct.pack("<Ii", 0x616B3432, 2) + header() + b"\1" + struct.pack("<i", 7)).ljust(256, b"\0"),
            "group size is 7:",
        ),
        (b"\x80\x02}q\x00.".ljust(999), "contents is .*: pickle files can run code"),
    ],
)
def test_header_wrong(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "m.bin"
    file.write_bytes(data)
    with pytest.raises(ModelError, match=rf"^\S+/m\.bin: {message}"):
        load_model(file)


def test_value_not_finite_names_tensor_and_index(tmp_path: Path) -> None:
    values = files.write_llama2c(tmp_path / "m.bin")
    data = (tmp_path / "m.bin").read_bytes()
    changed = values["layers.1.wq"].copy()
    changed[3, 5] = np.inf
    (tmp_path / "m.bin").write_bytes(data.replace(values["layers.1.wq"].tobytes(), changed.tobytes()))
    with pytest.raises(ModelError, match=r"tensor 'layers\.1\.wq' \[3, 5\] is inf: weights must be finite numbers$"):
        load_model(tmp_path / "m.bin")


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (slice(0, -1), r"length of token 299 is \d: it must be 0 to the \d bytes left$"),
        (slice(0, 4), "size is 4: it ends before token 0 of the model's 300$"),
        (slice(0, 0), "size is 0: it ends before token 0"),
    ],
)
def test_tokenizer_truncated(tmp_path: Path, cut: slice, message: str) -> None:
    files.write_llama2c(tmp_path / "m.bin")
    file = tmp_path / "tokenizer.bin"
    files.write_llama2c_tokenizer(file, [(f" {i}".encode(), 0.0) for i in range(files.VOCABULARY - 259)])
    file.write_bytes(file.read_bytes()[cut])
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / "m.bin")


def test_tokenizer_score_wrong(tmp_path: Path) -> None:
    files.write_llama2c(tmp_path / "m.bin")
    pieces = [(f" {i}".encode(), float("nan") if i == 3 else 0.0) for i in range(files.VOCABULARY - 259)]
    files.write_llama2c_tokenizer(tmp_path / "tokenizer.bin", pieces)
    with pytest.raises(ModelError, match=r"tokenizer\.bin: score of token 262 is nan: it must be a number$"):
        load_model(tmp_path / "m.bin")


def test_tokenizer_of_another_model(tmp_path: Path) -> None:
    files.write_llama2c(tmp_path / "m.bin")
    files.write_llama2c_tokenizer(tmp_path / "tokenizer.bin", [(b"x", 0.0)] * 99)
    with pytest.raises(ModelError, match=r"the model's 300 tokens end at \d+; is it another model's\?$"):
        load_model(tmp_path / "m.bin")
