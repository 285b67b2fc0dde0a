"""The cocotb leg of `speed.py`: one coroutine wakes every cycle."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cocotb
from cocotb.task import bridge, resume
from cocotb.triggers import Event, RisingEdge

from tests.harness.bench import bench_parameters, start_clock

from .outside import SteppedDevice
from .speed import measure, outside_of, small


class Steps:
    """Steps an `Outside` at every rising edge."""

    def __init__(self, dut: Any, seconds: float) -> None:
        self.dut, self.outside = dut, outside_of(small(), seconds)
        self._handles: dict[str, Any] = {}
        self._waiting: tuple[Callable[[], bool], Event] | None = None

    def _handle(self, name: str) -> Any:
        if name not in self._handles:
            self._handles[name] = getattr(self.dut, name)
        return self._handles[name]

    async def run(self) -> None:
        """For ever."""
        edge = RisingEdge(self.dut.clk)
        while True:
            await edge
            # Values read here are those before the edge; values written take effect after it.
            for name, value in self.outside.cycle(lambda name: int(self._handle(name).value)).items():
                self._handle(name).value = value
            if self._waiting and self._waiting[0]():
                self._waiting[1].set()
                self._waiting = None

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait, for at least a cycle."""
        event = Event()
        self._waiting = condition, event
        await event.wait()


@cocotb.test()
async def runs_jobs(dut: Any) -> None:
    parameters = bench_parameters()
    steps = Steps(dut, parameters["limit"])
    await start_clock(dut)
    cocotb.start_soon(steps.run())
    device = SteppedDevice(steps.outside, resume(steps.until))
    leg = await bridge(measure)(device, lambda: steps.outside.cycles, small(), parameters["seconds"])
    Path(parameters["result"]).write_text(json.dumps(asdict(leg)))
