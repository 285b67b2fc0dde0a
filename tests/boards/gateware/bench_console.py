"""What the system's bench does not reach: settings, errors, end-of-text tokens, prompts at the end of the context."""

from __future__ import annotations

import logging
from typing import Any

import cocotb
from cocotbext.axi import AxiLiteBus, AxiLiteRam

from celosia.arch.registers import offsets
from celosia.boards.boot import CONTEXT, SEND
from celosia.boards.gateware.loader import SETTING
from tests.harness.bench import Bench

AT = offsets()
DONE = 2
SHORT = 4
"""Positions of a text."""


class Registers:
    """Reads TOKEN_DATA and TOKEN_CYCLE of a list of tokens in turn, everything else as written."""

    def __init__(self, dut: Any) -> None:
        self.ram = AxiLiteRam(AxiLiteBus.from_prefix(dut, "bus_"), dut.clk, dut.rst, size=4096)
        for half in (self.ram.read_if, self.ram.write_if):
            half.log.setLevel(logging.WARNING)  # they tell every transfer

    def get(self, name: str) -> int:
        """What was written last."""
        return int(self.ram.read_dword(AT[name]))

    def set(self, name: str, value: int) -> None:
        """What is read next."""
        self.ram.write_dword(AT[name], value)


async def shown(bench: Bench, sink: Any, text: str) -> None:
    """Wait for exactly that text."""
    received = bytes(await bench.receive(sink, len(text))).decode()
    assert received == text


@cocotb.test()
async def answers(dut: Any) -> None:
    dut.loading.value = 1
    bench = await Bench.start(dut, limit=100_000)
    registers = Registers(dut)
    settings = bench.source("i_settings", shape=SETTING, stall=0.3)
    keys, screen = bench.source("i", stall=0.3), bench.sink("o", stall=0.3)
    settings.send(
        {"register": register, "value": value}
        for register, value in (
            (AT["PROGRAM_LENGTH"], 26),
            (SEND, ord("!")),
            (CONTEXT, SHORT),
            (AT["KV_BASE_LO"], 4096),
        )
    )
    await shown(bench, screen, "!")
    await bench.cycles(200)
    assert (registers.get("PROGRAM_LENGTH"), registers.get("KV_BASE_LO")) == (26, 4096)
    assert not screen.received, "settings may still come"
    dut.loading.value = 0
    await shown(bench, screen, "\r\n> ")

    # Enter without a prompt, backspace without a letter, and letters that have no position: nothing happens.
    registers.set("STATUS", DONE | 7 << 8)
    registers.set("SAMPLED", 0)
    keys.send(b"\r\b\x7f\x1b" + b"abcdef\n")
    await shown(bench, screen, "abcd\r\nerror 7\r\n> ")
    assert (registers.get("COUNT"), registers.get("STEPS")) == (SHORT, 1)
    assert int(dut.failed.value) == 1

    # Control tokens and NUL are counted and not shown; a single token has no rate.
    for token, text in ((ord("x"), "x"), (0, ""), (256, "")):
        registers.set("STATUS", DONE)
        registers.set("SAMPLED", 1)
        keys.send(b"a")
        await shown(bench, screen, "a")
        # The register file has one cell for the token that is written and the one that is read.
        registers.set("TOKEN_DATA", token)
        keys.send(b"\r")
        await shown(bench, screen, f"{text}\r\n[1 tokens, 0 tokens/s]\r\n> ")
        assert (registers.get("COUNT"), registers.get("STEPS")) == (1, SHORT)
        assert int(dut.failed.value) == 0

    # A key while it works: the job is ended, what was sampled is shown. 5 intervals of 50 MHz / 10 take a second.
    registers.set("STATUS", 1)
    registers.set("SAMPLED", 0)
    keys.send(b"a\r")
    await shown(bench, screen, "a")
    await bench.until(lambda: int(dut.busy.value) == 1)
    await bench.cycles(200)
    assert registers.get("CONTROL") == 1
    keys.send(b"x")
    await bench.until(lambda: registers.get("CONTROL") == 2)
    registers.set("TOKEN_DATA", ord("y"))
    registers.set("TOKEN_CYCLE", 1000)
    registers.set("SAMPLED", 1)
    await shown(bench, screen, "y")
    registers.set("TOKEN_CYCLE", 1000 + 50_000_000)
    registers.set("SAMPLED", 6)
    await shown(bench, screen, "yyyyy")
    registers.set("STATUS", DONE)
    await shown(bench, screen, "\r\n[6 tokens, 5 tokens/s]\r\n> ")
    assert int(dut.busy.value) == 0
