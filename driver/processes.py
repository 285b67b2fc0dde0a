"""Other people's programs, run to their end or not at all: when this process stops waiting, all of them are gone."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

POLL_SECONDS = 0.1
_BOUND = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
for name in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(name, signal.SIG_DFL)  # Python ignores both, and what is ignored stays so
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):  # or it was gone before the kernel knew
    os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Becomes a program that the kernel kills when its parent ends. A function that the parent runs between fork and exec
could do it without a Python more, but may wait for ever for a lock of another of the parent's threads."""


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
    killed: make and Yosys have children that would go on writing into a folder that is about to be removed. On Linux
    the program, though not its children, ends even if this process is killed.

    Parameters
    ----------
    log : Path
        Written with what it prints, on stdout and stderr.
    tick : Callable
        Called about every `POLL_SECONDS`, so that progress moves.

    Raises
    ------
    FileNotFoundError
        There is no such program.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            _bound(command, folder, env),
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


def reason(code: int, said: str) -> str:
    """Why a program failed: the signal that ended it, and what it said; its exit code if there is neither.

    Parameters
    ----------
    code : int
        As `run_logged` returns it, not 0.
    said : str
        The part of its log that tells most, perhaps nothing.
    """
    if code > 0:
        return said or f"exit code {code}"
    named = {number.value: number.name for number in signal.Signals}
    hint = ", as when memory runs out" if -code == signal.SIGKILL else ""
    killed = f"killed by {named.get(-code, f'signal {-code}')}{hint}"
    return f"{killed}; it said last: {said}" if said else killed


def _bound(command: Sequence[str], folder: Path, env: Mapping[str, str] | None) -> list[str]:
    """The command, on Linux bound to this process: in truth to the thread that starts it, which also waits for it."""
    if sys.platform != "linux":
        return list(command)
    path = (os.environ if env is None else env).get("PATH")
    if shutil.which(folder / command[0] if "/" in command[0] else command[0], path=path) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
    return [sys.executable, "-ISc", _BOUND, str(os.getpid()), *command]
