"""What a netlist for GW5A gets before nextpnr-himbaechel-gowin 0.11 places it (docs/boards.md)."""

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.resources import as_file, files
from typing import Any

from .tools import APICULA_PACKAGE, check_package

GW5AST = "GW5AST-138C"
"""As Project Apicula calls it."""
_MEMORY = re.compile(r"(?:^|\.)memory\.bank_(\d+)\.\d+\.(\d+)$")
"""Name of a block RAM of `gateware.block_memory`: its bank, and its place in the bank's words."""


def prepare_gw5a(module: dict[str, Any]) -> None:
    """Change a module of ``write_json`` in place: the block RAMs of a memory get places.

    nextpnr's placer begins with all that is free in one point; with a frame around it it takes two thirds of the time
    and wires are shorter.

    Raises:
        SynthesisError: Project Apicula is not installed.
    """
    memory = memory_blocks(module["cells"])
    if memory:
        check_package(APICULA_PACKAGE)
        arrange(memory, block_ram_places())


def memory_blocks(cells: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The block RAMs of a memory, bank by bank, each in the order of the bits of a word."""
    found = ((match, cell) for name, cell in cells.items() if (match := _MEMORY.search(name)))
    return [cell for _, cell in sorted(found, key=lambda pair: tuple(map(int, pair[0].groups())))]


def block_ram_places() -> list[str]:
    """Block RAMs of the device as nextpnr calls them, row by row, each from the left."""
    with as_file(files(APICULA_PACKAGE) / f"{GW5AST}.msgpack.xz") as database:
        grid = import_module(f"{APICULA_PACKAGE}.chipdb").load_chipdb(str(database))
    return [f"X{x}Y{y}/BSRAM" for y in range(grid.rows) for x in range(grid.cols) if "BSRAM" in grid[y, x].bels]


def arrange(memory: Sequence[dict[str, Any]], places: Sequence[str]) -> None:
    """Give block RAMs places, evenly among all: side by side they would draw more logic to them than has room there."""
    for index, cell in enumerate(memory):
        cell["attributes"]["BEL"] = places[index * len(places) // len(memory)]
