"""The outside of a bench: from an Amaranth component to a cocotb run on Verilator, compiled once per content."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cocotb
import cocotb_tools.config
from amaranth.back import verilog
from amaranth.lib import wiring
from cocotb_tools import runner as cocotb_runner

from celosia import sim
from celosia.hdl.verilog import NO_BITS
from celosia.sim.cache import cache_root, cached_build, content_key
from celosia.sim.toolchain import Toolchain, find_toolchain, require_libpython

from .bench import PARAMETERS_VARIABLE
from .netlist import cell_models, netlist

SEED_VARIABLE = "CELOSIA_SEED"
WAVES_VARIABLE = "CELOSIA_WAVES"
NETLIST_VARIABLE = "CELOSIA_NETLIST"
"""A family: benches run on the netlist of that, instead of the design (``pytest --netlist FAMILY``)."""
WAIVERS = Path(sim.__file__).with_name("waivers.vlt")
TOP = "top"
# Optimizing costs more than it saves in runs of a few thousand cycles; long benches pass `optimize=True`.
_LEVELS = {False: "-O1", True: "-O3"}
_HEADER = "runtime.h"
_INCLUDES = "".join(
    f"#include {header}\n"
    for header in ("<memory>", "<string>", '"verilated.h"', '"verilated_dpi.h"', '"verilated_vpi.h"')
)
"""Of every file that Verilator writes, and of cocotb's."""
_HEADER_OF_THE_DESIGN = "none"
_SPEEDS = ("fast", "slow")
"""Verilator's makefile precompiles a header once for each, with the flags of code that runs often, or once."""


class BenchFailed(AssertionError):
    """A cocotb test failed, or the simulator ended without a verdict."""


class BuildFailed(RuntimeError):
    """The Verilog does not pass lint or does not compile; the message holds the tool's own."""


def run_bench(
    component: wiring.Component | str,
    test_module: str,
    *,
    name: str,
    parameters: Mapping[str, Any],
    seed: int | None = None,
    public: Sequence[tuple[str, str]] = (),
    optimize: bool = False,
    family: str | None = None,
    ours: bool = True,
) -> None:
    """Run the cocotb tests of a module on a component and raise if one fails.

    Parameters
    ----------
    component : wiring.Component or str
        Becomes module ``top``; its ports are visible to the bench, everything inside is not. Or Verilog that has it.
    test_module : str
        Dotted name of the module with ``@cocotb.test()`` functions.
    name : str
        Name of this bench and parameter set: default seed, printed line, waveform file.
    parameters : Mapping
        What the bench needs to know, as JSON values; it reads them with ``bench_parameters()``.
    seed : int or None
        None derives one from `name`; ``pytest --seed N`` overrides either.
    public : sequence of (module, signal)
        Verilog names inside the design that the bench reads too. Each slows the simulation.
    optimize : bool
        Compile for speed of simulation (worth it above some 100,000 cycles) instead of speed of compilation.
    family : str or None
        Run on the netlist of a family (`netlist.FAMILIES`); ``pytest --netlist FAMILY`` overrides None.
    ours : bool
        Lint it, and take its netlist with ``pytest --netlist FAMILY``. What others' generators write is not ours to
        tidy, and the models of chips beside it are not for synthesis.

    Raises
    ------
    BenchFailed
        With name and message of every failed cocotb test.
    BuildFailed
        If Verilator reports anything but the waived warnings, or compilation fails.
    ToolMissing
        If the machine lacks Verilator, a compiler or a shared libpython.
    """
    seed = _choose_seed(name, seed)
    family = family or (os.environ.get(NETLIST_VARIABLE) if ours else None)
    design = f"netlist ({family}) of bench" if family else "bench"
    print(f"{design} {name}: seed {seed} (replay: pytest --seed {seed})")
    waves = os.environ.get(WAVES_VARIABLE)
    build = build_bench(component, public=public, optimize=optimize, waves=waves is not None, family=family, ours=ours)
    with tempfile.TemporaryDirectory(prefix="celosia-bench-") as folder:
        results = Path(folder) / "results.xml"
        try:
            cocotb_runner.get_runner("verilator").test(
                test_module=test_module,
                hdl_toplevel=TOP,
                hdl_toplevel_lang="verilog",
                build_dir=build,
                test_dir=folder,
                results_xml=str(results),
                seed=seed,
                waves=waves is not None,
                extra_env={PARAMETERS_VARIABLE: json.dumps(dict(parameters))},
            )
        except SystemExit:
            # The runner exits where a function would raise; the results file says what happened.
            _raise_failures(results, name, seed)
            raise BenchFailed(f"{name} (seed {seed}): the simulator failed after all tests passed") from None
        finally:
            if waves is not None:
                _keep_waves(Path(folder) / "dump.vcd", Path(waves) / f"{name}.vcd")
        _raise_failures(results, name, seed)


def build_bench(
    component: wiring.Component | str,
    *,
    public: Sequence[tuple[str, str]] = (),
    optimize: bool = False,
    waves: bool = False,
    family: str | None = None,
    ours: bool = True,
) -> Path:
    """Convert, lint and compile a component, or its netlist; returns the folder with the simulation, from the cache if
    it is there."""
    require_libpython()
    toolchain = find_toolchain()
    converted = component if isinstance(component, str) else verilog.convert(component, name=TOP, emit_src=False)
    source = NO_BITS.sub("", converted)
    arguments = ["--no-public-flat-rw"]
    cells, found = "", []
    if family:
        ours = False  # nor is what Yosys writes
        source = netlist(source, TOP, family, [signal for module, signal in public if module == TOP])
        cells, found = cell_models(family)
    if not ours:
        arguments += ["-Wno-fatal", "-Wno-lint", *found]
    visible = _control_file(source, public)
    # The simulation is linked against cocotb's libraries where they are, so their folder counts.
    libraries = [cocotb.__version__, str(cocotb_tools.config.libs_dir)]
    compiled = _make_flags(_LEVELS[optimize])
    runtime = json.dumps([compiled, _INCLUDES, waves, toolchain.version, toolchain.make_flags, libraries])
    key = content_key(source, cells, visible, WAIVERS.read_bytes(), json.dumps(arguments), runtime)

    def build(folder: Path) -> None:
        (folder / "top.v").write_text(source + cells)
        (folder / "public.vlt").write_text(visible)
        if ours:
            lint(folder / "top.v", toolchain=toolchain)
        with _environment({**toolchain.env, "MAKEFLAGS": f"{toolchain.env['MAKEFLAGS']} {compiled}"}):
            _with_runtime(folder, content_key(runtime), lambda: _compile(folder, arguments, waves))

    return cached_build("bench", key, build)


def lint(source: Path, *, toolchain: Toolchain) -> None:
    """Run ``verilator --lint-only -Wall`` with the waivers.

    Raises
    ------
    BuildFailed
        With everything that Verilator says, if it says anything.
    """
    command = [str(toolchain.executable), "--lint-only", "-Wall", "--top-module", TOP, str(WAIVERS), str(source)]
    process = subprocess.run(command, env=toolchain.environment(), capture_output=True, text=True, check=False)
    if process.returncode:
        raise BuildFailed(f"lint of {source.name} failed:\n{process.stderr}")


def _make_flags(level: str) -> str:
    """For make: code that runs once is not optimized, and `_HEADER` takes the place of a header of each design's own,
    which would be compiled twice."""
    fast, slow = (f"{level}\\ -include\\ {_HEADER}" for level in (level, "-O0"))
    design = f"VK_PCH_H={_HEADER_OF_THE_DESIGN} VK_PCH_I_FAST= VK_PCH_I_SLOW="
    return f"OPT_FAST={fast} OPT_SLOW={slow} OPT_GLOBAL={fast} {design}"


def _with_runtime(folder: Path, key: str, compile_design: Callable[[], None]) -> None:
    """Compile a design with what an earlier one left: the Verilator runtime and the precompiled header, most of the
    cost of a small bench.

    The runner calls Verilator and make in one go, and make compares the objects with the makefile that Verilator has
    just written, so they are put into the folder dated ahead of it.
    """
    runtime = cache_root() / "runtime" / key
    precompiled = f"{_HEADER}.gch"  # a folder, of which the compiler takes what was made with its own flags
    (folder / _HEADER).write_text(_INCLUDES)
    for speed in _SPEEDS:
        (folder / f"{_HEADER_OF_THE_DESIGN}.{speed}.gch").touch()
    if runtime.is_dir():
        for compiled in runtime.glob("*.o"):
            ahead = time.time() + 86400
            os.utime(shutil.copy(compiled, folder), (ahead, ahead))
        (folder / precompiled).symlink_to(runtime / precompiled)
    compile_design()

    def keep(entry: Path) -> None:
        for compiled in folder.glob("verilated*.o"):
            shutil.copy(compiled, entry)
        headers = [f"{_HEADER}.{speed}.gch" for speed in _SPEEDS]
        make = ["make", "-C", folder, "-f", f"V{TOP}.mk", *headers]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)  # what the compiler has to say stays on stderr
        (entry / precompiled).mkdir()
        for header in headers:
            shutil.move(folder / header, entry / precompiled)

    cached_build("runtime", key, keep)
    for leftover in [*folder.glob("*.o"), *folder.glob("*.a"), *folder.glob("*.gch")]:
        leftover.unlink()  # most of the size, and never linked again


def _compile(folder: Path, arguments: list[str], waves: bool) -> None:
    """The runner takes its tools from this process's environment only."""
    log = folder / "build.log"
    runner = cocotb_runner.get_runner("verilator")
    try:
        runner.build(
            sources=[WAIVERS, folder / "public.vlt", folder / "top.v"],
            hdl_toplevel=TOP,
            build_dir=folder,
            build_args=arguments,
            waves=waves,
            log_file=log,
        )
    except RuntimeError as error:
        raise BuildFailed(f"Verilator or the compiler failed:\n{log.read_text()[-4000:]}") from error


def _control_file(source: str, public: Sequence[tuple[str, str]]) -> str:
    """A Verilator control file that makes the ports of the top module, and `public`, accessible to the bench."""
    body = re.search(rf"^module {TOP}\b.*?^endmodule", source, re.DOTALL | re.MULTILINE)
    if body is None:
        raise BuildFailed(f"no module {TOP} in the emitted Verilog")
    # Declared in the body, as Yosys does, or in the head, as LiteX does.
    kind = r"(?:input|output|inout) +"
    declared = rf"^  {kind}(?:\[[^]]*\] )?(\S+);|^    {kind}(?:wire|reg) +(?:\[[^]]*\] +)?(\w+),?$"
    ports = [old or new for old, new in re.findall(declared, body[0], re.MULTILINE)]
    lines = [
        f'public_flat_rw -module "{module}" -var "{signal}"'
        for module, signal in [*((TOP, port) for port in ports), *public]
    ]
    return "\n".join(["`verilator_config", *lines, ""])


def _choose_seed(name: str, seed: int | None) -> int:
    override = os.environ.get(SEED_VARIABLE)
    if override is not None:
        return int(override)
    return zlib.crc32(name.encode()) if seed is None else seed


def _raise_failures(results: Path, name: str, seed: int) -> None:
    where = f"{name} (seed {seed})"
    if not results.is_file():
        raise BenchFailed(f"{where}: the simulator ended without a results file")
    cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    if not cases:
        raise BenchFailed(f"{where}: no cocotb test was found")
    failures = [
        f"{case.get('name')}: {fault.get('message') or fault.text}"
        for case in cases
        for fault in [*case.findall("failure"), *case.findall("error")]
    ]
    if failures:
        raise BenchFailed("\n".join([f"{where}:", *failures]))


def _keep_waves(recorded: Path, target: Path) -> None:
    if recorded.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(recorded.read_bytes())


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
