"""`examples/litex_soc.py` as a command: its help, and folders that it cannot write."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE_FILE = Path(__file__).parents[3] / "examples" / "litex_soc.py"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE_FILE), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_help_writes_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: litex_soc.py ") and "FOLDER" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("folder", "reason"), [("file", "File exists"), ("file/below", "Not a directory")])
def test_folder_that_cannot_be(folder: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = run(tmp_path, folder)
    line = f"litex_soc.py: {folder}: {reason}: give another folder\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
    assert (tmp_path / "file").read_text() == "mine"


def test_folder_with_something_in_the_way(tmp_path: Path) -> None:
    """Found by LiteX only, when it writes."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "gateware").write_text("mine")
    done = run(tmp_path, "out")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].endswith(": File exists: give another folder")
