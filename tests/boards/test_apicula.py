"""Contents of block RAMs in a placed design for Gowin."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from celosia.boards.apicula import ROWS, content, exchange_contents
from celosia.boards.contents import Content
from celosia.boards.errors import SynthesisError

BYTES = 2048


def random_content(seed: int) -> Content:
    random = Random(seed)
    return tuple(random.randrange(256) for _ in range(BYTES))


def block_ram(held: Content, ninth: str = "") -> dict[str, Any]:
    """A cell: 32 bytes a parameter, the last one first, each with a ninth bit before it or without."""
    rows = [held[low : low + 32] for low in range(0, BYTES, 32)]
    text = ["".join(f"{ninth}{byte:08b}" for byte in reversed(row)) for row in rows]
    return {"type": "DP", "parameters": {"BIT_WIDTH_0": "00010", **dict(zip(ROWS, text, strict=True))}}


def test_exchange() -> None:
    """Those that hold the pattern, whichever they are, and no others."""
    first, second, third, fourth, other = (random_content(seed) for seed in range(5))
    cells = {
        "lut": {"type": "LUT4", "parameters": {"INIT": "0" * 16}},
        "b": block_ram(second),
        "table": block_ram(other),
        "a": block_ram(first, "0"),
    }
    assert content(cells["b"]) == second
    assert content(cells["a"]) == first
    exchange_contents(cells, [first, second], [third, fourth])
    assert cells == {
        "lut": {"type": "LUT4", "parameters": {"INIT": "0" * 16}},
        "b": block_ram(fourth),
        "table": block_ram(other),
        "a": block_ram(third, "0"),
    }


def test_pattern_that_is_not_there() -> None:
    first, second, third = (random_content(seed) for seed in range(3))
    with pytest.raises(SynthesisError, match=r"^1 of 2 block RAMs were not found by their pattern: synthesize again$"):
        exchange_contents({"a": block_ram(first)}, [first, second], [third, third])
