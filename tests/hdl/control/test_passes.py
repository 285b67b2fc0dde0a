"""The pass generator."""

from __future__ import annotations

import pytest

from celosia.hdl.control.passes import PassGenerator
from tests.harness.runner import run_bench


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize(("chunk", "stall"), [(1, 0.0), (6, 0.3), (32, 0.0)])
def test_pass_generator(chunk: int, stall: float, chunks: int) -> None:
    run_bench(
        PassGenerator(chunk=chunk, chunks=chunks),
        "tests.hdl.control.bench_passes",
        name=f"passes-{chunk}-{chunks}",
        parameters={"chunk": chunk, "chunks": chunks, "stall": stall},
    )


def test_pass_generator_wrong() -> None:
    with pytest.raises(ValueError, match=r"^chunk = 33: must be from 1 to 32$"):
        PassGenerator(chunk=33, chunks=1)
    with pytest.raises(ValueError, match=r"^chunks = 3: must be 1 or 2$"):
        PassGenerator(chunk=32, chunks=3)
