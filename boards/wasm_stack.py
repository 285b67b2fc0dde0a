"""More stack for the WebAssembly builds of nextpnr.

Those on PyPI (0.11.1) have the 64 KiB that the linker gives by default. Where nextpnr is recursive along the wires of a
net that is too little for a large design, and the stack runs into what is below it: "out of bounds memory access".
"""

import os
from pathlib import Path

import platformdirs
import wasmtime

STACK_BYTES = 64 << 20
PAGE_BYTES = 1 << 16
MEMORY, GLOBAL = 5, 6
"""Sections."""
NO_LIMIT = b"\x01\x00"
"""How a memory section begins that has one memory, which may grow."""
DEFAULT_STACK = b"\x7f\x01\x41\x80\x80\x04"
"""A global: mutable, 32 bits, from the constant 65,536."""


def deepened(module: bytes, stack_bytes: int = STACK_BYTES) -> bytes:
    """The same module with its stack behind the rest of its initial memory (WebAssembly core specification, 5.5).

    The stack pointer of clang's modules is global 0, and the end of the memory that their malloc begins with is a
    constant; it grows behind the new stack. A module that has not the default stack is returned as it is.

    Args:
        module: binary.
        stack_bytes: of the new stack, a multiple of 64 KiB.
    """
    made = bytearray(module[:8])
    place, end = 8, 0
    while place < len(module):
        section = module[place]
        size, start = _unsigned(module, place + 1)
        place = start + size
        body = module[start:place]
        if section == MEMORY and body.startswith(NO_LIMIT):
            pages = _unsigned(body, 2)[0] + stack_bytes // PAGE_BYTES
            end = pages * PAGE_BYTES
            body = NO_LIMIT + _encoded(pages)
        elif section == GLOBAL:
            first = _unsigned(body, 0)[1]
            if not end or not body.startswith(DEFAULT_STACK, first):
                return module
            value = first + len(DEFAULT_STACK)
            body = body[: first + 3] + _encoded(end, signed=True) + body[value:]
        made += bytes([section]) + _encoded(len(body)) + body
    return bytes(made)


class DeepModule(wasmtime.Module):
    """As what it inherits from, with more stack."""

    def __init__(self, engine: wasmtime.Engine, wasm: bytes) -> None:
        super().__init__(engine, deepened(wasm))


def deepen_stacks() -> None:
    """Programs that YoWASP starts in this process get more stack.

    What it compiles is kept by what the module was, so it is kept elsewhere than YoWASP's own.
    """
    wasmtime.Module = DeepModule  # type: ignore[assignment, misc]
    usual = os.environ.get("YOWASP_CACHE_DIR") or platformdirs.user_cache_dir("YoWASP", appauthor=False)
    os.environ["YOWASP_CACHE_DIR"] = str(Path(usual) / "celosia")


def _unsigned(data: bytes, place: int) -> tuple[int, int]:
    """A number in LEB128 and the place behind it."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, place


def _encoded(value: int, *, signed: bool = False) -> bytes:
    """A number in LEB128; a signed one needs a zero before it in its highest byte."""
    made = bytearray()
    while value >= (0x40 if signed else 0x80):
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])
