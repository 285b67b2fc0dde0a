"""Files that are right, and files with one bit or another turned over, into somebody else's memory."""

from __future__ import annotations

import logging
from itertools import repeat
from typing import Any
from zlib import crc32

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiRamWrite, AxiWriteBus

from tests.harness.bench import CLOCK_PERIOD_NS, bench_parameters, bench_random, start_clock

CAPACITY = 4096


def file_of(content: bytes, beat_bytes: int) -> bytes:
    """As docs/boards.md describes it."""
    header = (b"celosia1", len(content).to_bytes(4, "little") + crc32(content).to_bytes(4, "little"))
    return b"".join(part.ljust(beat_bytes, b"\0") for part in header) + content


async def copied(dut: Any, file: bytes, random: Any) -> tuple[int, int, int]:
    """Reset, send a file until it says how it ended; returns done, failed, damaged."""
    edge = RisingEdge(dut.clk)
    dut.i__valid.value, dut.rst.value = 0, 1
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    at, offering = 0, False
    for _ in range(20 * len(file) + 1000):
        if not offering and at < len(file):
            offering = random.random() < 0.7
            dut.i__valid.value = offering
            dut.i__payload.value = file[at]
        await edge
        if offering and dut.i__ready.value:
            at, offering = at + 1, False
            dut.i__valid.value = 0
        if dut.done.value or dut.failed.value:
            break
    return int(dut.done.value), int(dut.failed.value), int(dut.damaged.value)


@cocotb.test(timeout_time=2_000_000 * CLOCK_PERIOD_NS, timeout_unit="ns")
async def copies_what_is_right(dut: Any) -> None:
    random, beat_bytes = bench_random("files"), bench_parameters()["data_bits"] // 8
    await start_clock(dut)
    ram = AxiRamWrite(AxiWriteBus.from_prefix(dut, "writes_"), dut.clk, size=CAPACITY)
    ram.log.setLevel(logging.WARNING)
    pace = bench_random("pace")
    for channel in (ram.aw_channel, ram.w_channel, ram.b_channel):
        channel.set_pause_generator(pace.random() < 0.5 for _ in repeat(None))

    for beats in (1, 2, 37, CAPACITY // beat_bytes):
        content = random.randbytes(beats * beat_bytes)
        ram.write(0, bytes(CAPACITY))
        assert await copied(dut, file_of(content, beat_bytes), random) == (1, 0, 0)
        assert ram.read(0, CAPACITY) == content.ljust(CAPACITY, b"\0")
    content = random.randbytes(16 * beat_bytes)
    file = file_of(content, beat_bytes)
    places = {0: 0, 7: 0, beat_bytes: 1, beat_bytes + 3: 1, beat_bytes + 4: 1, 2 * beat_bytes: 1, len(file) - 1: 1}
    for place, damaged in places.items():
        turned = bytearray(file)
        turned[place] ^= 1 << random.randrange(8)
        # A length that is too large would wait for more.
        assert await copied(dut, bytes(turned) + bytes(CAPACITY), random) == (0, 1, damaged), place
    ram.write(0, bytes(CAPACITY))
    for length in (0, CAPACITY + beat_bytes, len(content) + 1):
        header = file_of(content, beat_bytes)[:beat_bytes] + length.to_bytes(4, "little") + file[beat_bytes + 4 :]
        assert await copied(dut, header, random) == (0, 1, 1), length
        assert ram.read(0, CAPACITY) == bytes(CAPACITY)
