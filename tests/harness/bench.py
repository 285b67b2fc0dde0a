"""The inside of a bench: clock, reset, streams, seeds and a watchdog for a cocotb test."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from random import Random
from typing import Any

import cocotb
from amaranth.hdl import ShapeLike
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Event, RisingEdge

from .streams import Sink, Source

CLOCK_PERIOD_NS = 10
PARAMETERS_VARIABLE = "CELOSIA_BENCH_PARAMETERS"


def bench_parameters() -> dict[str, Any]:
    """The `parameters` that the test gave to `run_bench`, after a round trip through JSON."""
    return json.loads(os.environ[PARAMETERS_VARIABLE])


def bench_random(purpose: str) -> Random:
    """A generator of its own for each purpose, so that adding one does not shift the others; replays with the seed."""
    return Random(f"{cocotb.RANDOM_SEED}/{purpose}")


async def start_clock(dut: Any, *, reset_cycles: int = 2) -> None:
    """Start the simulator's own clock (no Python per cycle) and pulse the synchronous reset."""
    if hasattr(dut, "rst"):
        dut.rst.value = 1
    Clock(dut.clk, CLOCK_PERIOD_NS, "ns", impl="gpi").start()
    await ClockCycles(dut.clk, reset_cycles)
    if hasattr(dut, "rst"):
        dut.rst.value = 0


class Bench:
    """One loop that steps every stream once a cycle and stops a design that hangs.

    Make it with ``await Bench.start(dut)``, attach streams, then await `until`, `receive` or `cycles`.

    Attributes
    ----------
    cycle : int
        Rising edges since reset.
    random : Random
        For the test's own stimulus.
    """

    def __init__(self, dut: Any, *, limit: int) -> None:
        self.dut = dut
        self.limit = limit
        self.cycle = 0
        self.random = bench_random("stimulus")
        self._streams: list[Source | Sink] = []
        self._waiting: list[tuple[Callable[[], bool], Event]] = []

    @classmethod
    async def start(cls, dut: Any, *, limit: int = 100_000) -> Bench:
        """Start clock and loop, and reset the design; after `limit` cycles the test fails."""
        bench = cls(dut, limit=limit)
        await start_clock(dut)
        cocotb.start_soon(bench._run())
        return bench

    def source(self, prefix: str, *, shape: ShapeLike | None = None, stall: float = 0.0) -> Source:
        """Attach a driver to an input stream of the design; parameters as in `streams.Source`."""
        source = Source(self.dut, prefix, shape=shape, stall=stall, random=bench_random(prefix))
        self._streams.append(source)
        return source

    def sink(self, prefix: str, *, shape: ShapeLike | None = None, stall: float = 0.0) -> Sink:
        """Attach a checker to an output stream of the design; parameters as in `streams.Sink`."""
        sink = Sink(self.dut, prefix, shape=shape, stall=stall, random=bench_random(prefix))
        self._streams.append(sink)
        return sink

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds just after a rising edge was sampled; it is asked once a cycle."""
        event = Event()
        self._waiting.append((condition, event))
        await event.wait()

    async def cycles(self, count: int) -> None:
        """Let `count` cycles pass."""
        end = self.cycle + count
        await self.until(lambda: self.cycle >= end)

    async def receive(self, sink: Sink, count: int) -> list[Any]:
        """Wait until a sink holds `count` payloads; returns them and takes them out of the sink."""
        await self.until(lambda: len(sink.received) >= count)
        taken, sink.received = sink.received[:count], sink.received[count:]
        return taken

    async def _run(self) -> None:
        edge = RisingEdge(self.dut.clk)
        while True:
            for stream in self._streams:
                stream.drive()
            await edge
            # Values read here are those before the edge; values written take effect after it.
            self.cycle += 1
            for stream in self._streams:
                stream.sample()
            self._wake()
            if self.cycle >= self.limit:
                state = "; ".join(map(str, self._streams))
                raise AssertionError(f"watchdog: not finished after {self.cycle} cycles ({state})")

    def _wake(self) -> None:
        for item in [item for item in self._waiting if item[0]()]:
            self._waiting.remove(item)
            item[1].set()
