"""A person at the serial port: types, corrects, reads, breaks off, types again."""

from __future__ import annotations

import logging
import re
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import Timer
from cocotbext.uart import UartSink, UartSource

from tests.harness.bench import bench_parameters

BAUD = 115200
LOOK_US = 100
SHOWN = 12
"""Letters of an answer after which a key ends it."""


class Terminal:
    """Both directions of the line."""

    def __init__(self, dut: Any) -> None:
        self._source = UartSource(dut.uart_0__rx__io, baud=BAUD)
        self._sink = UartSink(dut.uart_0__tx__io, baud=BAUD)
        for end in (self._source, self._sink):
            end.log.setLevel(logging.WARNING)  # they tell every byte
        self.shown = ""

    async def type(self, text: str) -> None:
        """Press keys, as fast as the line takes them."""
        await self._source.write(text.encode())

    async def until(self, pattern: str, *, within_ms: int) -> str:
        """What is shown since the last call, once it ends as a regular expression says."""
        for _ in range(within_ms * 1000 // LOOK_US):
            await Timer(LOOK_US, "us")
            if not self._sink.empty():
                self.shown += bytes(self._sink.read_nowait()).decode()
            if re.search(rf"(?:{pattern})\Z", self.shown):
                shown, self.shown = self.shown, ""
                return shown
        raise AssertionError(f"{pattern!r} did not come in {within_ms} ms; shown: {self.shown!r}")


@cocotb.test()
async def talks(dut: Any) -> None:
    parameters = bench_parameters()
    Clock(dut.clk25_0__io, round(1e12 / parameters["clock_hz"]), "ps", impl="gpi").start()
    terminal = Terminal(dut)
    greeting = await terminal.until("> ", within_ms=20)
    assert greeting == f"\r\n{parameters['model']} on celosia\r\n> "
    assert (int(dut.esp32_0__gpio0__io.value), int(dut.led_0__io.value), int(dut.led_1__io.value)) == (1, 1, 0)
    for prompt, answer in zip(parameters["prompts"], parameters["answers"], strict=True):
        # Two wrong letters, taken back in two ways; a control character that is none of the console's; Enter.
        await terminal.type(f"{prompt[:3]}xy\b\x7f\x07{prompt[3:]}\r")
        echo = f"{prompt[:3]}xy\b \b\b \b{prompt[3:]}"
        shown = await terminal.until(re.escape(echo) + f".{{{SHOWN}}}", within_ms=200)
        assert (int(dut.led_0__io.value), int(dut.led_1__io.value)) == (0, 1)
        await terminal.type("\r")
        shown += await terminal.until(r"\]\r\n> ", within_ms=50)
        match = re.fullmatch(r"(.*)\r\n\[(\d+) tokens, (\d+) tokens/s\]\r\n> ", shown[len(echo) :])
        assert match is not None, shown
        text, count, rate = match[1], int(match[2]), int(match[3])
        assert len(text) == count >= SHOWN
        assert text == answer[:count]
        dut._log.info("%d tokens at %d a second", count, rate)
        # As fast as the bus at best; the rest is what a step takes beside it.
        best = parameters["clock_hz"] / parameters["bound"]
        assert 0.75 * best < rate < best, (rate, best)
        assert (int(dut.led_0__io.value), int(dut.led_1__io.value), int(dut.led_2__io.value)) == (1, 0, 0)
