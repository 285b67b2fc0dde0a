"""What happens at the doorbell, and the sticky bit that it clears."""

from __future__ import annotations

from dataclasses import replace

import pytest

from celosia.hdl.control.saturation import Saturation
from celosia.hdl.control.start import JobStart
from celosia.hdl.interfaces import Interfaces
from tests.harness.runner import run_bench
from tests.hdl.stream.configs import CONFIGS


@pytest.mark.parametrize("pages", [1, 7])
def test_job_start(pages: int) -> None:
    config = CONFIGS["w8"]
    cache = replace(config.cache, pages_per_sequence=pages)
    run_bench(
        JobStart(replace(config, cache=cache)),
        "tests.hdl.control.bench_start",
        name=f"start-{pages}",
        parameters={"pages": pages},
    )


@pytest.mark.parametrize("lanes", [2, 8])
def test_saturation(lanes: int) -> None:
    config = CONFIGS["w8"]
    vector = replace(config.vector, lanes=lanes)
    run_bench(
        Saturation(Interfaces(replace(config, vector=vector))),
        "tests.hdl.control.bench_saturation",
        name=f"saturation-{lanes}",
        parameters={"lanes": lanes, "words": vector.scratchpad_words},
    )
