"""Reads the netlist that Yosys writes: how many cells of which kind, and which signal a cell drives."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .harness import INPUT, OUTPUT, PARITY

_HARNESS = (f"{INPUT}__", f"{OUTPUT}__", f"{PARITY}__")
MADE_BY_YOSYS = re.compile(r"\$|_[A-Z]")
"""Names of wires that we did not name: Yosys appends types of cells, in capitals, which ours never have."""
MULTIPLIER_CPES = "CC_MULT, in CPEs"
"""What `Netlist.count` has for the multipliers of GateMate, whose size is a parameter."""
_UNNAMED = re.compile(r"(^|\.)\$[^.]*$")
"""Cells that Yosys named after nothing of ours, such as multipliers."""
_LUT = re.compile(r"LUT\d|L2T\d")
LUT_OUTPUTS = ("Z", "O", "F")
_PACKED = re.compile(r"_(DFF)?LC$")
"""What nextpnr-ice40 appends to a LUT or flip-flop when it makes a logic cell of it."""


@dataclass(frozen=True)
class Count:
    """Area of a design.

    Attributes:
        lut: lookup tables, those that carry chains and distributed RAM occupy included.
        ff: flip-flops of the fabric, those inside DSPs and block RAM not included.
        dsp: multiplier blocks, those that hold two smaller ones counted by what is used of them.
        block_ram: memory blocks, a half counts 0.5; how large one is says `families.Target.block_ram`.
        carry_lut, ram_lut: the part of `lut` that is carry chains and distributed RAM or shift registers.
    """

    lut: int
    ff: int
    dsp: float
    block_ram: float
    carry_lut: int
    ram_lut: int


@dataclass(frozen=True)
class Resources:
    """What cells of a family count as.

    Attributes:
        lut, carry, ram, block_ram, dsp: cell type to how many LUTs, or blocks, one of them takes.
        ff: cell types.
    """

    lut: Mapping[str, int]
    carry: Mapping[str, int]
    ram: Mapping[str, int]
    block_ram: Mapping[str, float]
    dsp: Mapping[str, float]
    ff: frozenset[str]

    @property
    def logic(self) -> list[str]:
        """Cells without state: what a path between registers, memories and multipliers goes through."""
        return [*self.lut, *self.carry]


class Netlist:
    """The flat top module of a netlist.

    Attributes:
        types: cell name to cell type.
    """

    def __init__(self, module: Mapping[str, Any]) -> None:
        self._cells: Mapping[str, Any] = module["cells"]
        self.types = {name: str(cell["type"]) for name, cell in self._cells.items()}
        self._names: dict[int, list[str]] = {}
        self._nets: dict[str, list[int]] = {name: net["bits"] for name, net in module["netnames"].items()}
        for name, net in module["netnames"].items():
            if net["hide_name"]:
                continue
            for index, bit in enumerate(net["bits"]):
                label = f"{name}[{index}]" if len(net["bits"]) > 1 else name
                self._names.setdefault(bit, []).append(label)

    def register(self, cell: str) -> str | None:
        """The signal that a flip-flop drives, or the nearest that has our name; None if it has none, or is none."""
        connections = self._cells[cell]["connections"] if cell in self._cells else {}
        bits = connections.get("Q", [])
        return _called(cell, self._names.get(bits[0], []) if len(bits) == 1 else [])

    def packed_register(self, cell: str) -> str | None:
        """The same for a cell of the placed design, which may be a LUT with the flip-flop behind it."""
        name = _PACKED.sub("", cell)
        if name in self._cells and _LUT.search(self.types[name]):
            driven = set(self._bits(name, *LUT_OUTPUTS))
            behind = (other for other in self.types if not driven.isdisjoint(self._bits(other, "D", "DI")))
            name = next(behind, name)
        return self.register(name)

    def __contains__(self, net: str) -> bool:
        """Whether a net is called so, by us or by Yosys."""
        return net in self._nets

    def signal(self, net: str, index: int) -> str | None:
        """Our name for a bit of a net, which Yosys may have named; None if it has none."""
        return _called(net, self._names.get(self._nets[net][index], []))

    def driver(self, net: str, index: int) -> tuple[str, str] | None:
        """Cell and port that a bit of a net comes from; None for a port of the design."""
        return next(self._at(net, index, "output"), None)

    def readers(self, net: str, index: int) -> Iterator[tuple[str, str]]:
        """Cells and ports that a bit of a net goes into."""
        return self._at(net, index, "input")

    def _at(self, net: str, index: int, direction: str) -> Iterator[tuple[str, str]]:
        bit = self._nets[net][index]
        for name, cell in self._cells.items():
            for port, bits in cell["connections"].items():
                if bit in bits and cell["port_directions"][port] == direction:
                    yield name, port

    def unnamed_port(self, cell: str, port: str) -> str | None:
        """The signal at a port of a cell that Yosys named; None if the cell has our name, or the signal has none."""
        if cell not in self._cells or not _UNNAMED.search(cell):
            return None
        return _called(cell, [name for bit in self._bits(cell, port) for name in self._names.get(bit, [])])

    def count(self) -> dict[str, int]:
        """Cells of the unit by type, the harness left out: its registers, and the XOR gates before its parity."""
        registers = [name for name in self.types if (self.register(name) or "").startswith(_HARNESS)]
        parities = [name for name in registers if (self.register(name) or "").startswith(PARITY)]
        folded = {bit for name in parities for bit in self._bits(name, "D", "DI")}
        gates = [
            name
            for name, kind in self.types.items()
            if _LUT.search(kind) and not folded.isdisjoint(self._bits(name, *LUT_OUTPUTS))
        ]
        left_out = {*registers, *gates}
        counted = Counter(kind for name, kind in self.types.items() if name not in left_out)
        counted[MULTIPLIER_CPES] = sum(map(_multiplier_cpes, self._cells.values()))
        return dict(+counted)

    def _bits(self, cell: str, *ports: str) -> list[int]:
        connections = self._cells[cell]["connections"]
        return [bit for port in ports for bit in connections.get(port, [])]


def _called(origin: str, names: list[str]) -> str | None:
    """Of the names of a signal the one for a cell or net of Yosys's, without what Yosys appended; None of none."""
    return _nearest(_best(origin, names)) if names else None


def _nearest(name: str) -> str:
    """A signal of ours without what Yosys appends where it named a wire after what is before or behind it."""
    return re.split(r"_[A-Z]", name)[0]


def _best(cell: str, names: list[str]) -> str:
    """The harness first, then the signal that Yosys named the cell after: others are ports that it passes through."""
    return min(names, key=lambda name: (not name.startswith(_HARNESS), _rank(cell, name), len(name)))


def _rank(cell: str, name: str) -> int:
    """0 for the signal that a cell is named after, 2 for names that Yosys made of other names."""
    signal = name.split("[")[0]
    if MADE_BY_YOSYS.search(signal):
        return 2
    return 0 if cell.startswith(signal) else 1


def _multiplier_cpes(cell: Mapping[str, Any]) -> int:
    """CPEs of a GateMate multiplier: two by two bits each, and one more row and column; as nextpnr builds it."""
    if cell["type"] != "CC_MULT":
        return 0
    a, b = (int(cell["parameters"][name], 2) for name in ("A_WIDTH", "B_WIDTH"))
    return ((a + 1) // 2 + 1) * ((b + 1) // 2 + 1)


def load_netlist(text: bytes, top: str) -> Netlist:
    """Read ``write_json`` output."""
    return Netlist(json.loads(text)["modules"][top])


def area(cells: Mapping[str, int], resources: Resources) -> Count:
    """Count cells by what they occupy."""

    def total(weights: Mapping[str, float]) -> float:
        return sum(number * weights.get(kind, 0) for kind, number in cells.items())

    carry, ram = int(total(resources.carry)), int(total(resources.ram))
    return Count(
        lut=int(total(resources.lut)) + carry + ram,
        ff=sum(number for kind, number in cells.items() if kind in resources.ff),
        dsp=total(resources.dsp),
        block_ram=total(resources.block_ram),
        carry_lut=carry,
        ram_lut=ram,
    )
