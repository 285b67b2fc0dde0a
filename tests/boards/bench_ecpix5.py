"""A board that is switched on with a model in its flash: what it says, and whether its DDR3's rules were kept."""

from __future__ import annotations

from typing import Any

import cocotb

from tests.boards.bench_ulx3s_sdram import BOOT_CYCLES, switch_on
from tests.boards.ddr3_rules import RULES
from tests.harness.bench import bench_parameters

SHOWN = 6
"""Letters of an answer after which a key ends it."""
START_MS = 2
"""Longer than the chip's start takes."""


@cocotb.test()
async def says_what_its_model_says(dut: Any) -> None:
    parameters = bench_parameters()
    dut.arrival.value = sum((late & 0x1F) << 5 * lane for lane, late in enumerate(parameters["arrival"]))
    terminal = await switch_on(dut, dut.clk100_0__io, parameters)
    boot_ms = parameters["bytes"] * BOOT_CYCLES / parameters["clock_hz"] * 1000
    await terminal.until(parameters["greeting"], within_ms=round(1.1 * boot_ms) + START_MS + 10)
    if "prompt" not in parameters:
        assert (terminal.lights(), int(dut.led_3__io.value)) == ((0, 0, 0), 1)
    else:
        assert (*terminal.lights(), int(dut.led_3__io.value)) == (1, 0, 0, 0)
        before = int(dut.reads.value)
        rate = await terminal.ask(parameters["prompt"], parameters["answer"], shown=SHOWN, within_ms=200)
        # As fast as the bus at best; the rest is what rows and refreshes take, and a step beside its reads.
        best = parameters["clock_hz"] / parameters["bound"]
        assert 0.7 * best < rate < best, (rate, best)
        # A read of the chip is two beats.
        assert int(dut.reads.value) - before > SHOWN * parameters["bound"] / 2
        assert int(dut.refreshes.value) > 8
    rule = int(dut.broken.value)
    # A chip that was given up gets no refreshes.
    assert (RULES[rule] if rule else "") == ("" if "prompt" in parameters else "more than nine refreshes late")
    assert not int(dut.flash_broken.value), "the flash was asked for something that it does not know"
