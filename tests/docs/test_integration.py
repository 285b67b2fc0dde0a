"""A testbench built from the two output folders with the page's own command says what the golden machine says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from celosia import api
from celosia.arch.config import load_config
from celosia.arch.isa import Status
from celosia.arch.registers import offsets
from celosia.driver.compiler import CompiledModel
from celosia.generate import generate
from celosia.sim.cache import cached_build, content_key
from celosia.sim.toolchain import find_toolchain

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "integration.md").read_text()
SOURCE = ROOT / "examples" / "integration" / "testbench.cpp"
CONFIG = "ecp5"
PROMPT, STEPS = (84, 104, 101, 32), 3


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("integration")
    config = load_config(CONFIG)
    generate(config, root / "generated")
    api.compile_to(api.load(), config, root / "compiled")
    return root / "generated", root / "compiled"


@pytest.fixture(scope="module")
def testbench(folders: tuple[Path, Path]) -> Path:
    """Built as section 11 says, and kept by content."""
    toolchain = find_toolchain()
    command = shlex.split(re.search(r"^verilator .*$", PAGE, re.MULTILINE)[0])
    files = {path.name: path.read_bytes() for path in folders[0].iterdir() if path.suffix in (".v", ".h")}

    def build(folder: Path) -> None:
        (folder / "generated").mkdir()
        for name, content in files.items():
            (folder / "generated" / name).write_bytes(content)
        shutil.copy(SOURCE, folder)
        process = subprocess.run(
            [toolchain.executable, *command[1:]],
            cwd=folder,
            env=toolchain.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, (process.stdout + process.stderr)[-3000:]

    key = content_key(*files.values(), SOURCE.read_bytes(), " ".join(command), toolchain.version_text)
    return cached_build("integration", key, build) / "obj" / "testbench"


def _printed(testbench: Path, generated: Path, compiled: Path) -> list[list[str]]:
    command = [testbench, generated, compiled, " ".join(map(str, PROMPT)), str(STEPS)]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert process.returncode == 0, process.stderr
    return [line.split() for line in process.stdout.splitlines()]


def test_tokens_and_candidates_are_those_of_the_golden_machine(testbench: Path, folders: tuple[Path, Path]) -> None:
    lines = _printed(testbench, *folders)
    expected = api.run(api.load(), load_config(CONFIG), tokens=PROMPT, count=STEPS, device="golden")
    tokens = [[int(word) for word in line[1:]] for line in lines if line[0] == "tokens"]
    assert tokens == [expected.generated_tokens] * 2, "before the errors, and after them"
    best = [line[1].split(":")[0] for line in lines if line[0] == "candidates"]
    assert best == [str(expected.generated_tokens[-1])] * 2
    stamps = [[int(word) for word in line[1:]] for line in lines if line[0] == "token_cycles"]
    assert all(len(found) == STEPS and sorted(set(found)) == found for found in stamps)


def test_errors_are_those_of_the_page(testbench: Path, folders: tuple[Path, Path]) -> None:
    printed = {line[0]: line[1:] for line in _printed(testbench, *folders)}
    broken = CompiledModel.load(folders[1]).memory.region("final_norm").offset
    assert printed["bus_error"] == [str(int(Status.BUS_READ)), "at", str(broken)]
    assert printed["token_error"] == [str(int(Status.TOKEN_RANGE)), "at", str(0x7FFFFFFF)]


def test_another_image_says_something_else(testbench: Path, folders: tuple[Path, Path], tmp_path: Path) -> None:
    """The comparison above is worth something: a damaged image changes what is printed."""
    shutil.copytree(folders[1], tmp_path / "compiled")
    image = tmp_path / "compiled" / "image.bin"
    data = bytearray(image.read_bytes())
    start = CompiledModel.load(folders[1]).memory.region("output").offset
    data[start:] = data[start:][::-1]
    image.write_bytes(data)
    lines = [_printed(testbench, folders[0], folder) for folder in (folders[1], tmp_path / "compiled")]
    assert lines[0][0] != lines[1][0]


def test_page_has_the_registers_and_codes_of_the_map() -> None:
    stated = re.findall(r"`([A-Z_]+)` \((0x[0-9A-F]{3})[),]", PAGE)
    stated += re.findall(r"^\| `([A-Z_]+)` \| (0x[0-9A-F]{3}) \|", PAGE, re.MULTILINE)
    assert len(stated) >= 20
    assert {name: int(offset, 16) for name, offset in stated} == {name: offsets()[name] for name, _ in stated}
    pairs = re.findall(r"^\| `([A-Z_]+)_LO`, `_HI` \| (0x[0-9A-F]{3}), (0x[0-9A-F]{3}) \|", PAGE, re.MULTILINE)
    assert len(pairs) == 3
    for name, low, high in pairs:
        assert (int(low, 16), int(high, 16)) == (offsets()[f"{name}_LO"], offsets()[f"{name}_HI"])
    codes = {name: int(code) for code, name in re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", PAGE, re.MULTILINE)}
    assert codes == {status.name: status.value for status in Status if status is not Status.OK}
