"""Bytes there and back, as fast as the line takes them and with pauses; noise, and a byte without a stop bit."""

from __future__ import annotations

import logging
from typing import Any

import cocotb
from cocotb.triggers import Timer
from cocotbext.uart import UartSink, UartSource

from tests.harness.bench import CLOCK_PERIOD_NS, bench_parameters, bench_random, start_clock


@cocotb.test()
async def echoes(dut: Any) -> None:
    bit_ns = bench_parameters()["divisor"] * CLOCK_PERIOD_NS
    dut.rx.value = 1
    await start_clock(dut)
    random = bench_random("bytes")
    source, sink = UartSource(dut.rx, baud=1e9 / bit_ns), UartSink(dut.tx, baud=1e9 / bit_ns)
    for end in (source, sink):
        end.log.setLevel(logging.WARNING)  # they tell every byte
    sent = [0x00, 0xFF, 0x55, 0xAA, *(random.randrange(256) for _ in range(20))]
    await source.write(sent)
    await source.wait()
    for _ in range(8):
        await Timer(random.randrange(1, 30 * bit_ns), "ns")
        sent.append(random.randrange(256))
        await source.write(sent[-1:])
        await source.wait()
    await Timer(25 * bit_ns, "ns")
    assert list(sink.read_nowait()) == sent

    # Noise shorter than half a bit, as far as it is longer than a cycle, and a byte without a stop bit: nothing comes.
    dut.rx.value = 0
    await Timer(max(1, bit_ns // 2 - 2 * CLOCK_PERIOD_NS), "ns")
    dut.rx.value = 1
    await Timer(25 * bit_ns, "ns")
    dut.rx.value = 0
    await Timer(10 * bit_ns, "ns")
    dut.rx.value = 1
    await Timer(25 * bit_ns, "ns")
    assert sink.empty()
    await source.write([0x5A])
    await Timer(25 * bit_ns, "ns")
    assert list(sink.read_nowait()) == [0x5A]
