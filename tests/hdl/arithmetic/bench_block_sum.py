"""BlockSum against the golden tree, words at many paces."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from celosia.arch.formats import BLOCK
from celosia.golden.numerics import block_sum
from tests.harness.bench import bench_parameters, bench_random, start_clock

from .cases import any_float


def pace(random: Random) -> Iterator[bool]:
    """Whether a word comes, cycle after cycle: without a pause, now and then, in runs with gaps between them."""
    while True:
        kind = random.choice(["runs", "now and then", "short", "full"])
        if kind == "full":
            yield from [True] * 400
        elif kind == "now and then":
            often = random.random()
            yield from (random.random() < often for _ in range(200))
        for _ in range(20):
            longest = 3 if kind == "short" else 40
            yield from [True] * random.randint(1, longest)
            yield from [False] * random.randint(0, longest)


@cocotb.test()
async def sums(dut: Any) -> None:
    """Each block's sum, in order, however its words come."""
    lanes, blocks = bench_parameters()["lanes"], bench_parameters()["blocks"]
    bits = 0x7FFF_FFFF if bench_parameters()["positive"] else 0xFFFF_FFFF
    random = bench_random("blocks")
    words = np.array([[any_float(random) & bits for _ in range(BLOCK)] for _ in range(blocks)], np.uint32)
    expected = block_sum(words.view(np.float32)).view(np.uint32).tolist()
    dut.valid.value = 0
    await start_clock(dut)
    edge, comes = RisingEdge(dut.clk), pace(bench_random("pace"))
    inputs, got = iter(words.reshape(-1, lanes).tolist()), []
    word = next(inputs, None)
    idle = 0
    while idle < 100:
        here = word is not None and next(comes)
        dut.valid.value = here
        value = word if here else [any_float(random) & bits] * lanes
        dut.i.value = sum(element << 32 * lane for lane, element in enumerate(value or []))
        if here:
            word = next(inputs, None)
        idle = idle + 1 if word is None else 0
        await edge
        if dut.o_valid.value:
            got.append(int(dut.o.value))
    assert len(got) == blocks
    wrong = [index for index, (a, b) in enumerate(zip(got, expected, strict=True)) if a != b]
    assert not wrong, f"block {wrong[0]}: {got[wrong[0]]:#x}, not {expected[wrong[0]]:#x}"
