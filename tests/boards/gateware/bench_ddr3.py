"""Bursts of an AXI master that is not ours on a controller and its chip: every byte, how fast, and the chip's rules."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, gather
from cocotbext.axi import AxiMaster

from tests.boards.ddr3_rules import RULES
from tests.boards.gateware.traffic import SPAN, master_of, rate, scatter
from tests.harness.bench import CLOCK_PERIOD_NS, bench_parameters, bench_random

BURST_BEATS = 16
WINDOW = 3
"""Delays with which a lane is heard, as `ddr3_phy.v` has it."""
START_CYCLES, LIMIT = 60_000, 400_000
FAR = 1 << 28
"""Where: rows that were not used before."""


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


async def ranges(master: AxiMaster) -> None:
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
    master = master_of(dut, BURST_BEATS)
    if bench_parameters()["thorough"]:
        found = await rate(dut, master, far=FAR, access_bytes=16)
        assert found > 7, found
        await ranges(master)
        await scatter(master, capacity=1 << 29, near=(3, 10, 11, 13, 14, 15, 28))
    else:
        content = bytes(range(256))
        await master.write(FAR, content)
        assert bytes(await master.read(FAR, len(content))) == content
    check(dut)
