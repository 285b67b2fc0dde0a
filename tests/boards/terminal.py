"""A terminal at a board's serial port, for benches: types, and waits for what is shown."""

from __future__ import annotations

import logging
import re
from typing import Any

from cocotb.triggers import Timer
from cocotbext.uart import UartSink, UartSource

BAUD = 115200
LOOK_US = 100


class Terminal:
    """Both directions of the line of a board with LEDs 0 to 2 as in docs/boards.md; a lit one has `lit` at its pin."""

    def __init__(self, dut: Any, *, lit: int = 1) -> None:
        self._dut, self._lit = dut, lit
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

    async def ask(self, prompt: str, answer: str, *, shown: int, within_ms: int) -> int:
        """Type a prompt with corrections, break the answer off after some letters; returns tokens a second.

        Args:
            answer: how a text begins that the board must say, as far as it says it.
            shown: letters after which a key ends it.
            within_ms: how long they may take.
        """
        # Two wrong letters, taken back in two ways; a control character that is none of the console's; Enter.
        await self.type(f"{prompt[:3]}xy\b\x7f\x07{prompt[3:]}\r")
        echo = f"{prompt[:3]}xy\b \b\b \b{prompt[3:]}"
        told = await self.until(re.escape(echo) + f".{{{shown}}}", within_ms=within_ms)
        assert self.lights()[:2] == (0, 1)
        await self.type("\r")
        told += await self.until(r"\]\r\n> ", within_ms=50)
        match = re.fullmatch(r"(.*)\r\n\[(\d+) tokens, (\d+) tokens/s\]\r\n> ", told[len(echo) :])
        assert match is not None, told
        text, count, rate = match[1], int(match[2]), int(match[3])
        assert len(text) == count >= shown
        assert text == answer[:count]
        self._dut._log.info("%d tokens at %d a second", count, rate)
        assert self.lights() == (1, 0, 0)
        return rate

    def lights(self) -> tuple[int, ...]:
        """LEDs 0 to 2, 1 for a lit one."""
        pins = (getattr(self._dut, f"led_{number}__io") for number in range(3))
        return tuple(int(int(pin.value) == self._lit) for pin in pins)
