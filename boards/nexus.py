"""What a Nexus netlist of Yosys 0.70 needs before nextpnr-nexus 0.11 takes it (docs/synthesis.md)."""

from typing import Any

FEED_IN = "0x00AA"
"""`INIT1` of a CCU2 that only begins a carry chain: its carry out is its input A1, whatever its carry in."""
OSCILLATOR_DIVIDER = "4"
"""Of some 480 MHz, less one: 96 MHz, the goal that nextpnr derives for the clock."""


def prepare_nexus(module: dict[str, Any]) -> None:
    """Change a module of ``write_json`` in place.

    ABC9 ties the carry input of every chain's first cell to a constant, which nextpnr refuses; and nextpnr finds no
    route from any pin to a clock buffer, so that the clock comes from the chip's own oscillator instead of `clk`.
    """
    cells = module["cells"]
    for cell in cells.values():
        if cell["type"] == "CCU2" and cell["parameters"].get("INIT1") == FEED_IN:
            cell["connections"].pop("CIN", None)
    pin = module["ports"].pop("clk")["bits"]
    buffer = next(name for name, cell in cells.items() if cell["type"] == "IB" and cell["connections"]["I"] == pin)
    clock = cells.pop(buffer)["connections"]["O"]
    enabled = next(cell["connections"]["Z"] for cell in cells.values() if cell["type"] == "VHI")
    cells["oscillator"] = {
        "hide_name": 0,
        "type": "OSCA",
        "parameters": {"HF_CLK_DIV": OSCILLATOR_DIVIDER, "HF_OSC_EN": "ENABLED", "LF_OUTPUT_EN": "DISABLED"},
        "attributes": {},
        "port_directions": {"HFOUTEN": "input", "HFCLKOUT": "output"},
        "connections": {"HFOUTEN": enabled, "HFCLKOUT": clock},
    }
