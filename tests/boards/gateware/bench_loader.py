"""Every entry of the list once and in order, whoever takes them as slowly as a serial line."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from tests.harness.bench import bench_parameters, bench_random, start_clock


@cocotb.test()
async def hands_out_the_list(dut: Any) -> None:
    """After a reset of some cycles, in which nothing is handed out."""
    random = bench_random("pace")
    dut.hold.value = 1
    dut.o__ready.value = 0
    await start_clock(dut)
    edge = RisingEdge(dut.clk)
    for _ in range(21):
        await edge
        assert dut.busy.value and not dut.o__valid.value
    dut.hold.value = 0
    got = []
    slow = 0
    # The first two as the console takes them: before the memory could answer a second time. Then as slowly as letters.
    waits = iter([4])
    while dut.busy.value or dut.o__valid.value:
        dut.o__ready.value = slow == 0
        await edge
        slow = max(0, slow - 1)
        if dut.o__valid.value and dut.o__ready.value:
            word = int(dut.o__payload.value)
            got.append([word >> 32, word & 0xFFFF_FFFF])
            slow = next(waits, random.choice([1, 7, 40]))
    assert got == bench_parameters()["entries"]
