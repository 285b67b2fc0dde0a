"""The accelerator as Verilog text."""

import gc
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from amaranth.back import verilog
from amaranth.hdl import Elaboratable, Shape, UnusedElaboratable
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ..arch.config import AcceleratorConfig
from .control.accelerator import Accelerator
from .shared import Library

if TYPE_CHECKING:  # takes longer to import than it saves to write
    from amaranth.build.plat import TemplatedPlatform

TOP = "top"

ZERO_MEMORY = re.compile(r"^ *initial begin\n(?: *\S+ *\[\d+\] = \d+'h0+;\n)+ *end\n", re.MULTILINE)
"""The initial zeros of a memory. No unit reads what it has not written, and a line a word is megabytes."""


TRIGGER = re.compile(r"\\\$auto\$verilog_backend\.cc:\d+:dump_module\$\d+ ")
"""What Yosys adds to make combinational processes run once at the start: numbered, so that no two modules are equal."""

MODULE = re.compile(r"^(?=module )", re.MULTILINE)
NAME = re.compile(r"module (\\\S+|\w+) ?")
INSTANCE = re.compile(r"^(  )(\\\S+|\w+)( +(?:\\\S+ +|\w+) *\()$", re.MULTILINE)
"""Verilog as Yosys writes it: a module's first line, and an instance's."""


NO_BITS = re.compile(r"^ *wire \[-1:0\] .*\n", re.MULTILINE)
"""A signal without bits, which Verilog does not have; nothing refers to one."""

ESCAPED, INDEX = re.compile(r"\\\S+ "), re.compile(r"\[(\d+)\]")
"""An escaped identifier, and an index in one."""


def accelerator_verilog(config: AcceleratorConfig, *, name: str = TOP) -> str:
    """One Verilog file with the whole design, its top module called `name`; the same config gives the same text."""
    return component_verilog(Accelerator(config), name=name)


def component_verilog(component: wiring.Component, *, name: str = TOP) -> str:
    """One Verilog file with a component and all that is in it."""
    library = Library()
    with _no_collection():
        top = verilog.convert(component, name, library, emit_src=False, strip_internal_attrs=True)
        text = "".join([top, *library.verilog()])
    return _short(text)


def platform_verilog(
    platform: "TemplatedPlatform", top: Elaboratable, constraints: str, *, name: str = TOP
) -> tuple[str, str]:
    """One Verilog file with a design for a board, and the constraints of its pins and clocks.

    The platform is one of Amaranth's, whose constraints file ends with `constraints`; `top` asks it for pins.
    """
    with _no_collection():
        files = platform.prepare(top, name, emit_src=False, debug_verilog=True).files
    source, pins = (
        text.decode() if isinstance(text, bytes) else text
        for text in (files[f"{name}.debug.v"], files[f"{name}.{constraints}"])
    )
    return _short(source), pins


def _short(text: str) -> str:
    return _merge_identical(plain(TRIGGER.sub("initial_trigger ", ZERO_MEMORY.sub("", text))))


@contextmanager
def _no_collection() -> Iterator[None]:
    """No search for garbage in cycles: Amaranth makes millions of objects that stay, and more than half of the time of
    converting a large design would go into looking at them again and again.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def plain(text: str) -> str:
    """Verilog of Amaranth as every tool takes it: no signals without bits, and `\\q[3] ` renamed to `\\q.3 `.

    Yosys (0.70) takes `\\q[3] ` for bit 3 of `q` and stops in ABC9.
    """
    return ESCAPED.sub(lambda match: INDEX.sub(r".\1", match[0]), NO_BITS.sub("", text))


def _merge_identical(text: str) -> str:
    """One module for all instances with the same content: hundreds of adders and tables become one each."""
    head, *modules = MODULE.split(text)
    while True:
        kept: dict[str, str] = {}
        renamed: dict[str, str] = {}
        unique = []
        for module in modules:
            name, body = _split_name(module)
            first = kept.setdefault(body, name)
            if first == name:
                unique.append(module)
            else:
                renamed[name] = first
        if not renamed:
            return head + "".join(modules)
        modules = [_rename_instances(module, renamed) for module in unique]


def _rename_instances(module: str, renamed: dict[str, str]) -> str:
    return INSTANCE.sub(lambda match: f"{match[1]}{renamed.get(match[2], match[2])}{match[3]}", module)


def _split_name(module: str) -> tuple[str, str]:
    match = NAME.match(module)
    if match is None:
        raise AssertionError(f"no module name in {module[:60]!r}")
    return match[1], module[match.end() :]


def accelerator_ports(config: AcceleratorConfig) -> list[tuple[str, str, int]]:
    """Name, direction ("in", "out") and bits of every port, clock and reset first."""
    # Only the ports of the component are wanted; Amaranth takes one that is not elaborated for a mistake, and says so
    # when it is freed: at a collection, since it refers to itself.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnusedElaboratable)
        members = Accelerator(config).signature.members
        gc.collect()
    ports = [("clk", "in", 1), ("rst", "in", 1)]
    for name, member in members.items():
        ports.append((name, "in" if member.flow is In else "out", Shape.cast(member.shape).width))
    return ports
