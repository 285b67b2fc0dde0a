"""The wheel holds every module and data file of the tree, under `celosia` and nowhere else, and imports from there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("arch", "boards", "driver", "golden", "hdl", "models", "sim")
DATA = (
    "arch/presets/*.toml",
    "arch/registers.rdl",
    "boards/projects/*.md",
    "boards/projects/*.tcl",
    "boards/projects/*.v",
    "boards/projects/*.xdc",
    "celosia/*.html",
    "models/celosia-tiny/*",
    "sim/*.cpp",
    "sim/*.hpp",
    "sim/*.vlt",
    "sim/dram/*.toml",
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git tracks or would, so that nothing ignored slips in and the tree stays clean."""
    folder = tmp_path_factory.mktemp("source")
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listing.stdout.splitlines():
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, source]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    return next(folder.glob("*.whl"))


def test_wheel_holds_every_file(source: Path, wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in names} == {"celosia"}
    expected = {str(path.relative_to(source)) for path in (source / "celosia").glob("*.py")} | {"celosia/py.typed"}
    for folder in FOLDERS:
        expected |= {f"celosia/{path.relative_to(source)}" for path in (source / folder).rglob("*.py")}
    for pattern in DATA:
        paths = [path.relative_to(source) for path in source.glob(pattern) if path.is_file()]
        expected |= {str(path) if path.parts[0] == "celosia" else f"celosia/{path}" for path in paths}
    assert names == expected


def test_wheel_imports_away_from_the_tree(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    modules = ", ".join(f"celosia.{folder}" for folder in FOLDERS)
    code = f"import {modules}; print(celosia.hdl.__file__, celosia.sim.__file__)"
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert all(str(tmp_path / "site" / "celosia") in path for path in process.stdout.split())


def test_wheel_in_an_empty_venv_generates_verilog(wheel: Path, tmp_path: Path) -> None:
    """pip installs the wheel; its dependencies, which take a minute, are those of this environment."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    target = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel]
    subprocess.run(install, check=True, capture_output=True)
    # The venv's own packages come first, so celosia is the wheel's and not this tree's.
    dependencies = tmp_path / "dependencies"
    dependencies.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "celosia" not in path.name.lower():
            (dependencies / path.name).symlink_to(path)
    (target / "dependencies.pth").write_text(f"{dependencies}\n")
    code = "import celosia.cli as c, sys; print(c.__file__, file=sys.stderr); c.main()"
    process = subprocess.run(
        [python, "-I", "-c", code, "generate", "-o", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    where, *progress = process.stderr.splitlines()
    assert where == str(target / "celosia" / "cli.py")
    assert {*progress} <= {"elaborating", "writing"}, "nothing else, no warnings"
    assert re.search(r"^module celosia\(", (tmp_path / "out" / "celosia.v").read_text(), re.MULTILINE)
    expected = {
        "celosia.h", "celosia.rdl", "celosia.v", "files.f", "manifest.json", "registers", "registers.md",
        "celosia.core", "celosia.vlt", "celosia.xdc", "component.xml", "vivado.tcl",
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "out").iterdir()} == expected


def test_readme_is_the_description(source: Path, wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    metadata = next(archive.read(name).decode() for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    assert (source / "README.md").read_text() in metadata
