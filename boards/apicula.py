"""From a placed design to a bitstream of a Gowin FPGA: block RAM contents are parameters in nextpnr's own text."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .contents import Content
from .errors import SynthesisError
from .tools import Tick, run_gowin_pack

ROWS = [f"INIT_RAM_{row:02X}" for row in range(64)]
"""Parameters with a block RAM's content, the lowest addresses first, as text of 0 and 1, the highest bit first."""
BYTES = 32
"""Of a row. Those of a block RAM that is a byte wide have a ninth bit each, which a memory here does not use."""


class Apicula:
    """Gowin: gowin_pack of Project Apicula.

    Parameters
    ----------
    device : str
        As gowin_pack calls it.
    """

    constraints, text, bitstream = "cst", "pnr.json", "fs"
    # LUTs and flip-flops are spread apart from each other, each to this share of the places, and then share them only
    # where the LUT feeds the flip-flop: with nextpnr's own 0.9 more would be wanted than there are (docs/boards.md).
    arguments: Sequence[str] = ("--placer-heap-beta", "0.6", "--write", "placed.pnr.json")
    settings: Mapping[str, str] = MappingProxyType({})

    def __init__(self, device: str) -> None:
        self.device = device

    def exchange(self, folder: Path, old: Sequence[Content], new: Sequence[Content], tick: Tick) -> None:
        """As `Flow.exchange`."""
        tick("block RAM contents")
        design = json.loads((folder / "placed.pnr.json").read_text())
        (module,) = design["modules"].values()
        exchange_contents(module["cells"], old, new)
        (folder / "model.pnr.json").write_text(json.dumps(design))

    def pack(self, folder: Path, tick: Tick) -> None:
        run_gowin_pack(["-d", self.device, "-o", "model.fs", "model.pnr.json"], folder, tick)


def exchange_contents(cells: Mapping[str, Any], old: Sequence[Content], new: Sequence[Content]) -> None:
    """Give `new` contents to the block RAMs that hold `old` ones, each to each.

    Raises
    ------
    SynthesisError
        Some of `old` are not there.
    """
    found = {content(cell): cell for cell in cells.values() if ROWS[0] in cell["parameters"]}
    missing = sum(before not in found for before in old)
    if missing:
        raise SynthesisError(f"{missing} of {len(old)} block RAMs were not found by their pattern: synthesize again")
    for before, after in zip(old, new, strict=True):
        cell = found[before]
        width = _byte_bits(cell)
        text = [f"{byte:0{width}b}" for byte in after]
        rows = ("".join(reversed(text[low : low + BYTES])) for low in range(0, len(text), BYTES))
        cell["parameters"] |= dict(zip(ROWS, rows, strict=True))


def content(cell: Mapping[str, Any]) -> Content:
    """What a block RAM holds, a byte an entry."""
    width = _byte_bits(cell)
    bits = "".join(cell["parameters"][row] for row in reversed(ROWS))
    return tuple(int(bits[end - 8 : end], 2) for end in range(len(bits), 0, -width))


def _byte_bits(cell: Mapping[str, Any]) -> int:
    return len(cell["parameters"][ROWS[0]]) // BYTES
