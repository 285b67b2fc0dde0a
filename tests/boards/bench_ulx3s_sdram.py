"""A board that is switched on with some flash: what it says, and whether its SDRAM was used as its chip demands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import Timer

from tests.boards.sdram_rules import RULES
from tests.boards.terminal import Terminal
from tests.harness.bench import bench_parameters

SHOWN = 6
"""Letters of an answer after which a key ends it."""
BOOT_CYCLES = 16
"""Of a byte that is copied from the flash."""


async def switch_on(dut: Any, clock: Any, parameters: dict[str, Any]) -> Terminal:
    """Put the file into the flash and start the clock of the board."""
    file = bytes.fromhex(parameters["file"]) if "file" in parameters else Path(parameters["path"]).read_bytes()
    lines = [f"@{parameters['offset']:x}", *(f"{byte:02x}" for byte in file)]
    Path("flash.hex").write_text("\n".join(lines) + "\n")
    for value in (0, 1, 0):
        dut.load.value = value
        await Timer(1, "ns")
    # Twice as fast as the design's: the models of the cells halve it.
    Clock(clock, 2 * round(1e12 / parameters["clock_hz"] / 4), "ps", impl="gpi").start()
    return Terminal(dut)


def check_chips(dut: Any) -> None:
    """No rule of the chips was violated, and the SDRAM was refreshed."""
    assert not int(dut.broken.value), RULES[int(dut.broken.value)]
    assert not int(dut.flash_broken.value), "the flash was asked for something that it does not know"
    assert int(dut.refreshes.value) > 8


@cocotb.test()
async def says_what_is_in_its_flash(dut: Any) -> None:
    parameters = bench_parameters()
    terminal = await switch_on(dut, dut.clk25_0__io, parameters)
    boot_ms = parameters["bytes"] * BOOT_CYCLES / parameters["clock_hz"] * 1000
    told = await terminal.until(parameters["greeting"], within_ms=round(1.1 * boot_ms) + 10)
    if "prompt" not in parameters:
        # Nothing more, whatever is typed.
        await terminal.type("The\r")
        await Timer(2, "ms")
        assert (await terminal.until("", within_ms=1), terminal.lights()) == ("", (0, 0, 0)), told
        assert int(dut.led_3__io.value) == 1
        check_chips(dut)
        return
    assert (int(dut.esp32_0__gpio0__io.value), int(dut.led_3__io.value), *terminal.lights()) == (1, 0, 1, 0, 0)
    before = int(dut.reads.value)
    rate = await terminal.ask(parameters["prompt"], parameters["answer"], shown=SHOWN, within_ms=200)
    # As fast as the SDRAM's pins at best; the rest is what rows and refreshes take, and a step beside its reads.
    best = parameters["clock_hz"] / parameters["bound"]
    assert 0.8 * best < rate < best, (rate, best)
    assert int(dut.reads.value) - before > SHOWN * parameters["bound"]
    check_chips(dut)
