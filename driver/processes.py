"""Other people's programs, run to their end or not at all: when this process stops waiting, all of them are gone."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

POLL_SECONDS = 0.1


def run_logged(
    command: Sequence[str],
    log: Path,
    *,
    folder: Path,
    env: Mapping[str, str] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> int:
    """Run a program in a folder until it ends; returns its exit code.

    The program gets a process group of its own. If the wait ends early, by Ctrl-C or by anything else, the group is
    killed: make and Yosys have children that would go on writing into a folder that is about to be removed.

    Parameters
    ----------
    log : Path
        Written with what it prints, on stdout and stderr.
    tick : Callable
        Called about every `POLL_SECONDS`, so that progress moves.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        try:
            while True:
                try:
                    return process.wait(POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    tick()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
