"""ActivationFactor against the golden functions: every interval of both tables, every edge, a result every cycle."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from celosia.arch.tables import sigmoid_table
from celosia.golden import functions
from celosia.hdl.vector.gate import Factor
from tests.harness.bench import bench_parameters, bench_random, start_clock

from ..arithmetic.cases import CORNERS, any_float

GOLDEN = {
    Factor.ONE: np.ones_like,
    Factor.SIGMOID: functions.sigmoid,
    Factor.NORMAL: functions.normal_distribution,
}
SIGN = 1 << 31


def _word(value: float) -> int:
    return int(np.float32(value).view(np.uint32))


def directed() -> list[int]:
    """Words around every place where the definition changes, of both signs."""
    table = sigmoid_table()
    words = []
    # The two sides of every interval's beginning, in units of the position.
    for interval, offset in product(range(1 << table.index_bits), (-1, 0, 1)):
        words.append(_word(abs((interval << table.fraction_bits) + offset) / (1 << 22)))
    # 16, from which the factor is exact; what moves out of the position's 26 bits; the largest and the smallest number.
    edges = [_word(16.0)] + [_word(2.0**-e) for e in range(20, 30)]
    words += [edge + step for edge in edges for step in (-1, 0, 1)] + [0x7F7F_FFFF, 0x0080_0000]
    return CORNERS + [sign | word for word in words for sign in (0, SIGN)]


def _draw(random: Random) -> int:
    if random.random() < 0.2:
        return any_float(random)
    return random.getrandbits(1) << 31 | random.randint(100, 132) << 23 | random.getrandbits(23)


async def _run(dut: Any, kind: int, words: list[int]) -> None:
    """One word a cycle with one kind; the words stand behind each other in the pipeline, noise follows them."""
    values = np.array(words, np.uint32).view(np.float32)
    expected = GOLDEN[kind](values).view(np.uint32).tolist()
    dut.kind.value = kind
    edge = RisingEdge(dut.clk)
    latency = bench_parameters()["latency"]
    for cycle in range(len(words) + latency):
        dut.a.value = words[cycle] if cycle < len(words) else any_float(bench_random(f"noise {cycle}"))
        await edge
        # These are the values before the edge.
        index = cycle - latency
        if index >= 0:
            got = int(dut.o.value)
            assert got == expected[index], f"kind {kind}: {words[index]:#x} gives {got:#x}, not {expected[index]:#x}"


@cocotb.test()
async def factors(dut: Any) -> None:
    """Each kind, and the first function once more after the other ones."""
    random = bench_random("words")
    await start_clock(dut)
    for kind in (Factor.SIGMOID, Factor.NORMAL, Factor.ONE, Factor.SIGMOID):
        words = directed() + [_draw(random) for _ in range(bench_parameters()["random_words"])]
        random.shuffle(words)
        await _run(dut, kind, words)
