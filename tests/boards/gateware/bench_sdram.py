"""Somebody else's AXI master on the SDRAM controller, whose chip watches over its rules."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import cocotb
from cocotb.clock import Clock

from tests.boards.flows.bench_litex_memory import BURST_BEATS, keeps_every_byte  # noqa: F401, a test of this bench
from tests.boards.gateware.traffic import master_of, rate, scatter
from tests.boards.sdram_rules import RULES
from tests.harness.bench import CLOCK_PERIOD_NS, bench_random

FAR = 1 << 24
"""Where rows were not used before."""


@cocotb.test(timeout_time=200_000 * CLOCK_PERIOD_NS, timeout_unit="ns")
async def is_fast_and_keeps_the_rules(dut: Any) -> None:
    Clock(dut.sys_clk, CLOCK_PERIOD_NS, "ns", impl="gpi").start()
    master = master_of(dut, BURST_BEATS)
    found = await rate(dut, master, far=FAR, access_bytes=2)
    assert found > 1.9, found
    pace = bench_random("pace")
    master.read_if.r_channel.set_pause_generator(pace.random() < 0.9 for _ in repeat(None))
    await scatter(master, capacity=1 << 25, near=(10, 11, 12, 13))
    assert not int(dut.broken.value), RULES[int(dut.broken.value)]
