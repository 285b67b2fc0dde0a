"""What the benches of SDRAM and DDR3 ask of a port: long bursts, and single beats all over the chip."""

from __future__ import annotations

import logging
from typing import Any

from cocotb.triggers import gather
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiMaster

from tests.harness.bench import CLOCK_PERIOD_NS, bench_parameters, bench_random

SPAN = 1 << 14
"""Bytes that are read and written in one go."""
BEAT, ACCESSES = 8, 200
"""Of those all over the chip."""


def master_of(dut: Any, burst_beats: int) -> AxiMaster:
    """Somebody else's, silent, at the port ``m_axi``."""
    master = AxiMaster(AxiBus.from_prefix(dut, "m_axi"), dut.sys_clk, dut.sys_rst, max_burst_len=burst_beats)
    for half in (master.read_if, master.write_if):
        half.log.setLevel(logging.WARNING)
    return master


async def rate(dut: Any, master: AxiMaster, *, far: int, access_bytes: int) -> float:
    """Long bursts, one direction after the other; returns the bytes that are read in a cycle.

    Parameters
    ----------
    far : where: rows that were not used before.
    access_bytes : of a read or write of the chip.
    """
    begun = {name: int(getattr(dut, name).value) for name in ("reads", "writes", "refreshes")}
    content = bytes(value * 7 % 251 for value in range(SPAN))
    rates = []
    began = get_sim_time("ns")
    for access in (lambda: master.write(far, content), lambda: master.read(far, SPAN)):
        before = get_sim_time("ns")
        found = await access()
        rates.append(SPAN * CLOCK_PERIOD_NS / (get_sim_time("ns") - before))
    assert bytes(found) == content
    cycles = (get_sim_time("ns") - began) / CLOCK_PERIOD_NS
    took = {name: int(getattr(dut, name).value) - count for name, count in begun.items()}
    assert (took["reads"], took["writes"]) == (SPAN // access_bytes, SPAN // access_bytes)
    assert abs(took["refreshes"] - cycles / bench_parameters()["refresh_cycles"]) <= 2
    dut._log.info("%.2f bytes a cycle written, %.2f read", *rates)
    return rates[1]


async def scatter(master: AxiMaster, *, capacity: int, near: tuple[int, ...]) -> None:
    """Single beats in flight all over the chip, so that rows are opened and closed as fast as the controller can.

    Parameters
    ----------
    capacity : of the chip, bytes.
    near : bits of an address, one of which differs between some places and their twins.
    """
    random = bench_random("places")
    places = random.sample(range(0, capacity, BEAT), ACCESSES)
    places += [at ^ 1 << random.choice(near) for at in places[:100]]
    content = {at: random.randbytes(BEAT) for at in places}
    await gather(*(master.write(at, data) for at, data in content.items()))
    found = await gather(*(master.read(at, BEAT) for at in content))
    assert [bytes(data) for data in found] == list(content.values())
