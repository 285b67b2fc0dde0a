"""Registers that move into DSPs: which do, and that their netlists still do what their designs did."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from celosia.boards.ecp5_dsp import MULTIPLIER, OPERANDS, PRODUCT, absorb_registers

CLOCK = 2
FIRST = {"A": 100, "B": 200, "P": 300}
"""Wires at the multiplier; a thousand more are at the other side of the register."""


def flip_flop(data: int, output: int) -> dict[str, Any]:
    return {
        "type": "TRELLIS_FF",
        "parameters": {"CEMUX": "1 ", "CLKMUX": "CLK", "GSR": "DISABLED", "LSRMUX": "LSR", "REGSET": "RESET"},
        "port_directions": {"CLK": "input", "DI": "input", "LSR": "input", "Q": "output"},
        "connections": {"CLK": [CLOCK], "DI": [data], "LSR": ["0"], "Q": [output]},
    }


def multiplier(first: dict[str, int]) -> dict[str, Any]:
    ports = {port: [first[port[0]] + int(port[1:])] for port in [*OPERANDS["A"], *OPERANDS["B"], *PRODUCT]}
    directions = {port: "output" if port in PRODUCT else "input" for port in ports}
    return {"type": MULTIPLIER, "parameters": {}, "port_directions": directions, "connections": ports}


def module() -> dict[str, Any]:
    """A multiplier of 18 x 18 bits between registers: 72 flip-flops, inputs 1100 and 1200 up, output 1300 up."""
    cells = {"product": multiplier(FIRST)}
    for side in "AB":
        cells |= {f"{side}{i}": flip_flop(FIRST[side] + 1000 + i, FIRST[side] + i) for i in range(18)}
    cells |= {f"P{i}": flip_flop(FIRST["P"] + i, FIRST["P"] + 1000 + i) for i in range(36)}
    ports = {
        "i": {"direction": "input", "bits": [1100 + i for i in range(18)] + [1200 + i for i in range(18)]},
        "o": {"direction": "output", "bits": [1300 + i for i in range(36)]},
    }
    return {"cells": cells, "ports": ports}


def registers(design: dict[str, Any], name: str = "product") -> set[str]:
    parameters = design["cells"][name]["parameters"]
    return {key[4:-4] for key, value in parameters.items() if key.endswith("_CLK") and value == "CLK0"}


def test_all_registers_move() -> None:
    design = module()
    absorb_registers(design)
    (cell,) = design["cells"].values()
    assert registers(design) == {"INPUTA", "INPUTB", "OUTPUT"}
    wires = cell["connections"]
    assert (wires["A3"], wires["B17"], wires["P35"]) == ([1103], [1217], [1335])
    assert (wires["CLK0"], wires["CE0"], wires["RST0"]) == ([CLOCK], ["1"], ["0"])
    assert cell["parameters"]["GSR"] == "DISABLED"


@pytest.mark.parametrize(
    ("wire", "stay", "move"),
    [(105, 36, {"OUTPUT"}), (1305, 0, {"INPUTA", "INPUTB", "OUTPUT"}), (305, 36, {"INPUTA", "INPUTB"})],
)
def test_a_register_that_others_read_stays(wire: int, stay: int, move: set[str]) -> None:
    """An operand's, so that both stay; one behind the product's register, which may; the product itself."""
    design = module()
    design["ports"]["spy"] = {"direction": "output", "bits": [wire]}
    absorb_registers(design)
    assert (len(design["cells"]) - 1, registers(design)) == (stay, move)


@pytest.mark.parametrize(
    ("name", "part", "change"),
    [
        ("A3", "parameters", {"REGSET": "SET"}),
        ("B3", "parameters", {"CLKMUX": "INV"}),
        ("P3", "parameters", {"CEMUX": "CE"}),
        ("P3", "connections", {"LSR": [7]}),
        ("P3", "connections", {"CLK": [CLOCK + 1]}),
        ("A3", "connections", {"CLK": [CLOCK + 1]}),
    ],
)
def test_other_registers_stay(name: str, part: str, change: dict[str, Any]) -> None:
    design = module()
    design["cells"][name][part] |= change
    before = copy.deepcopy(design["cells"][name])
    absorb_registers(design)
    assert design["cells"][name] == before


def test_a_shared_operand_moves_with_all_of_its_readers_or_not_at_all() -> None:
    design = module()
    design["cells"]["other"] = multiplier(FIRST | {"P": 400})
    free = copy.deepcopy(design)
    absorb_registers(free)
    assert registers(free, "other") == {"INPUTA", "INPUTB"} < registers(free)
    # One bit of the other's is no register: neither takes any.
    design["cells"]["other"]["connections"]["A0"] = [1100]
    absorb_registers(design)
    assert (registers(design), registers(design, "other")) == ({"OUTPUT"}, set())
