"""The flash's bytes in order, as fast as they come and as slowly as they are taken; clocks before it is selected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge, Timer

from tests.harness.bench import Bench, bench_parameters, bench_random

BYTE_CYCLES = 16


@cocotb.test()
async def reads_on(dut: Any) -> None:
    parameters = bench_parameters()
    start, count = parameters["start"], parameters["count"]
    content = list(bench_random("content").randbytes(count))
    Path("flash.hex").write_text(f"@{start:x}\n" + "".join(f"{byte:02x}\n" for byte in content))
    for value in (0, 1, 0):
        dut.load.value = value
        await Timer(1, "ns")
    bench = await Bench.start(dut, limit=1000 * count)
    clocks = 0
    while not dut.cs.value:
        await RisingEdge(dut.clk)
        clocks += int(dut.clock.value)
    assert clocks == 16
    sink = bench.sink("o")
    begun = bench.cycle
    first = await bench.receive(sink, count // 2)
    # Behind a command of 32 bits, each of two cycles.
    assert bench.cycle - begun <= 64 + BYTE_CYCLES * (count // 2) + 4
    sink.stall = 0.97
    assert first + await bench.receive(sink, count - count // 2) == content
    assert not dut.broken.value
