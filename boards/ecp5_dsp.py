"""Registers around multipliers move into the DSPs of an ECP5: Yosys 0.70 leaves them outside (docs/synthesis.md)."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

MULTIPLIER = "MULT18X18D"
OPERANDS = {side: [f"{side}{index}" for index in range(18)] for side in "AB"}
PRODUCT = [f"P{index}" for index in range(36)]

Cell = dict[str, Any]
Bit = int | str
"""Of a netlist: the number of a wire, or a constant."""


def absorb_registers(module: dict[str, Any]) -> None:
    """Change a flat module of ``write_json`` in place: it does the same in every cycle, with fewer flip-flops.

    A DSP has a register at each operand and one at its product (Lattice FPGA-TN-02205). The operands' are used where
    both operands are registers, or constants, that multipliers alone read; of one that several multipliers read each
    gets its own. The product's is used where every bit of it goes to a register and nowhere else.

    Only flip-flops without enable and reset that begin with 0 are moved, as a DSP's registers do.
    """
    cells: dict[str, Cell] = module["cells"]
    multipliers = [cell for cell in cells.values() if cell["type"] == MULTIPLIER]
    plain = {name: cell for name, cell in cells.items() if _is_plain(cell)}
    readers = _readers(module)
    gone = _absorb_operands(multipliers, plain, readers)
    gone |= _absorb_products(multipliers, plain, readers, gone)
    for name in gone:
        del cells[name]


def _absorb_operands(multipliers: list[Cell], plain: dict[str, Cell], readers: Counter[Bit]) -> set[str]:
    """The flip-flops that are no longer needed."""
    by_output = {cell["connections"]["Q"][0]: name for name, cell in plain.items()}
    clocks = {bit: plain[name]["connections"]["CLK"][0] for bit, name in by_output.items()}
    gone: set[str] = set()
    for cell in _registered_operands(multipliers, clocks, readers):
        registers = {port: by_output[wire] for side in OPERANDS for port, wire in _operand(cell, side).items()}
        for port, name in registers.items():
            cell["connections"][port] = plain[name]["connections"]["DI"]
        _use(cell, ("INPUTA", "INPUTB"), plain[min(registers.values())])
        gone |= {*registers.values()}
    return gone


def _absorb_products(
    multipliers: list[Cell], plain: dict[str, Cell], readers: Counter[Bit], gone: set[str]
) -> set[str]:
    """The flip-flops that are no longer needed, none of those that are `gone`, being operands."""
    by_input: dict[Bit, list[str]] = defaultdict(list)
    for name, cell in plain.items():
        by_input[cell["connections"]["DI"][0]].append(name)
    found: set[str] = set()
    for cell in multipliers:
        wires = {port: cell["connections"].get(port, ["x"])[0] for port in PRODUCT}
        sinks = {port: by_input[wire] for port, wire in wires.items() if readers[wire]}
        if not sinks or any(len(names) != 1 or readers[wires[port]] != 1 for port, names in sinks.items()):
            continue
        registers = {names[0] for names in sinks.values()}
        clocks = {plain[name]["connections"]["CLK"][0] for name in registers} | {*cell["connections"].get("CLK0", [])}
        if len(clocks) == 1 and not registers & gone:
            for port, (name,) in sinks.items():
                cell["connections"][port] = plain[name]["connections"]["Q"]
            _use(cell, ("OUTPUT",), plain[min(registers)])
            found |= registers
    return found


def _is_plain(cell: Cell) -> bool:
    parameters = {name: str(value).strip() for name, value in cell["parameters"].items()}
    return (
        cell["type"] == "TRELLIS_FF"
        and parameters.get("CEMUX") == "1"
        and parameters.get("CLKMUX") == "CLK"
        and parameters.get("REGSET") == "RESET"
        and cell["connections"].get("LSR", ["0"]) == ["0"]
    )


def _readers(module: dict[str, Any]) -> Counter[Bit]:
    """How many inputs of cells and outputs of the module each wire goes to."""
    count: Counter[Bit] = Counter()
    for cell in module["cells"].values():
        for port, bits in cell["connections"].items():
            if cell["port_directions"].get(port) != "output":
                count.update(bit for bit in bits if isinstance(bit, int))
    for port in module["ports"].values():
        if port["direction"] != "input":
            count.update(port["bits"])
    return count


def _registered_operands(multipliers: list[Cell], clocks: dict[Bit, Bit], readers: Counter[Bit]) -> list[Cell]:
    """The multipliers whose operands' registers, of one clock, nobody else reads but others of these.

    One that drops out is a reader from outside to the registers that it shares, so it takes others with it.
    """
    chosen = [cell for cell in multipliers if _has_registers(cell, clocks)]
    while True:
        inside = Counter(wire for cell in chosen for side in OPERANDS for wire in _operand(cell, side).values())
        kept = [
            cell
            for cell in chosen
            if all(inside[wire] == readers[wire] for side in OPERANDS for wire in _operand(cell, side).values())
        ]
        if len(kept) == len(chosen):
            return kept
        chosen = kept


def _has_registers(cell: Cell, clocks: dict[Bit, Bit]) -> bool:
    """Whether each operand consists of register bits, all of one clock, and of constants, and not of these alone."""
    operands = [_operand(cell, side).values() for side in OPERANDS]
    found = {clocks.get(wire) for operand in operands for wire in operand}
    return all(operands) and len(found) == 1 and None not in found


def _operand(cell: Cell, side: str) -> dict[str, int]:
    """Ports of an operand and their wires, without those that are constant."""
    bits = {port: cell["connections"].get(port, ["0"])[0] for port in OPERANDS[side]}
    return {port: bit for port, bit in bits.items() if isinstance(bit, int)}


def _use(cell: Cell, registers: Iterable[str], like: Cell) -> None:
    """Switch registers of a multiplier on: the clock of the flip-flop that they replace, always enabled, no reset."""
    for register in registers:
        cell["parameters"] |= {
            f"REG_{register}_CLK": "CLK0",
            f"REG_{register}_CE": "CE0",
            f"REG_{register}_RST": "RST0",
        }
    cell["parameters"]["GSR"] = like["parameters"]["GSR"]
    cell["connections"] |= {"CLK0": like["connections"]["CLK"], "CE0": ["1"], "RST0": ["0"]}
    cell["port_directions"] |= {"CLK0": "input", "CE0": "input", "RST0": "input"}
