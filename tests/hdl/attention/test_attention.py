"""The attention unit whole: geometries, lengths, passes, stalls."""

from __future__ import annotations

import pytest

from celosia.hdl.interfaces import Interfaces

from ...harness.runner import run_bench
from .problem import small_config
from .wrapper import AttentionWithTail

BENCH = "tests.hdl.attention.bench_attention"

NARROW = {"rows": 2, "channels": 1, "lanes": 2, "bus": 64, "lag": 1, "chunk": 4, "bits": 9}
WIDE = {"rows": 4, "channels": 4, "lanes": 2, "bus": 512, "lag": 2, "chunk": 8, "bits": 8}
SINGLE = {"rows": 1, "channels": 2, "lanes": 4, "bus": 256, "lag": 3, "chunk": 2, "bits": 9}
# Outputs leave four times as slowly as the array and the softmax make them.
# A word of the scratchpad holds several heads.
FLAT = {"rows": 2, "channels": 4, "lanes": 16, "bus": 128, "lag": 1, "chunk": 4, "bits": 9, "multiplier": 27}
TALL = {"rows": 8, "channels": 2, "lanes": 8, "bus": 64, "lag": 1, "chunk": 8, "bits": 9}


def _shape(
    kv_heads: int, group: int, head_dim: int, rows: int, position: int, k: int, spread: int = 0
) -> dict[str, int]:
    return {
        "kv_heads": kv_heads,
        "group": group,
        "head_dim": head_dim,
        "rows": rows,
        "position": position,
        "groups_per_pass": k,
        "spread": spread,
    }


SHAPES = {
    "narrow": (
        NARROW,
        [
            _shape(1, 1, 32, 1, 0, 1),  # the first token of all
            _shape(2, 1, 32, 4, 28, 2),  # multi-head; up to the end of a page
            _shape(1, 3, 32, 3, 66, 2, 3),  # multi-query; three passes, the last group half empty
            _shape(2, 2, 64, 1, 96, 1),  # two blocks; an empty tail page
            _shape(1, 2, 48, 2, 45, 1, 2),  # padded head
            _shape(1, 1, 8, 2, 33, 2),  # four heads share a block
            _shape(2, 2, 16, 1, 64, 2, 5),
        ],
    ),
    "wide": (
        WIDE,
        [
            _shape(1, 1, 32, 1, 31, 1),
            _shape(2, 3, 64, 1, 100, 1, 2),
            _shape(1, 2, 8, 8, 40, 2, 2),
            _shape(1, 4, 40, 5, 64, 1, 30),
            _shape(1, 5, 32, 8, 17, 2, 2),  # tiles that some row groups of a pass see, all of them, or none
        ],
    ),
    "flat": (
        FLAT,
        [
            _shape(2, 2, 8, 4, 28, 1, 1),
            _shape(1, 3, 12, 3, 33, 2, 3),  # heads that begin in one word and end in the next
            _shape(1, 2, 20, 1, 64, 1),
            _shape(2, 1, 40, 2, 5, 1, 2),
        ],
    ),
    "tall": (
        TALL,
        [
            _shape(4, 4, 32, 8, 7, 1, 1),  # 16 passes of a page: outputs queue up while later pages take their slots
            _shape(2, 2, 64, 7, 57, 1, 2),
        ],
    ),
    "single": (
        SINGLE,
        [
            _shape(2, 1, 32, 1, 130, 1, 3),
            _shape(1, 2, 64, 2, 62, 1, 1),
            _shape(1, 1, 16, 1, 32, 2, 30),
        ],
    ),
}


@pytest.mark.parametrize("stall", [0.0, 0.3])
@pytest.mark.parametrize("name", SHAPES)
def test_attention(name: str, stall: float) -> None:
    config, shapes = SHAPES[name]
    component = AttentionWithTail(interfaces=Interfaces(small_config(**config)))
    parameters = {"config": config, "shapes": shapes, "stall": stall, "latency": 2 if stall else 20}
    run_bench(component, BENCH, name=f"attention-{name}-stall{stall}", parameters=parameters)
