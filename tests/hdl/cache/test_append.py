"""Tail buffer, page writer and block table on buses of 64 to 512 bits."""

from __future__ import annotations

from typing import Any

import pytest

from celosia.arch.config import AcceleratorConfig
from celosia.hdl.interfaces import Interfaces

from ...harness.runner import run_bench
from .wrapper import Append

BENCH = "tests.hdl.cache.bench_append"


def _config(bus: int, channels: int, sequences: int, burst_beats: int, chunks: int) -> dict[str, Any]:
    return {
        "bus": {"data_bits": bus, "burst_beats": burst_beats, "outstanding": 3, "address_bits": 40},
        "array": {"rows": 2, "channels": channels},
        "vector": {"lanes": 2, "chunk": 4, "chunks": chunks},
        "cache": {"pages": 11, "sequences": sequences, "pages_per_sequence": 5, "tail_words": 6 * 32 // channels},
    }


def _append(kv_heads: int, head_blocks: int, rows: int, position: int, sequence: int = 0) -> dict[str, int]:
    return {
        "kv_heads": kv_heads,
        "head_blocks": head_blocks,
        "rows": rows,
        "position": position,
        "sequence": sequence,
    }


APPENDS = [
    _append(1, 1, 1, 0),
    _append(2, 1, 3, 61),
    _append(1, 3, 4, 17),
    _append(6, 1, 2, 30),
    _append(2, 3, 1, 95),
    _append(1, 2, 4, 32),
    _append(4, 1, 4, 8),
    _append(2, 2, 3, 12),
]

CONFIGS = {
    "bus64": _config(64, 1, 1, 16, 2),
    "bus256": _config(256, 4, 3, 4, 2),
    "bus512": _config(512, 4, 2, 16, 1),
}


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", CONFIGS)
def test_append(name: str, stall: float) -> None:
    config = CONFIGS[name]
    sequences = config["cache"]["sequences"]
    appends = [fields | {"sequence": i % sequences} for i, fields in enumerate(APPENDS)]
    run_bench(
        Append(interfaces=Interfaces(AcceleratorConfig.from_dict(config))),
        BENCH,
        name=f"append-{name}-stall{stall}",
        parameters={"config": config, "stall": stall, "appends": appends},
    )
