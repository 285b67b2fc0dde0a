"""Compiles the RTL and its memory into one shared library, once per content."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from ..arch.config import AcceleratorConfig, derive
from ..driver.processes import reason, run_logged
from ..hdl.verilog import component_verilog
from .cache import cached_build, content_key
from .toolchain import Toolchain, find_toolchain
from .top import DeviceTop

LIBRARY = "libcelosia.so"
MEMORY_LIBRARY = "libmemory.so"
_MEMORY_SOURCES = ("dram.hpp", "memory.hpp")
_DEVICE_SOURCES = ("device.cpp", "ledger.hpp", "port.hpp", *_MEMORY_SOURCES)
_REPLAY_SOURCES = ("replay.cpp", *_MEMORY_SOURCES)
_SOURCES = resources.files(__package__)

WAIVERS = _SOURCES / "waivers.vlt"
"""Which of Verilator's warnings the emitted Verilog may give, and why each is harmless."""
_LINK = ("g++", "-shared", "-O3", "-march=native", "-fPIC", "-std=c++20")


class BuildError(RuntimeError):
    """Verilator or the C++ compiler refused the design: the message has the last lines of its output."""


def build_device(
    config: AcceleratorConfig,
    *,
    trace: bool,
    waves: bool = False,
    gated: bool = True,
    report: Callable[[str], None] | None = None,
) -> Path:
    """Return the shared library of an accelerator, compiling it if it is not in the cache.

    Parameters
    ----------
    trace : bool
        Export every write to the scratchpad, the activation memory and the cache, for comparison.
    waves : bool
        Able to write a VCD (slower).
    gated : bool
        Units that have nothing to do get no clock. What the device does is the same, cycle by cycle.
    report : Callable
        Told in one line what is being done, when it takes longer than a moment.

    Raises
    ------
    BuildError, ToolMissing, CacheError
    """
    toolchain = find_toolchain()
    header = "\n".join(
        f"#define {name} {value}"
        for name, value in (
            ("PORT_BYTES", derive(config).port_bytes),
            ("PORTS", config.bus.ports),
            ("PORT_ADDRESS_BITS", config.bus.port_address_bits),
            ("FIRST_MASTER", config.bus.masters[0]),
            ("EACH_MASTER(DO)", " ".join(f"DO({master})" for master in config.bus.masters)),
            ("CHUNKS", config.vector.chunks),
            ("WITH_TRACE", int(trace)),
            ("WITH_WAVES", int(waves)),
            ("WITH_GATES", int(gated)),
        )
    )
    sources = _read(_DEVICE_SOURCES)
    flags = _flags(waves)
    verilog = _verilog(config, trace=trace, gated=gated, report=report)
    key = content_key(verilog, header, *sources.values(), " ".join(flags), toolchain.version_text)

    def build(folder: Path) -> None:
        # What Verilator makes is kept by itself: a change of our C++ then costs seconds and not minutes.
        objects = _verilated(verilog, flags, toolchain, report)
        (folder / "ports.h").write_text(header + "\n")
        _write(folder, sources)
        _link(folder, objects, toolchain)

    return cached_build("device", key, build) / LIBRARY


def build_memory() -> Path:
    """Return the shared library of the memory alone (`replay.cpp`), compiling it if it is not in the cache.

    Raises
    ------
    BuildError, ToolMissing, CacheError
    """
    toolchain = find_toolchain()
    sources = _read(_REPLAY_SOURCES)

    def build(folder: Path) -> None:
        _write(folder, sources)
        _run([*_LINK, "replay.cpp", "-o", MEMORY_LIBRARY], folder, toolchain)

    return cached_build("memory", content_key(*sources.values(), " ".join(_LINK)), build) / MEMORY_LIBRARY


def _read(names: tuple[str, ...]) -> dict[str, str]:
    return {name: (_SOURCES / name).read_text() for name in names}


def _write(folder: Path, sources: dict[str, str]) -> None:
    for name, text in sources.items():
        (folder / name).write_text(text)


def _verilog(config: AcceleratorConfig, *, trace: bool, gated: bool, report: Callable[[str], None] | None) -> str:
    """The design's Verilog, made once per content of the sources: making it takes longer than finding it."""

    def elaborate(folder: Path) -> None:
        if report:
            report("elaborating the design")
        (folder / "top.v").write_text(component_verilog(DeviceTop(config, trace=trace, gated=gated)))

    key = content_key(
        repr(config), str((trace, gated)), (_SOURCES / "top.py").read_text(), _design_sources(), version("amaranth")
    )
    return (cached_build("verilog", key, elaborate) / "top.v").read_text()


def _design_sources() -> bytes:
    """Everything that the Verilog is made from."""
    packages = [Path(str(resources.files(f"{__package__.rpartition('.')[0]}.{name}"))) for name in ("arch", "hdl")]
    files = sorted(path for package in packages for path in package.rglob("*.py"))
    return b"".join(path.read_bytes() for path in [*files, *(p / "registers.rdl" for p in packages[:1])])


def _flags(waves: bool) -> list[str]:
    optimize = "-march=native -fPIC"
    return [
        "--cc",
        "--build",
        "-j",
        "2",
        "-O3",
        "--x-assign",
        "fast",
        "--x-initial",
        "fast",
        "--noassert",
        "-Wno-fatal",
        "--top-module",
        "top",
        "--prefix",
        "Vtop",
        "--Mdir",
        "obj",
        *(["--trace-vcd"] if waves else []),
        "-CFLAGS",
        optimize,
        "-MAKEFLAGS",
        "OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O2",
    ]


def _verilated(verilog: str, flags: list[str], toolchain: Toolchain, report: Callable[[str], None] | None) -> Path:
    """The folder with `obj`: Verilator's headers and compiled archives."""

    def build(folder: Path) -> None:
        if report:
            report("compiling the simulator (once per design)")
        (folder / "top.v").write_text(verilog)
        (folder / "waivers.vlt").write_text(WAIVERS.read_text())
        _run([str(toolchain.executable), *flags, "waivers.vlt", "top.v"], folder, toolchain)

    return cached_build("verilated", content_key(verilog, " ".join(flags), toolchain.version_text), build)


def _link(folder: Path, objects: Path, toolchain: Toolchain) -> None:
    root = _verilator_include(toolchain, folder)
    include = ["-I.", f"-I{objects}/obj", f"-I{root}", f"-I{root}/vltstd"]
    archives = [f"{objects}/obj/{name}.a" for name in ("Vtop__ALL", "libverilated")]
    _run([*_LINK, *include, "device.cpp", "-o", LIBRARY, *archives, "-pthread"], folder, toolchain)


def _verilator_include(toolchain: Toolchain, folder: Path) -> str:
    """Where Verilator's headers are now: the archives may be older than the environment that holds it."""
    command = [str(toolchain.executable), "--getenv", "VERILATOR_ROOT"]
    # The last line: perl may complain about the locale before it.
    return _run(command, folder, toolchain).split()[-1] + "/include"


def _run(command: list[str], folder: Path, toolchain: Toolchain) -> str:
    log = folder / f"{Path(command[0]).name}.log"
    code = run_logged(command, log, folder=folder, env=toolchain.environment())
    text = log.read_text(errors="replace")
    if code:
        tail = " | ".join(text.strip().splitlines()[-5:])
        raise BuildError(f"{command[0]} failed in {folder.name}: {reason(code, tail)}")
    return text
