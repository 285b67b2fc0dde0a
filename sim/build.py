"""Compiles the RTL and its memory into one shared library, once per content."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from ..arch.config import AcceleratorConfig, derive
from ..hdl.verilog import accelerator_verilog
from .cache import cached_build, content_key
from .toolchain import Toolchain, find_toolchain

LIBRARY = "libcelosia.so"
_SOURCES = resources.files(__package__)


class BuildError(RuntimeError):
    """Verilator or the C++ compiler refused the design: the message has the last lines of its output."""


def build_device(
    config: AcceleratorConfig, *, trace: bool, waves: bool = False, report: Callable[[str], None] | None = None
) -> Path:
    """Return the shared library of an accelerator, compiling it if it is not in the cache.

    Parameters
    ----------
    trace : bool
        Export every write to the scratchpad, the activation memory and the cache, for comparison.
    waves : bool
        Able to write a VCD (slower).
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
            ("BUS_BYTES", derive(config).bus_bytes),
            ("CHUNKS", config.vector.chunks),
            ("WITH_TRACE", int(trace)),
            ("WITH_WAVES", int(waves)),
        )
    )
    source = (_SOURCES / "device.cpp").read_text()
    flags = _flags(waves)
    verilog = _verilog(config, trace=trace, report=report)
    key = content_key(verilog, header, source, " ".join(flags), toolchain.version_text)

    def build(folder: Path) -> None:
        if report:
            report("compiling the simulator (once per design)")
        (folder / "top.v").write_text(verilog)
        (folder / "ports.h").write_text(header + "\n")
        (folder / "device.cpp").write_text(source)
        (folder / "waivers.vlt").write_text((_SOURCES / "waivers.vlt").read_text())
        _compile(folder, flags, toolchain)

    return cached_build("device", key, build) / LIBRARY


def _verilog(config: AcceleratorConfig, *, trace: bool, report: Callable[[str], None] | None) -> str:
    """The design's Verilog, made once per content of the sources: making it takes longer than finding it."""

    def elaborate(folder: Path) -> None:
        if report:
            report("elaborating the design")
        (folder / "top.v").write_text(accelerator_verilog(config, trace=trace))

    key = content_key(repr(config), str(trace), _design_sources(), version("amaranth"))
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


def _compile(folder: Path, flags: list[str], toolchain: Toolchain) -> None:
    command = [str(toolchain.executable), *flags, "waivers.vlt", "top.v"]
    _run(command, folder, toolchain)
    root = _verilator_include(toolchain, folder)
    objects = ["obj/Vtop__ALL.a", "obj/libverilated.a"]
    link = [
        "g++",
        "-shared",
        "-O3",
        "-march=native",
        "-fPIC",
        "-std=c++20",
        "-I.",
        "-Iobj",
        f"-I{root}",
        f"-I{root}/vltstd",
    ]
    _run([*link, "device.cpp", "-o", LIBRARY, *objects, "-pthread"], folder, toolchain)


def _verilator_include(toolchain: Toolchain, folder: Path) -> str:
    makefile = (folder / "obj" / "Vtop.mk").read_text()
    for line in makefile.splitlines():
        if line.startswith("VERILATOR_ROOT ="):
            return line.partition("=")[2].strip() + "/include"
    return str(toolchain.executable.parent.parent / "include")


def _run(command: list[str], folder: Path, toolchain: Toolchain) -> None:
    process = subprocess.run(
        command, cwd=folder, env=toolchain.environment(), capture_output=True, text=True, check=False
    )
    if process.returncode:
        tail = " | ".join((process.stdout + process.stderr).strip().splitlines()[-5:])
        raise BuildError(f"{command[0]} failed in {folder.name}: {tail}")
