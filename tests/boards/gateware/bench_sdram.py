"""Somebody else's AXI master on the SDRAM controller, whose chip watches over its rules."""

from __future__ import annotations

import logging
from itertools import repeat
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import gather
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiMaster

from tests.boards.flows.bench_litex_memory import BURST_BEATS, keeps_every_byte  # noqa: F401, a test of this bench
from tests.boards.sdram_rules import RULES
from tests.harness.bench import CLOCK_PERIOD_NS, bench_parameters, bench_random

SPAN = 1 << 14
"""Bytes that are read and written in one go."""
FAR = 1 << 24
"""Where: rows that were not used before."""
BEAT, ACCESSES = 8, 200
"""Of those all over the chip."""


async def scatter(master: AxiMaster) -> None:
    """Single beats in flight all over the chip, so that rows are opened and closed as fast as the controller can.

    What is read is taken with pauses.
    """
    random, pace = bench_random("places"), bench_random("pace")
    master.read_if.r_channel.set_pause_generator(pace.random() < 0.9 for _ in repeat(None))
    places = random.sample(range(0, 1 << 25, BEAT), ACCESSES)
    places += [at ^ 1 << random.choice([10, 11, 12, 13]) for at in places[:100]]
    content = {at: random.randbytes(BEAT) for at in places}
    await gather(*(master.write(at, data) for at, data in content.items()))
    found = await gather(*(master.read(at, BEAT) for at in content))
    assert [bytes(data) for data in found] == list(content.values())


@cocotb.test(timeout_time=200_000 * CLOCK_PERIOD_NS, timeout_unit="ns")
async def is_fast_and_keeps_the_rules(dut: Any) -> None:
    Clock(dut.sys_clk, CLOCK_PERIOD_NS, "ns", impl="gpi").start()
    master = AxiMaster(AxiBus.from_prefix(dut, "m_axi"), dut.sys_clk, dut.sys_rst, max_burst_len=BURST_BEATS)
    for half in (master.read_if, master.write_if):
        half.log.setLevel(logging.WARNING)
    begun = {name: int(getattr(dut, name).value) for name in ("reads", "writes", "refreshes")}
    content = bytes(value * 7 % 251 for value in range(SPAN))
    rates = []
    start = get_sim_time("ns")
    for access in (lambda: master.write(FAR, content), lambda: master.read(FAR, SPAN)):
        before = get_sim_time("ns")
        found = await access()
        rates.append(SPAN * CLOCK_PERIOD_NS / (get_sim_time("ns") - before))
    assert bytes(found) == content
    cycles = (get_sim_time("ns") - start) / CLOCK_PERIOD_NS
    took = {name: int(getattr(dut, name).value) - count for name, count in begun.items()}
    assert (took["reads"], took["writes"]) == (SPAN // 2, SPAN // 2)
    assert abs(took["refreshes"] - cycles / bench_parameters()["refresh_cycles"]) <= 2
    dut._log.info("%.2f bytes a cycle written, %.2f read", *rates)
    assert rates[1] > 1.9, rates
    await scatter(master)
    assert not int(dut.broken.value), RULES[int(dut.broken.value)]
