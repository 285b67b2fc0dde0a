"""Configs of the benches, from the few numbers that matter to the vector unit."""

from __future__ import annotations

from typing import Any

from celosia.arch.config import AcceleratorConfig, Array, Bus, Control, Vector
from celosia.hdl.interfaces import Interfaces

PARAMETERS: dict[str, dict[str, Any]] = {
    "v2r1": {"bus": 128, "rows": 1, "channels": 2, "lanes": 2, "chunk": 3, "chunks": 1, "bits": 8},
    "v8r4": {"bus": 64, "rows": 4, "channels": 2, "lanes": 8, "chunk": 8, "chunks": 2, "bits": 9},
    "v32r2": {"bus": 512, "rows": 2, "channels": 8, "lanes": 32, "chunk": 2, "chunks": 1, "bits": 9, "multiplier": 27},
    "v2r1-100": {"bus": 64, "rows": 1, "channels": 2, "lanes": 2, "chunk": 2, "chunks": 1, "bits": 9, "clock_mhz": 100},
    "v8r2-150": {"bus": 64, "rows": 2, "channels": 2, "lanes": 8, "chunk": 4, "chunks": 2, "bits": 8, "clock_mhz": 150},
}
"""Parameter sets by name: a beat of two words, one bank; a quarter of a word, four banks, two chunks; a word is a block
and has room for four heads; some registers more for a clock, and as many as there are.
"""


def interfaces(parameters: dict[str, Any]) -> Interfaces:
    """Interfaces of a parameter set with keys bus, rows, channels, lanes, chunk, chunks, bits, and multiplier or 18.

    With `clock_mhz` it is pipelined for that clock on ECP5.
    """
    lanes = parameters["lanes"]
    goal = {"family": "ecp5", "clock_mhz": float(parameters["clock_mhz"])} if "clock_mhz" in parameters else {}
    return Interfaces(
        AcceleratorConfig(
            bus=Bus(data_bits=parameters["bus"]),
            array=Array(
                rows=parameters["rows"],
                channels=parameters["channels"],
                activation_bits=parameters["bits"],
                multiplier_bits=parameters.get("multiplier", 18),
            ),
            vector=Vector(
                lanes=lanes,
                chunk=parameters["chunk"],
                chunks=parameters["chunks"],
                scratchpad_words=16384 // lanes,
                activation_words=512,
                parameter_words=2048 // lanes,
                max_head_dim=96,
            ),
            control=Control(**goal),
        )
    )
