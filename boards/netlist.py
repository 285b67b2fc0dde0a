"""Reads the netlist that Yosys writes: how many cells of which kind, and which signal a cell drives."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .harness import INPUT, OUTPUT, PARITY

_HARNESS = (f"{INPUT}__", f"{OUTPUT}__", f"{PARITY}__")
MADE_BY_YOSYS = re.compile(r"\$|_(LUT4|PFUMX|L6MUX21|CCU2C|TRELLIS_FF|TRELLIS_DPR16X4|MULT18X18D|DP16KD|PDPW16KD)_")
"""Names of wires that we did not name."""
_LUT = re.compile(r"LUT\d")


@dataclass(frozen=True)
class Count:
    """Area of a design.

    Attributes:
        lut: lookup tables, those that carry chains and distributed RAM occupy included.
        ff: flip-flops of the fabric, those inside DSPs and block RAM not included.
        dsp: multiplier blocks (ECP5: 18 x 18; UltraScale+: DSP48E2).
        block_ram: memory blocks (ECP5: 18 Kbit; UltraScale+: 36 Kbit, an 18 Kbit half counts 0.5).
        carry_lut, ram_lut: the part of `lut` that is carry chains and distributed RAM or shift registers.
    """

    lut: int
    ff: int
    dsp: int
    block_ram: float
    carry_lut: int
    ram_lut: int


@dataclass(frozen=True)
class Resources:
    """What cells of a family count as.

    Attributes:
        lut, carry, ram, block_ram: cell type to how many LUTs, or blocks, one of them takes.
        ff, dsp: cell types.
    """

    lut: Mapping[str, int]
    carry: Mapping[str, int]
    ram: Mapping[str, int]
    block_ram: Mapping[str, float]
    ff: frozenset[str]
    dsp: frozenset[str]


# A CCU2C is a slice's two LUTs; a 16 x 4 RAM takes two slices for its bits and one for its write port.
ECP5_RESOURCES = Resources(
    lut={"LUT4": 1},
    carry={"CCU2C": 2},
    ram={"TRELLIS_DPR16X4": 6},
    block_ram={"DP16KD": 1, "PDPW16KD": 1},
    ff=frozenset({"TRELLIS_FF"}),
    dsp=frozenset({"MULT18X18D"}),
)

# CARRY8 sits beside the LUTs that feed it, which are counted themselves.
XCUP_RESOURCES = Resources(
    lut={"INV": 1} | {f"LUT{inputs}": 1 for inputs in range(1, 7)},
    carry={},
    ram={
        "SRL16E": 1,
        "SRLC16E": 1,
        "SRLC32E": 1,
        "RAM32X1S": 1,
        "RAM64X1S": 1,
        "RAM32X1D": 2,
        "RAM64X1D": 2,
        "RAM128X1D": 4,
        "RAM32M": 4,
        "RAM64M": 4,
        "RAM32M16": 8,
        "RAM64M8": 8,
    },
    block_ram={"RAMB18E2": 0.5, "RAMB36E2": 1},
    ff=frozenset({"FDRE", "FDSE", "FDCE", "FDPE"}),
    dsp=frozenset({"DSP48E2"}),
)


class Netlist:
    """The flat top module of a netlist.

    Attributes:
        types: cell name to cell type.
    """

    def __init__(self, module: Mapping[str, Any]) -> None:
        self._cells: Mapping[str, Any] = module["cells"]
        self.types = {name: str(cell["type"]) for name, cell in self._cells.items()}
        self._names: dict[int, list[str]] = {}
        for name, net in module["netnames"].items():
            if net["hide_name"]:
                continue
            for index, bit in enumerate(net["bits"]):
                label = f"{name}[{index}]" if len(net["bits"]) > 1 else name
                self._names.setdefault(bit, []).append(label)

    def register(self, cell: str) -> str | None:
        """The signal that a flip-flop drives, in our names; None if it has none, or the cell is no flip-flop."""
        connections = self._cells[cell]["connections"] if cell in self._cells else {}
        bits = connections.get("Q", [])
        names = self._names.get(bits[0], []) if len(bits) == 1 else []
        if not names:
            return None
        # The harness first, then the signal that Yosys named the cell after: others are ports that it passes through.
        return min(names, key=lambda name: (not name.startswith(_HARNESS), _rank(cell, name), len(name)))

    def count(self) -> dict[str, int]:
        """Cells of the unit by type, the harness left out: its registers, and the XOR gates before its parity."""
        registers = [name for name in self.types if (self.register(name) or "").startswith(_HARNESS)]
        parities = [name for name in registers if (self.register(name) or "").startswith(PARITY)]
        folded = {bit for name in parities for bit in self._bits(name, "D", "DI")}
        gates = [
            name
            for name, kind in self.types.items()
            if _LUT.match(kind) and not folded.isdisjoint(self._bits(name, "Z", "O"))
        ]
        left_out = {*registers, *gates}
        return dict(Counter(kind for name, kind in self.types.items() if name not in left_out))

    def _bits(self, cell: str, *ports: str) -> list[int]:
        connections = self._cells[cell]["connections"]
        return [bit for port in ports for bit in connections.get(port, [])]


def _rank(cell: str, name: str) -> int:
    """0 for the signal that a cell is named after, 2 for names that Yosys made of other names."""
    signal = name.split("[")[0]
    if MADE_BY_YOSYS.search(signal):
        return 2
    return 0 if cell.startswith(signal) else 1


def load_netlist(file: Path, top: str) -> Netlist:
    """Read ``write_json`` output."""
    return Netlist(json.loads(file.read_text())["modules"][top])


def area(cells: Mapping[str, int], resources: Resources) -> Count:
    """Count cells by what they occupy."""

    def total(weights: Mapping[str, float]) -> float:
        return sum(number * weights.get(kind, 0) for kind, number in cells.items())

    carry, ram = int(total(resources.carry)), int(total(resources.ram))
    return Count(
        lut=int(total(resources.lut)) + carry + ram,
        ff=sum(number for kind, number in cells.items() if kind in resources.ff),
        dsp=sum(number for kind, number in cells.items() if kind in resources.dsp),
        block_ram=total(resources.block_ram),
        carry_lut=carry,
        ram_lut=ram,
    )
