"""Random ratios, 0, the largest ones, over 1 and over 0."""

from __future__ import annotations

from typing import Any

import cocotb
from amaranth.lib import data

from tests.harness.bench import Bench, bench_parameters


@cocotb.test()
async def prints(dut: Any) -> None:
    bits = bench_parameters()["bits"]
    bench = await Bench.start(dut, limit=100_000)
    source = bench.source("i", shape=data.StructLayout({"numerator": bits, "denominator": bits}), stall=0.3)
    sink = bench.sink("o", stall=0.3)
    most = (1 << bits) - 1
    ratios = [(0, 1), (most, 1), (most, most), (0, most), (9, 1), (10, 1), (9, 10), (3, 0), (most - 1, most)]
    for _ in range(25):
        ratios.append((bench.random.randrange(1 << bench.random.randint(1, bits)), bench.random.randint(1, most)))
    source.send({"numerator": numerator, "denominator": denominator} for numerator, denominator in ratios)
    for numerator, denominator in ratios:
        expected = str(numerator // denominator if denominator else most)
        assert bytes(await bench.receive(sink, len(expected))).decode() == expected
    await bench.until(lambda: not int(dut.busy.value))
    assert not sink.received
