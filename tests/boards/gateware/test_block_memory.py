"""The memory of block RAMs behind an AXI4 master that is not ours."""

from random import Random

import pytest

from celosia.boards.gateware.block_memory import COLUMN_BEATS, BlockMemory

from ...harness.runner import run_bench

SEED = 5


def contents(data_bits: int, columns: int) -> list[int]:
    """What stands in the memory at first."""
    random = Random(SEED)
    return [random.getrandbits(data_bits) for _ in range(columns * COLUMN_BEATS)]


@pytest.mark.parametrize(("data_bits", "columns"), [(64, 1), (64, 6), (128, 5)])
def test_block_memory(data_bits: int, columns: int) -> None:
    """One column; a large bank and two columns; a wider bus."""
    run_bench(
        BlockMemory(data_bits=data_bits, address_bits=32, contents=contents(data_bits, columns)),
        "tests.boards.gateware.bench_block_memory",
        name=f"block-memory-{data_bits}-{columns}",
        parameters={"data_bits": data_bits, "columns": columns},
    )


@pytest.mark.parametrize("size", [0, 2047])
def test_contents_wrong(size: int) -> None:
    with pytest.raises(ValueError, match=rf"^contents has {size} words: must be a multiple of 2048, a column$"):
        BlockMemory(data_bits=64, address_bits=32, contents=[0] * size)
