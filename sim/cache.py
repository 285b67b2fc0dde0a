"""Compiled simulators, kept by content hash: what was built once is never built again.

An entry is a folder ``<cache>/<kind>/<key>`` that appears whole or not at all. While it is built it is called
``<key>.partial``, under a lock that dies with its process, so that several processes may ask for the same entry at once
and an interrupted build is cleaned up by itself or, after a kill, by the next one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

# A build that fails with less than this free is reported as a full disk: compilers word it in their own ways.
_FULL_BYTES = 8 << 20
_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT)


class CacheError(RuntimeError):
    """The cache folder cannot be used; the message is one line that names the folder and what to do."""


@dataclass(frozen=True)
class CacheEntry:
    """One finished build: its kind (``"bench"``, ``"device"``, ...), key, folder and size in bytes."""

    kind: str
    key: str
    path: Path
    size: int


def cache_root() -> Path:
    """The cache folder: ``CELOSIA_CACHE`` if set, else ``celosia`` in the user's cache folder. Not created."""
    chosen = os.environ.get("CELOSIA_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else user_cache_path("celosia")


def content_key(*parts: str | bytes) -> str:
    """Hash everything that a build depends on: 32 hexadecimal digits, different if any part or boundary differs."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:32]


def cached_build(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """Return the folder of an entry, building it first if it is not there.

    Parameters
    ----------
    kind, key : str
        Names of the entry's folders; `key` from `content_key`.
    build : Callable
        Fills the empty folder that it is given. The folder is renamed afterwards, so no file in it may hold its path.

    Raises
    ------
    CacheError
        If the folder cannot be written, or the disk is full. Whatever `build` raises passes through otherwise.
    """
    folder = cache_root() / kind
    entry = folder / key
    if entry.is_dir():
        return entry
    with _cache_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(cache_root() / "locks" / f"{kind}-{key}"):
            if not entry.is_dir():
                _build_atomically(entry, build)
    return entry


def cache_entries() -> list[CacheEntry]:
    """All finished builds, largest first."""
    root = cache_root()
    entries = [
        CacheEntry(kind=path.parent.name, key=path.name, path=path, size=_folder_size(path))
        for path in root.glob("*/*")
        if path.is_dir() and path.suffix != ".partial"
    ]
    return sorted(entries, key=lambda entry: (-entry.size, entry.key))


def _build_atomically(entry: Path, build: Callable[[Path], None]) -> None:
    partial = entry.with_name(f"{entry.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a killed process: the lock says that it is no longer at work
    try:
        partial.mkdir()
        build(partial)
        partial.rename(entry)
    except BaseException:
        # Ctrl-C included: an interrupted build leaves nothing behind.
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; the kernel releases it when the process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _cache_errors(folder: Path) -> Iterator[None]:
    """Turn a folder that cannot be written and a full disk into one clear error."""
    what, advice = f"the cache folder {folder}", "or set CELOSIA_CACHE to another folder"
    try:
        yield
    except OSError as error:
        if error.errno in _FULL_ERRORS:
            raise CacheError(f"no space left for {what}: free some, {advice}") from error
        raise CacheError(f"cannot use {what}: {error.strerror}: repair it, {advice}") from error
    except Exception as error:
        if _free_bytes(folder) < _FULL_BYTES:
            raise CacheError(f"no space left for {what}: free some, {advice}") from error
        raise


def _free_bytes(folder: Path) -> int:
    """Free space where the folder is or would be."""
    return shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free


def _folder_size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
