"""Software of a LiteX SoC: loads a model into the SDRAM and runs a job, by the addresses in the SoC's own map."""

from __future__ import annotations

import logging
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles, SimTimeoutError, ValueChange, with_timeout
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from celosia import api
from celosia.arch.config import AcceleratorConfig
from celosia.driver.compiler import compile_model
from celosia.driver.device import Job
from celosia.driver.golden_accelerator import GoldenAccelerator
from celosia.driver.registers import RegisterAccelerator
from tests.harness.bench import CLOCK_PERIOD_NS, bench_parameters

LIMIT = 300_000
"""Cycles that a token may take, the first among them."""

PAGE = 1


class LitexDevice:
    """A `celosia.driver.device.Device` behind the SoC's bus, for use in a bridge; `soc` is the content of csr.json."""

    def __init__(self, dut: Any, soc: dict[str, Any]) -> None:
        self.dut, self.soc = dut, soc
        self.interrupt = soc["constants"]["celosia_interrupt"]
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "host"), dut.sys_clk, dut.sys_rst)
        for half in (self.master.read_if, self.master.write_if):
            half.log.setLevel(logging.WARNING)  # they tell every transfer
        self.read_register = resume(self._read_register)
        self.write_register = resume(self._write_register)
        self.read_memory = resume(self._read_memory)
        self.write_memory = resume(self._write_memory)
        self.wait_interrupt = resume(self._wait_interrupt)

    def _address(self, register: str | int) -> int:
        assert isinstance(register, str), "the map has names"
        return self.soc["csr_registers"][f"celosia_{register.lower()}"]["addr"]

    async def _read_register(self, register: str | int) -> int:
        return int(await self.master.read_dword(self._address(register)))

    async def _write_register(self, register: str | int, value: int) -> None:
        await self.master.write_dword(self._address(register), value)

    async def _read_memory(self, address: int, size: int) -> np.ndarray:
        return np.frombuffer((await self.master.read(address, size)).data, np.uint8)

    async def _write_memory(self, address: int, data: np.ndarray) -> None:
        await self.master.write(address, data.tobytes())

    async def _wait_interrupt(self, timeout: float) -> bool:
        while not int(self.dut.interrupts.value) >> self.interrupt & 1:
            try:
                await with_timeout(ValueChange(self.dut.interrupts), LIMIT * CLOCK_PERIOD_NS, "ns")
            except SimTimeoutError:
                return False
        return timeout > 0


def cycle() -> int:
    """Cycles since the simulation began."""
    return int(get_sim_time("ns")) // CLOCK_PERIOD_NS


@cocotb.test()
async def says_what_the_golden_machine_says(dut: Any) -> None:
    parameters = bench_parameters()
    compiled = compile_model(api.load(), AcceleratorConfig.from_dict(parameters["config"]))
    job = Job(0, 0, tuple(parameters["prompt"].encode()), parameters["steps"])
    golden = GoldenAccelerator()
    golden.load(compiled)
    golden.open(0, (PAGE,))
    expected = golden.run(job)

    dut.sys_rst.value = 1
    Clock(dut.sys_clk, CLOCK_PERIOD_NS, "ns", impl="gpi").start()
    await ClockCycles(dut.sys_clk, 10)
    dut.sys_rst.value = 0
    device = LitexDevice(dut, parameters["soc"])
    rtl = await bridge(RegisterAccelerator)(device, parameters["soc"]["memories"]["main_ram"]["base"])
    await bridge(rtl.load)(compiled)
    dut._log.info("%d bytes loaded in %d cycles", len(compiled.image), cycle())
    await bridge(rtl.open)(0, (PAGE,))
    result = await bridge(rtl.run)(job)
    dut._log.info("cycles %s; of the bus alone %d a token", result.cycles, compiled.memory.streamed_bytes // 8)
    assert (result.tokens, result.candidates) == (expected.tokens, expected.candidates)

    # What it appended to the cache, byte strobes among it, through the SoC's bus again.
    page = compiled.memory.kv_bytes // compiled.config.cache.pages
    offset = compiled.memory.kv_offset + PAGE * page
    assert np.array_equal(await bridge(rtl.read)(offset, page), golden.read(offset, page))
