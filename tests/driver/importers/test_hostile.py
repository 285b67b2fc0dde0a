"""Damaged files: whatever the bytes say, the import succeeds or raises ModelError, quickly and in little memory."""

import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from celosia.driver.errors import ModelError
from celosia.driver.importers import load_model

from . import files

MUTATIONS = 150
MEMORY_LIMIT = 32 << 20
"""Bytes; the files have under 1 MB."""

KINDS = (
    "gguf-gpt2",
    "gguf-llama",
    "huggingface",
    "config.json",
    "tokenizer.json",
    "llama2c",
    "llama2c-v1",
    "llama2c-v2",
)


def tokenizer_json() -> str:
    """A tokenizer with something in every section."""
    pipeline = tokenizers.Tokenizer(models.BPE(vocab={"<s>": 0, "a": 1, "b": 2, "ab": 3}, merges=[("a", "b")]))
    pipeline.normalizer = normalizers.NFC()
    pipeline.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pipeline.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    pipeline.decoder = decoders.ByteLevel()
    pipeline.add_special_tokens(["<s>"])
    return str(pipeline.to_str())


def write(kind: str, folder: Path) -> tuple[Path, Path]:
    """A good model in `folder`: what to load, and the file to damage."""
    if kind.startswith("gguf"):
        files.write_gguf(folder / "m.gguf", "Q4_1", tied=True, tokenizer=kind.removeprefix("gguf-"))
        return folder / "m.gguf", folder / "m.gguf"
    if kind.startswith("llama2c"):
        files.write_llama2c(folder / "m.bin", {"llama2c": 0, "llama2c-v1": 1, "llama2c-v2": 2}[kind])
        return folder / "m.bin", folder / "m.bin"
    files.write_huggingface(folder)
    (folder / "tokenizer.json").write_text(tokenizer_json())
    return folder, folder / ("model.safetensors" if kind == "huggingface" else kind)


def structure_size(kind: str, data: bytes) -> int:
    """Bytes before the weights, where damage does most."""
    if kind == "huggingface":
        return 8 + struct.unpack_from("<Q", data)[0]
    if kind.startswith("gguf"):
        return data.index(b"output_norm.weight") + 64
    return {"llama2c": 28, "llama2c-v1": 256, "llama2c-v2": 256}.get(kind, len(data))


def damaged(data: bytes, structure: int, seed: int) -> Iterator[bytes]:
    """Truncations, single bits, bytes, and whole integers overwritten with what breaks parsers."""
    random = np.random.RandomState(seed)
    extremes = [0, 1, -1, 1 << 31, (1 << 31) - 1, 1 << 60, -(1 << 63), (1 << 63) - 1]
    for i in range(MUTATIONS):
        changed = bytearray(data)
        at = int(random.randint(structure if random.rand() < 0.9 else len(data)))
        if i % 4 == 0:
            del changed[at:]
        elif i % 4 == 1:
            changed[at] ^= 1 << int(random.randint(8))
        elif i % 4 == 2:
            changed[at] = int(random.randint(256))
        else:
            value = extremes[int(random.randint(len(extremes)))]
            changed[at : at + 8] = struct.pack("<Q", value & ((1 << 64) - 1))[: 4 + 4 * int(random.randint(2))]
        yield bytes(changed)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_one_error_or_harmless(tmp_path: Path, kind: str) -> None:
    target, file = write(kind, tmp_path)
    load_model(target)
    data = file.read_bytes()
    messages = []
    tracemalloc.start()
    try:
        for changed in damaged(data, structure_size(kind, data), seed=KINDS.index(kind)):
            file.write_bytes(changed)
            try:
                tokenizer = load_model(target).tokenizer
                if tokenizer is not None:
                    tokenizer.decode([*tokenizer.encode("héllo"), 299])
            except ModelError as error:
                messages.append(str(error))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(messages) > MUTATIONS // 4
    assert all("\n" not in message and len(message) < 700 for message in messages)
    assert peak < MEMORY_LIMIT


@pytest.mark.parametrize("kind", KINDS)
def test_truncation_at_every_structural_boundary(tmp_path: Path, kind: str) -> None:
    target, file = write(kind, tmp_path)
    data = file.read_bytes()
    structure = structure_size(kind, data)
    # A tokenizer's lists repeat one structure thousands of times: every byte of the beginning, then samples.
    cuts = [*range(min(structure, 200)), *range(200, structure, max(structure // 150, 1)), structure, len(data) - 1]
    for cut in sorted({cut for cut in cuts if cut < len(data)}):
        file.write_bytes(data[:cut])
        with pytest.raises(ModelError):
            load_model(target)


def test_random_bytes_behind_every_magic(tmp_path: Path) -> None:
    random = np.random.RandomState(7)
    for i in range(120):
        magic = (b"GGUF\3\0\0\0", struct.pack("<I", 0x616B3432), b"", b"GGUF\2\0\0\0" + struct.pack("<QQ", 1, 1))[i % 4]
        (tmp_path / "m.bin").write_bytes(magic + random.bytes(int(random.randint(4, 400))))
        with pytest.raises(ModelError):
            load_model(tmp_path / "m.bin")


@pytest.mark.parametrize("name", ["nothing-here", "no/such/file.gguf", ""])
def test_missing_model(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    missing = r"no such file or folder; pulled models are smollm2-135m and|config\.json: file is missing: the"
    with pytest.raises(ModelError, match=missing):
        load_model(name)


def test_known_model_that_was_not_pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELOSIA_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"^smollm2-135m: model is missing: run `celosia pull smollm2-135m` first$"):
        load_model("smollm2-135m")


def test_one_gguf_in_a_folder_is_enough(tmp_path: Path) -> None:
    files.write_gguf(tmp_path / "m.gguf")
    assert load_model(tmp_path).config == load_model(tmp_path / "m.gguf").config


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("m.gguf", b"hello\n", "magic is b'hell': a GGUF file begins with b'GGUF'"),
        ("m.txt", b"Once upon a time\n", "contents is b'Once': a GGUF file begins with b'GGUF', a llama2.c checkpoint"),
        ("m", b"", "size is 0: it is too short to be a model"),
    ],
)
def test_files_that_are_something_else(name: str, contents: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: {message}")
