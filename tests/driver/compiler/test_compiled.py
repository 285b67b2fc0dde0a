"""Saving and loading: all files or none."""

import errno
import hashlib
import json
import os
import resource
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from celosia.arch.config import load_config
from celosia.driver.compiler import CompiledModel, check_folder, compile_model, write_folder

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


def tree(folder: Path) -> dict[str, str]:
    """Name to text of all files below a folder."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def written(text: str) -> dict[str, Callable[[Path], object]]:
    """A file, and a folder with a file and a folder in it."""

    def folder(path: Path) -> None:
        (path / "deep").mkdir(parents=True)
        (path / "file").write_text(text)
        (path / "deep" / "file").write_text(text)

    return {"first": lambda path: path.write_text(text), "sub": folder}


def written_tree(text: str) -> dict[str, str]:
    return dict.fromkeys(("first", "sub/file", "sub/deep/file"), text)


def test_files_of_others_stay_in_sub_folders_too(tmp_path: Path) -> None:
    write_folder(tmp_path, written("old"))
    mine = dict.fromkeys(("mine", "sub/mine", "sub/deep/mine", "sub/vivado/mine"), "kept")
    (tmp_path / "sub" / "vivado").mkdir()
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
    write_folder(tmp_path, written("new"))
    assert tree(tmp_path) == {**mine, **written_tree("new")}


def test_a_mount_point_in_a_folder_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files do not move into it from outside, and nothing can be made beside it."""
    mounted, real = tmp_path / "mounted", {name: getattr(os, name) for name in ("mkdir", "rename", "replace")}

    def move(name: str, source: Path, target: Path) -> None:
        if mounted not in Path(source).parents or mounted not in Path(target).parents:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source, None, target)
        real[name](source, target)

    def mkdir(path: Path, *rest: int) -> None:
        if mounted not in Path(path).parents:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), path)
        real["mkdir"](path, *rest)

    mounted.mkdir()
    monkeypatch.setattr(os, "mkdir", mkdir)
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, partial(move, name))
    for text in ("old", "new"):
        write_folder(mounted, written(text))
        assert tree(tmp_path) == {f"mounted/{name}": text for name in written_tree(text)}
    assert sorted(path.name for path in mounted.iterdir()) == ["first", "sub"], "and no folder for the work"


@pytest.mark.parametrize(
    ("mine", "message"),
    [
        ("zone/sub", r"Not a directory: '{}/zone/sub'$"),
        ("zone/first/mine", r"a folder stands where a file belongs: '{}/zone/first'$"),
        ("zone/sub/deep/file/mine", r"a folder stands where a file belongs: '{}/zone/sub/deep/file'$"),
    ],
)
def test_what_is_in_the_way_is_found_before_anything_is_replaced(mine: str, message: str, tmp_path: Path) -> None:
    before = {"a": "old", "zone/z": "old", mine: "kept"}
    for name, text in before.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    files = {"a": lambda path: path.write_text("new"), "zone": lambda path: write_folder(path, written("new"))}
    with pytest.raises(OSError, match=message.format(tmp_path)):
        write_folder(tmp_path, files)
    assert tree(tmp_path) == before


def test_a_sub_folder_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found before anything is replaced; root may write everywhere, so that the system only seems to refuse it."""
    write_folder(tmp_path, written("old"))
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path / "sub" / "deep")
    with pytest.raises(PermissionError, match=rf"'{tmp_path}/sub/deep'$"):
        write_folder(tmp_path, written("new"))
    assert tree(tmp_path) == written_tree("old")


def test_a_move_that_fails_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(source: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), source, None, target)

    monkeypatch.setattr(os, "replace", busy)
    with pytest.raises(OSError, match=rf"^\[Errno {errno.EBUSY}\] [^:]*: '{tmp_path}/out/first'$"):
        write_folder(tmp_path / "out", written("new"))
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_leads_nowhere_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(NotADirectoryError, match=rf"'{tmp_path}/link'$"):
        check_folder(tmp_path / "link" / "out")


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
