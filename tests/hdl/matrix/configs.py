"""Configs of the benches, from the few numbers that matter to the matrix unit."""

from __future__ import annotations

from typing import Any

from celosia.arch.config import AcceleratorConfig, Array, Bus, Control, Vector
from celosia.hdl.interfaces import Interfaces


def interfaces(parameters: dict[str, Any]) -> Interfaces:
    """Interfaces of a parameter set with keys bus, rows, channels, lanes, chunk, bits, products, formats and top_k.

    With `clock_mhz` it is pipelined for that clock on ECP5.
    """
    goal = {"family": "ecp5", "clock_mhz": parameters["clock_mhz"]} if "clock_mhz" in parameters else {}
    return Interfaces(
        AcceleratorConfig(
            bus=Bus(data_bits=parameters["bus"]),
            array=Array(
                rows=parameters["rows"],
                channels=parameters["channels"],
                activation_bits=parameters["bits"],
                products_per_dsp=parameters["products"],
                formats=tuple(parameters["formats"]),
            ),
            vector=Vector(
                lanes=parameters["lanes"],
                chunk=parameters["chunk"],
                scratchpad_words=1024,
                activation_words=64,
                parameter_words=64,
                max_head_dim=32,
            ),
            control=Control(top_k=parameters["top_k"], **goal),
        )
    )


ALL = ["Q8_0", "Q4_0", "Q4_1"]

PARAMETERS: dict[str, dict[str, Any]] = {
    "r2c2v4": {
        "bus": 64,
        "rows": 2,
        "channels": 2,
        "lanes": 4,
        "chunk": 6,
        "bits": 9,
        "products": 1,
        "formats": ALL,
        "top_k": 5,
    },
    "r1c4v2": {
        "bus": 128,
        "rows": 1,
        "channels": 4,
        "lanes": 2,
        "chunk": 2,
        "bits": 8,
        "products": 2,
        "formats": ["Q8_0"],
        "top_k": 3,
    },
    "r4c1v2": {
        "bus": 64,
        "rows": 4,
        "channels": 1,
        "lanes": 2,
        "chunk": 4,
        "bits": 9,
        "products": 1,
        "formats": ALL[1:],
        "top_k": 1,
    },
    "r1c2v2": {
        "bus": 64,
        "rows": 1,
        "channels": 2,
        "lanes": 2,
        "chunk": 2,
        "bits": 9,
        "products": 2,
        "formats": ALL,
        "top_k": 2,
    },
    "r2c2v4-150": {
        "bus": 64,
        "rows": 2,
        "channels": 2,
        "lanes": 4,
        "chunk": 6,
        "bits": 9,
        "products": 1,
        "formats": ALL,
        "top_k": 3,
        "clock_mhz": 150.0,
    },
    "r1c2v2-115": {
        "bus": 64,
        "rows": 1,
        "channels": 2,
        "lanes": 2,
        "chunk": 2,
        "bits": 8,
        "products": 2,
        "formats": ["Q8_0"],
        "top_k": 2,
        "clock_mhz": 115.0,
    },
}
"""Parameter sets by name: C below V with all formats; C above V with one; one channel, one candidate; two products per
multiplier also where four of them just fit (9 bits); pipelines as deep as they get, and some registers more."""
