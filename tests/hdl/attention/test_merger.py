"""The KV merger on a narrow and on a wide bus."""

from __future__ import annotations

import pytest

from celosia.hdl.interfaces import Interfaces

from ...harness.runner import run_bench
from .problem import small_config
from .wrapper import MergerWithTail

BENCH = "tests.hdl.attention.bench_merger"

CONFIGS = {
    "narrow": {"rows": 1, "channels": 2, "lanes": 2, "bus": 64, "lag": 2, "chunk": 8, "bits": 9},
    "pair": {"rows": 4, "channels": 2, "lanes": 2, "bus": 64, "lag": 1, "chunk": 8, "bits": 9},
    "wide": {"rows": 1, "channels": 4, "lanes": 2, "bus": 512, "lag": 1, "chunk": 8, "bits": 8},
}


def _shape(kv_heads: int, head_dim: int, rows: int, position: int) -> dict[str, int]:
    # One pass over the pages for each virtual head: as many row groups as there are rows.
    return {
        "kv_heads": kv_heads,
        "group": 1,
        "head_dim": head_dim,
        "rows": rows,
        "position": position,
        "groups_per_pass": rows,
    }


SHAPES = [
    _shape(1, 32, 1, 0),
    _shape(2, 32, 8, 24),
    _shape(1, 64, 3, 64),
    _shape(2, 64, 5, 33),
    _shape(1, 32, 1, 63),
]


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", CONFIGS)
def test_merger(name: str, stall: float) -> None:
    config = CONFIGS[name]
    component = MergerWithTail(interfaces=Interfaces(small_config(**config)))
    parameters = {"config": config, "stall": stall, "shapes": SHAPES}
    run_bench(component, BENCH, name=f"merger-{name}-stall{stall}", parameters=parameters)
