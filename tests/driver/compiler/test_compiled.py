"""Saving and loading: all files or none."""

import hashlib
import json
import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from celosia.arch.config import load_config
from celosia.driver.compiler import CompiledModel, compile_model, write_folder

from ..models import random_config, random_model


@pytest.fixture(scope="module")
def compiled() -> CompiledModel:
    return compile_model(random_model(random_config(head_dim=16), 7), load_config("default"))


def test_loads_what_it_saved(compiled: CompiledModel, tmp_path: Path) -> None:
    compiled.save(tmp_path / "out")
    loaded = CompiledModel.load(tmp_path / "out")
    assert np.array_equal(loaded.image, compiled.image)
    assert loaded.manifest() == compiled.manifest()
    assert loaded.listing() == compiled.listing()
    for field in ("config", "model", "formats", "geometry", "memory", "program", "notes", "context"):
        assert getattr(loaded, field) == getattr(compiled, field)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["image_sha256"] == hashlib.sha256((tmp_path / "out" / "image.bin").read_bytes()).hexdigest()


def test_saving_again_replaces_and_keeps_other_files(compiled: CompiledModel, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    compiled.save(tmp_path)
    compiled.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["image.bin", "manifest.json", "mine", "program.txt"]


@pytest.mark.parametrize("existed", [False, True])
def test_a_full_disk_leaves_nothing(existed: bool, tmp_path: Path) -> None:
    target = tmp_path / "out"
    if existed:
        target.mkdir()
        (target / "first").write_text("old")

    def fails(path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*out/second'$"):
        write_folder(target, {"first": lambda p: p.write_text("new"), "second": fails})
    assert [p.name for p in tmp_path.iterdir()] == (["out"] if existed else [])
    if existed:
        assert (target / "first").read_text() == "old"


def test_a_limit_on_file_sizes_stops_the_image(compiled: CompiledModel, tmp_path: Path) -> None:
    """The operating system refuses a write in the middle of the image, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, before[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*out/image.bin'$"):
            compiled.save(tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_load_wrong(compiled: CompiledModel, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        CompiledModel.load(tmp_path)
    compiled.save(tmp_path)
    image = bytearray((tmp_path / "image.bin").read_bytes())
    image[5000] ^= 1
    (tmp_path / "image.bin").write_bytes(image)
    with pytest.raises(ValueError, match=r"image.bin: not the image that the manifest describes; compile again$"):
        CompiledModel.load(tmp_path)
    for text in ("{", "[]", "{}", '{"version": 99}'):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(
            ValueError, match=r"manifest.json: not a manifest of a compiled model \(.*\); compile again$"
        ):
            CompiledModel.load(tmp_path)


def test_the_listing_names_what_every_instruction_touches(compiled: CompiledModel) -> None:
    lines = compiled.listing().splitlines()
    code = [line for line in lines if not line.startswith(";")]
    assert len(code) == len(compiled.program)
    assert "wq (Q8_0 64 x 64, " in code[5]
    assert "kv_cache <- k@SPM[" in code[9]
    assert code[17].split()[1] == "QUANTIZE"
    assert "SILU GATED" in code[17]
    assert lines[0].startswith("; random on config default: 26 instructions, 832 bytes, 2 layers")
