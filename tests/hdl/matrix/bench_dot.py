"""DotArray against sums of products in Python integers: random and extreme operands, a new set every cycle."""

from __future__ import annotations

from random import Random
from typing import Any

import cocotb

from tests.harness.bench import Bench, bench_parameters
from tests.harness.layouts import pack, unpack

from .reference import BLOCK
from .test_dot import array

SETS = 400


def operands(random: Random, count: int, low: int, high: int) -> list[list[int]]:
    """Blocks of 32: random, of extremes only, or all the same extreme."""
    blocks = []
    for _ in range(count):
        kind = random.randrange(4)
        if kind == 0:
            blocks.append([random.choice((low, high))] * BLOCK)
        elif kind == 1:
            blocks.append([random.choice((low, high, -1, 0)) for _ in range(BLOCK)])
        else:
            blocks.append([random.randint(low, high) for _ in range(BLOCK)])
    return blocks


@cocotb.test()
async def sums_of_products(dut: Any) -> None:
    parameters = bench_parameters()
    component = array(parameters)
    layouts = {name: member.shape for name, member in component.signature.members.items()}
    limit = (1 << (parameters["activation_bits"] - 1)) - 1
    bench = await Bench.start(dut)
    expected: list[list[list[int]]] = []
    for number in range(SETS + component.latency):
        weights = operands(bench.random, component.channels, -128, 127)
        q = operands(bench.random, component.rows, -limit, limit)
        expected.append(
            [[sum(a * b for a, b in zip(block, channel, strict=True)) for channel in weights] for block in q]
        )
        dut.weights.value = pack(layouts["weights"], weights)
        dut.q.value = pack(layouts["q"], q)
        await bench.cycles(1)
        # Sampled at the edge that takes the new operands: `latency` edges after those of the answer were taken.
        if number >= component.latency:
            answer = unpack(layouts["o"], int(dut.o.value))
            assert answer == expected[number - component.latency], f"set {number - component.latency}"
