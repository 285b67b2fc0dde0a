"""Somebody else's AXI master on LiteDRAM: bursts of any length, several in flight on both ids, partial strobes."""

from __future__ import annotations

import logging
from random import Random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, gather
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiMaster

from tests.harness.bench import CLOCK_PERIOD_NS, bench_parameters, bench_random

BURST_BEATS = 16
ROUNDS, AT_ONCE, LONGEST = 40, 6, 400
SPAN = 1 << 14
"""Bytes: several rows and banks of each SDRAM."""

LIMIT = 200_000
"""Cycles of the whole bench."""


def _apart(random: Random) -> list[tuple[int, int]]:
    """Ranges (start, bytes) that do not touch each other: bursts in flight have no order."""
    share = SPAN // AT_ONCE
    starts = [i * share + random.randrange(share - LONGEST) for i in range(AT_ONCE)]
    return [(start, random.randint(1, LONGEST)) for start in starts]


@cocotb.test(timeout_time=LIMIT * CLOCK_PERIOD_NS, timeout_unit="ns")
async def keeps_every_byte(dut: Any) -> None:
    base, random = bench_parameters()["base"], bench_random("ranges")
    dut.sys_rst.value = 1
    Clock(dut.sys_clk, CLOCK_PERIOD_NS, "ns", impl="gpi").start()
    await ClockCycles(dut.sys_clk, 10)
    dut.sys_rst.value = 0
    master = AxiMaster(AxiBus.from_prefix(dut, "m_axi"), dut.sys_clk, dut.sys_rst, max_burst_len=BURST_BEATS)
    for half in (master.read_if, master.write_if):
        half.log.setLevel(logging.WARNING)

    content = bytearray(random.randbytes(SPAN))
    await master.write(base, bytes(content))

    async def access(start: int, size: int) -> None:
        axi_id = random.randrange(2)
        if random.random() < 0.5:
            content[start : start + size] = data = random.randbytes(size)
            await master.write(base + start, data, awid=axi_id)
        else:
            got = await master.read(base + start, size, arid=axi_id)
            assert bytes(got) == content[start : start + size], (start, size)

    for _ in range(ROUNDS):
        await gather(*(access(start, size) for start, size in _apart(random)))
    began = get_sim_time("ns")
    assert bytes(await master.read(base, SPAN)) == content
    cycles = (get_sim_time("ns") - began) / CLOCK_PERIOD_NS
    dut._log.info("%d bytes read at %.2f a cycle", SPAN, SPAN / cycles)
