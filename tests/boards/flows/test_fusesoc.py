"""FuseSoC itself reads `celosia.core`, lists its targets and sets them up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from celosia.arch.config import load_config
from celosia.boards.flows.design import Design
from celosia.boards.flows.fusesoc import core_description

CORE = "celosia:ip:celosia"


def fusesoc(folder: Path, *arguments: str) -> str:
    """What it prints, given the folder and no settings of the user."""
    settings = folder.parent / "fusesoc.conf"
    settings.write_text("")
    command = [sys.executable, "-m", "fusesoc.main", "--config", str(settings), "--cores-root", str(folder)]
    done = subprocess.run([*command, *arguments], cwd=folder.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr + done.stdout
    return done.stdout


def test_targets_are_listed(folder: Path) -> None:
    shown = fusesoc(folder, "core", "show", CORE)
    targets = shown.partition("Targets:")[2].split("\n\n")[0]
    assert [line.split(":")[0].split()[0] for line in targets.strip().splitlines()] == ["default", "lint", "synth"]
    assert "Accelerator for large language models (config u280)" in shown


def test_lint_is_set_up_for_verilator(folder: Path, tmp_path: Path) -> None:
    fusesoc(folder, "run", "--target", "lint", "--setup", "--work-root", str(tmp_path / "work"), CORE)
    (arguments,) = (tmp_path / "work").glob("*.vc")
    words = arguments.read_text().split()
    assert {"--lint-only", "-Wall"} <= set(words)
    assert words[words.index("--top-module") + 1] == "celosia"
    # Verilator applies waivers to what it reads after them.
    files = [Path(word).name for word in words if word.endswith((".v", ".vlt"))]
    assert files == ["celosia.vlt", "celosia.v"]
    assert all((tmp_path / "work" / word).is_file() for word in words if word.endswith((".v", ".vlt")))


def test_synthesis_is_set_up_for_vivado(folder: Path, tmp_path: Path) -> None:
    part = "xcu280-fsvh2892-2L-e"
    work = str(tmp_path / "work")
    fusesoc(folder, "run", "--target", "synth", "--setup", "--work-root", work, CORE, "--part", part)
    script = next((tmp_path / "work").glob("*.tcl")).with_name("celosia_ip_celosia_0.1.0.tcl").read_text()
    for line in (f"set_property part {part}", "celosia.v}", "celosia.xdc}", "set_property top celosia "):
        assert line in script


@pytest.mark.parametrize("name", ["a: b # c", 'a "quoted" name', "a\\b"])
def test_any_name_of_a_config_is_yaml(name: str, folder: Path, tmp_path: Path) -> None:
    config = load_config("default")
    object.__setattr__(config, "name", name)
    text = core_description(Design(config, [], "celosia", "celosia.v", "celosia.vlt", "celosia.xdc", "0.1.0"))
    (folder / "celosia.core").write_text(text)
    assert f"(config {name})" in fusesoc(folder, "core", "show", CORE)
