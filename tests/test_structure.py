"""The shape of the house: who may import whom, how long a file may be, what is packaged, and no trace of a machine."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ALLOWED = {
    "arch": set(),
    "golden": {"arch"},
    "hdl": {"arch"},
    "driver": {"golden", "arch"},
    "sim": {"driver", "hdl", "arch"},
    "boards": {"driver", "hdl", "arch"},
    "models": {"driver", "golden", "arch"},
    "celosia": {"arch", "golden", "hdl", "driver", "sim", "boards", "models"},
}
"""Folder to the folders that it may import, itself aside: the table of the design, and training scripts in `models`."""

MAXIMUM_LINES = 400
# Legal text, pinned versions and files that tools wrote.
UNLIMITED = {"LICENSE", "constraints.txt"}
GENERATED = re.compile(r"^models/celosia-tiny/|\.(json|bin|safetensors|svg|png|gguf)$")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|work|Users|mnt|tmp)/\w")


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def tracked_text() -> list[Path]:
    """Every text file of the repository that is not generated, as git lists them, new ones included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [path for name in names if not GENERATED.search(name) and (path := ROOT / name).is_file()]


def imported_folders(source: str, module: str, *, is_package: bool) -> set[str]:
    """The top folders that a module imports, by absolute (``celosia.hdl``) and relative (``..hdl``) imports.

    Parameters
    ----------
    source : str
        Python source.
    module : str
        Its dotted name, ``celosia.golden.machine``; needed to resolve relative imports.
    is_package : bool
        Whether it is an ``__init__``, where one dot means the package itself.
    """
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".") if is_package else module.split(".")[:-1]
            base = parts[: len(parts) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            # `from .. import hdl` names the folder among what is imported.
            names += [f"{origin}.{alias.name}" for alias in node.names] if origin == "celosia" else [origin]
    tops = {name.split(".")[1] if name.startswith("celosia.") else name for name in names}
    return tops & ALLOWED.keys()


def module_name(path: Path) -> tuple[str, bool]:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    is_package = parts[-1] == "__init__"
    if is_package:
        parts.pop()
    return ".".join(parts if parts[0] == "celosia" else ["celosia", *parts]), is_package


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_run_downwards(folder: str) -> None:
    wrong = []
    for path in sources(folder):
        module, is_package = module_name(path)
        # A module of celosia/ itself (`from .cli import main`) is not a folder.
        found = imported_folders(path.read_text(), module, is_package=is_package) - {folder} - ALLOWED[folder]
        wrong += [f"{path.relative_to(ROOT)} imports {name}" for name in sorted(found)]
    assert wrong == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from ..hdl.queue import Queue", {"hdl"}),
        ("from .. import hdl, golden", {"hdl", "golden"}),
        ("import celosia.hdl.queue as q", {"hdl"}),
        ("from celosia import hdl", {"hdl"}),
        ("def late():\n    from celosia.hdl import queue", {"hdl"}),
        ("import hdl", {"hdl"}),
        ("from .ops import silu\nimport numpy", {"golden"}),
        ("from amaranth import hdl\nfrom amaranth.hdl import Module", set()),
    ],
)
def test_import_rule_sees_every_form(source: str, found: set[str]) -> None:
    assert imported_folders(source, "celosia.golden.machine", is_package=False) == found


def test_import_rule_knows_packages() -> None:
    assert imported_folders("from ..hdl import queue", "celosia.golden", is_package=True) == {"hdl"}
    assert imported_folders("from . import ops", "celosia.golden", is_package=True) == {"golden"}
    assert imported_folders("from .hdl import queue\nfrom . import cli", "celosia", is_package=True) == {"hdl"}


def test_files_are_short() -> None:
    long = {}
    for path in tracked_text():
        if path.name in UNLIMITED:
            continue
        lines = path.read_bytes().count(b"\n")
        if lines > MAXIMUM_LINES:
            long[str(path.relative_to(ROOT))] = lines
    assert long == {}


def test_no_machine_paths() -> None:
    wrong = []
    for path in tracked_text():
        text = path.read_text(errors="replace")
        wrong += [f"{path.relative_to(ROOT)}: {match[0]}" for match in MACHINE_PATH.finditer(text)]
    assert wrong == []


def test_every_folder_is_packaged() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    python = {path.parent for folder in ALLOWED for path in sources(folder)}
    assert [str(path) for path in python if not (path / "__init__.py").is_file()] == [], "Python without __init__.py"
    folders = {name: f"celosia.{name}" if name != "celosia" else name for name in ALLOWED}
    assert settings["package-dir"] == {package: name for name, package in folders.items()}


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["test"], *extras["synth"], *extras["dev"]]
    names = {re.match(r"[\w-]+", requirement)[0].lower() for requirement in wanted}
    pins = re.findall(r"^([\w-]+)==\S+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert names - set(pins) == set()
