"""The example bench: random pairs through `PairAdder`, stalls on both sides."""

from __future__ import annotations

from typing import Any

import cocotb

from .bench import Bench, bench_parameters
from .example import PAIR, TOTAL


@cocotb.test()
async def adds_pairs(dut: Any) -> None:
    parameters = bench_parameters()
    bench = await Bench.start(dut, limit=5_000)
    source = bench.source("i", shape=PAIR, stall=parameters["stall"])
    sink = bench.sink("o", shape=TOTAL, stall=parameters["stall"])
    corners = [(-128, -128), (127, 127), (0, 0), (-128, 127)]
    numbers = corners + [(bench.random.randint(-128, 127), bench.random.randint(-128, 127)) for _ in range(300)]
    source.send({"a": a, "b": b, "last": i % 2} for i, (a, b) in enumerate(numbers))
    received = await bench.receive(sink, len(numbers))
    assert received == [{"sum": a + b, "last": i % 2} for i, (a, b) in enumerate(numbers)]
    if not parameters["stall"]:
        assert bench.cycle == len(numbers) + 1, f"full speed takes one cycle a pair, not {bench.cycle} in all"
