"""Four front ends that the emitted Verilog must pass; each function returns what it complains about, one line each."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import warnings
from collections import Counter
from pathlib import Path

from pyslang.ast import Compilation
from pyslang.syntax import SyntaxTree

from celosia.boards.errors import SynthesisError
from celosia.boards.tools import run_yosys
from celosia.sim.toolchain import find_toolchain

from .runner import TOP, BuildFailed, lint

SLANG_WAIVED = {
    "ArithOpMismatch": "Amaranth mixes widths as Verilog's own rules extend them",
    "CaseDefault": "the value before the case statement stays",
    "SignConversion": "Amaranth keeps signs itself and writes casts where they matter",
    "WidthExpand": "zero extension on assignment is Verilog's rule",
    "WidthTruncate": "low bits of a shift are a part selected by a signal",
}
"""Warnings of slang that may stand, and why; errors never may."""


class IcarusMissing(UserWarning):
    """The Verilog was not given to Icarus, because there is none on this machine."""


def verilator(source: Path) -> list[str]:
    """``verilator --lint-only -Wall`` with `sim/waivers.vlt`."""
    try:
        lint(source, toolchain=find_toolchain())
    except BuildFailed as error:
        return [line for line in str(error).splitlines() if line.startswith("%")]
    return []


def yosys(source: Path) -> list[str]:
    """Every module is there, no driver conflict, no undriven wire, no loop, no latch."""
    script = [
        f"read_verilog {source}",
        f"hierarchy -check -top {TOP}",
        "proc",
        "check -assert",
        "select -assert-none t:$dlatch t:$adlatch t:$dlatchsr t:$sr",
    ]
    with tempfile.TemporaryDirectory() as folder:
        try:
            run_yosys(script, Path(folder), lambda line: None)
        except SynthesisError as error:
            return [str(error)]
    return []


def slang(source: Path) -> list[str]:
    """Errors, and warnings that are not in `SLANG_WAIVED`, with their number."""
    compilation = Compilation()
    compilation.addSyntaxTree(SyntaxTree.fromFile(str(source)))
    found = Counter(
        ("error" if diagnostic.isError() else "warning", re.sub(r"DiagCode\((\w+)\)", r"\1", str(diagnostic.code)))
        for diagnostic in compilation.getAllDiagnostics()
    )
    return [
        f"{kind} {code}: {number} times"
        for (kind, code), number in sorted(found.items())
        if kind == "error" or code not in SLANG_WAIVED
    ]


def icarus(source: Path, executable: str | None = None) -> list[str]:
    """``iverilog -g2012 -t null``; a machine without it gets an `IcarusMissing` warning in pytest's summary."""
    found = shutil.which(executable or "iverilog")
    if found is None:
        warnings.warn(
            f"{source.name} was not checked with Icarus: install it (Debian and Ubuntu: apt install iverilog)",
            IcarusMissing,
            stacklevel=2,
        )
        return []
    command = [found, "-g2012", "-t", "null", "-s", TOP, str(source)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    return process.stderr.splitlines() or ["iverilog failed"] if process.returncode else []


LINTERS = {"verilator": verilator, "yosys": yosys, "slang": slang, "icarus": icarus}
"""Name to check."""
