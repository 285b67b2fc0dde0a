"""Bursts of an AXI master that is not ours on a controller and its chip: every byte, how fast, and the chip's rules."""

from __future__ import annotations

import logging
from itertools import repeat
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, gather
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiMaster

from tests.boards.ddr3_rules import RULES
from tests.harness.bench import CLOCK_PERIOD_NS, bench_parameters, bench_random

BURST_BEATS = 16
WINDOW = 3
"""Delays with which a lane is heard, as `ddr3_phy.v` has it."""
START_CYCLES, LIMIT = 60_000, 400_000
SPAN = 1 << 14
"""Bytes that are read and written in one go."""
FAR = 1 << 28
"""Where: rows that were not used before."""
BEAT, ACCESSES = 8, 200
"""Of those all over the chip."""


async def start(dut: Any) -> bool:
    """Reset, with the lanes' strobes as late as the parameters say; whether the chip could be read."""
    arrival = bench_parameters()["arrival"]
    dut.arrival.value = sum((late & 0x1F) << 5 * lane for lane, late in enumerate(arrival))
    dut.sys_rst.value = 1
    Clock(dut.sys_clk, CLOCK_PERIOD_NS, "ns", impl="gpi").start()
    await ClockCycles(dut.sys_clk, 10)
    dut.sys_rst.value = 0
    for _ in range(0, START_CYCLES, 100):
        await ClockCycles(dut.sys_clk, 100)
        if int(dut.ready.value) or int(dut.failed.value):
            break
    return bool(int(dut.ready.value)) and not int(dut.failed.value)


def check_settings(dut: Any) -> None:
    """They are the middle of what can be heard, in the phase in which the lane with less of it has more."""

    def window(late: int) -> list[int]:
        """Delays with which a lane is heard that is so late, if there is a slip for it."""
        return [delay for delay in range(8) if late - WINDOW < delay <= late and 0 <= late // 2 < 4]

    arrival = bench_parameters()["arrival"]
    windows = [[window(late + 4 * phase) for late in arrival] for phase in range(2)]
    phase = max(range(2), key=lambda phase: (min(map(len, windows[phase])), -phase))
    delays = [delays[(len(delays) - 1) // 2] for delays in windows[phase]]
    slips = [(late + 4 * phase) // 2 for late in arrival]
    settings = int(dut.settings.value)
    found = (int(dut.read_phase.value), [settings & 7, settings >> 3 & 7], [settings >> 6 & 3, settings >> 8])
    assert found == (phase, delays, slips)


def check(dut: Any) -> None:
    assert not int(dut.broken.value), RULES[int(dut.broken.value)]


def master_of(dut: Any) -> AxiMaster:
    master = AxiMaster(AxiBus.from_prefix(dut, "m_axi"), dut.sys_clk, dut.sys_rst, max_burst_len=BURST_BEATS)
    for half in (master.read_if, master.write_if):
        half.log.setLevel(logging.WARNING)
    return master


async def rate(dut: Any, master: AxiMaster) -> None:
    """Long bursts, one direction after the other."""
    begun = {name: int(getattr(dut, name).value) for name in ("reads", "writes", "refreshes")}
    content = bytes(value * 7 % 251 for value in range(SPAN))
    rates = []
    began = get_sim_time("ns")
    for access in (lambda: master.write(FAR, content), lambda: master.read(FAR, SPAN)):
        before = get_sim_time("ns")
        found = await access()
        rates.append(SPAN * CLOCK_PERIOD_NS / (get_sim_time("ns") - before))
    assert bytes(found) == content
    cycles = (get_sim_time("ns") - began) / CLOCK_PERIOD_NS
    took = {name: int(getattr(dut, name).value) - count for name, count in begun.items()}
    assert (took["reads"], took["writes"]) == (SPAN // 16, SPAN // 16)
    assert abs(took["refreshes"] - cycles / bench_parameters()["refresh_cycles"]) <= 2
    dut._log.info("%.2f bytes a cycle written, %.2f read", *rates)
    assert rates[1] > 7, rates


async def ranges(dut: Any, master: AxiMaster) -> None:
    """Ranges of any length from any byte on, several in flight on both ids, with pauses on the answers."""
    random, pace = bench_random("ranges"), bench_random("pace")
    master.read_if.r_channel.set_pause_generator(pace.random() < 0.5 for _ in repeat(None))
    content = bytearray(random.randbytes(SPAN))
    await master.write(0, bytes(content))
    share = SPAN // 6

    async def access(begin: int, size: int) -> None:
        axi_id = random.randrange(2)
        if random.random() < 0.5:
            content[begin : begin + size] = data = random.randbytes(size)
            await master.write(begin, data, awid=axi_id)
        else:
            got = await master.read(begin, size, arid=axi_id)
            assert bytes(got) == content[begin : begin + size], (begin, size)

    for _ in range(30):
        sizes = [random.choice([1, 8, random.randint(1, 400)]) for _ in range(6)]
        await gather(*(access(i * share + random.randrange(share - 400), size) for i, size in enumerate(sizes)))
    assert bytes(await master.read(0, SPAN)) == content


async def scatter(dut: Any, master: AxiMaster) -> None:
    """Single beats in flight all over the chip, so that rows are opened and closed as fast as the controller can."""
    random = bench_random("places")
    places = random.sample(range(0, 1 << 29, BEAT), ACCESSES)
    places += [at ^ 1 << random.choice([3, 10, 11, 13, 14, 15, 28]) for at in places[:100]]
    content = {at: random.randbytes(BEAT) for at in places}
    await gather(*(master.write(at, data) for at, data in content.items()))
    found = await gather(*(master.read(at, BEAT) for at in content))
    assert [bytes(data) for data in found] == list(content.values())


@cocotb.test(timeout_time=LIMIT * CLOCK_PERIOD_NS, timeout_unit="ns")
async def is_fast_and_keeps_the_rules(dut: Any) -> None:
    if not bench_parameters()["readable"]:
        assert not await start(dut)
        assert int(dut.failed.value)
        check(dut)
        return
    assert await start(dut)
    check(dut)
    check_settings(dut)
    master = master_of(dut)
    if bench_parameters()["thorough"]:
        await rate(dut, master)
        await ranges(dut, master)
        await scatter(dut, master)
    else:
        content = bytes(range(256))
        await master.write(FAR, content)
        assert bytes(await master.read(FAR, len(content))) == content
    check(dut)
