"""Programs that are run for us: their exit code and what they print, and that none is left when we are gone."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from celosia.driver.processes import reason, run_logged


@pytest.mark.parametrize("in_thread", [False, True])
def test_program_has_code_log_folder_and_environment(tmp_path: Path, in_thread: bool) -> None:
    """From any thread, while others run."""
    found: list[int] = []
    command = ["sh", "-c", 'pwd; echo "$X"; echo error >&2; exit 3']

    def run() -> None:
        found.append(run_logged(command, tmp_path / "log", folder=tmp_path, env={**os.environ, "X": "y"}))

    if in_thread:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    else:
        run()
    assert found == [3]
    assert (tmp_path / "log").read_text() == f"{tmp_path}\ny\nerror\n"


def test_signals_are_not_ignored(tmp_path: Path) -> None:
    """As Python ignores SIGPIPE: what writes into a pipe that nobody reads would complain or go on for ever."""
    command = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    assert run_logged(command, tmp_path / "log", folder=tmp_path) == -signal.SIGKILL
    assert run_logged(["sh", "-c", "kill -PIPE $$"], tmp_path / "log", folder=tmp_path) == -signal.SIGPIPE


@pytest.mark.parametrize(
    ("code", "said", "why"),
    [
        (3, "", "exit code 3"),
        (3, "ERROR: no", "ERROR: no"),
        (-signal.SIGKILL, "", "killed by SIGKILL, as when memory runs out"),
        (-40, "", "killed by signal 40"),
        (-signal.SIGABRT, "Assert", "killed by SIGABRT; it said last: Assert"),
    ],
)
def test_why_a_program_failed(code: int, said: str, why: str) -> None:
    assert reason(code, said) == why


@pytest.mark.parametrize("name", ["no-such-program", "./no-such-program", "/no/such/program"])
def test_no_such_program(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        run_logged([name], tmp_path / "log", folder=tmp_path)
    assert caught.value.filename == name


def test_program_below_its_folder(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 5\n")
    program.chmod(0o755)
    assert run_logged(["./program"], tmp_path / "log", folder=tmp_path) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not tell a child that its parent ended")
def test_program_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from celosia.driver.processes import run_logged
run_logged(["sh", "-c", "echo $$ > id; exec sleep 60"], Path("log"), folder=Path({str(tmp_path)!r}))
"""
    identity = tmp_path / "id"
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) as parent:
        while not identity.exists() or not identity.read_text().endswith("\n"):
            assert parent.poll() is None
            time.sleep(0.01)
        parent.kill()
    child = int(identity.read_text())
    try:
        for _ in range(500):
            if _ended(child):
                return
            time.sleep(0.01)
        pytest.fail("the program runs on")
    finally:
        if not _ended(child):
            os.kill(child, signal.SIGKILL)


def _ended(process: int) -> bool:
    """Gone, or dead and not yet waited for by whoever has inherited it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
