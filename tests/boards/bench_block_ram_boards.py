"""A person at the serial port: types, corrects, reads, breaks off, types again."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.clock import Clock

from tests.boards.terminal import Terminal
from tests.harness.bench import bench_parameters

SHOWN = 12
"""Letters of an answer after which a key ends it."""


@cocotb.test()
async def talks(dut: Any) -> None:
    parameters = bench_parameters()
    pins = parameters["pins"]
    Clock(getattr(dut, pins["clock"]), round(1e12 / parameters["clock_hz"]), "ps", impl="gpi").start()
    terminal = Terminal(dut, lit=pins["lit"])
    greeting = await terminal.until("> ", within_ms=20)
    assert greeting == f"\r\n{parameters['model']} on celosia\r\n> "
    assert terminal.lights() == (1, 0, 0)
    assert all(int(getattr(dut, name).value) == 1 for name in pins["ones"])
    for prompt, answer in zip(parameters["prompts"], parameters["answers"], strict=True):
        rate = await terminal.ask(prompt, answer, shown=SHOWN, within_ms=200)
        # As fast as the bus at best; the rest is what a step takes beside it.
        best = parameters["clock_hz"] / parameters["bound"]
        assert 0.75 * best < rate < best, (rate, best)
