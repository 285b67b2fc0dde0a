"""The whole accelerator between other people's AXI models: a prompt and decoding, driven by the driver itself."""

from __future__ import annotations

import logging
from itertools import chain, repeat
from random import Random
from typing import Any

import cocotb
import numpy as np
from cocotb.task import bridge, resume
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

from celosia.arch.config import AcceleratorConfig
from celosia.arch.registers import offsets
from celosia.compare import Comparison
from celosia.driver.device import Job
from celosia.driver.golden_accelerator import GoldenAccelerator
from celosia.driver.registers import RegisterAccelerator
from celosia.golden.records import Retired
from celosia.hdl.control.trace import QUEUES
from celosia.sim.rtl import Writes, memory_bytes_for
from tests.harness.bench import Bench, bench_parameters, bench_random

from .support import POISON, small_model, tokens

JOBS = (Job(0, 0, tokens(10), 4), Job(0, 13, tokens(7, seed=2), 2))
"""The second continues the first in the middle of a page and of a chunk."""

LIMIT = 400_000
"""Cycles of the whole bench."""


class Device:
    """Registers over AXI4-Lite and a memory behind AXI4, as `celosia.driver.device.Device`, for use in a bridge."""

    def __init__(self, dut: Any, bench: Bench, master: AxiLiteMaster, memory: AxiRam) -> None:
        self.dut, self.bench, self.master, self.memory = dut, bench, master, memory
        self.read_register = resume(self._read_register)
        self.write_register = resume(self._write_register)
        self.wait_interrupt = resume(self._wait_interrupt)

    async def _read_register(self, register: str) -> int:
        return int(await self.master.read_dword(offsets()[register]))

    async def _write_register(self, register: str, value: int) -> None:
        await self.master.write_dword(offsets()[register], value)

    async def _wait_interrupt(self, timeout: float) -> bool:
        await self.bench.until(lambda: int(self.dut.irq.value) == 1)
        return timeout > 0

    def read_memory(self, address: int, size: int) -> np.ndarray:
        """Behind the accelerator's back."""
        return np.frombuffer(self.memory.read(address, size), np.uint8)

    def write_memory(self, address: int, data: np.ndarray) -> None:
        """Behind the accelerator's back."""
        self.memory.write(address, data.tobytes())


class Tracer:
    """Collects what the trace ports show, as the simulated device does."""

    def __init__(self, dut: Any, chunks: int) -> None:
        self.dut, self.chunks = dut, range(chunks)
        self._retired: list[list[Writes]] = [[] for _ in self.chunks]
        ports = {"spm": "spm_0", "am": "am", "kv": "kv"}
        self._bytes = {name: -(-len(getattr(dut, f"trace_{port}_data")) // 8) for name, port in ports.items()}
        self._lists: list[dict[str, list[tuple[Any, ...]]]] = [{name: [] for name in ports} for _ in self.chunks]

    async def run(self) -> None:
        """Sample every cycle."""
        edge = RisingEdge(self.dut.clk)
        while True:
            await edge
            for chunk in self.chunks:
                if self._port(f"spm_{chunk}_en"):
                    self._keep(chunk, "spm", f"spm_{chunk}", "address", "mask")
            if self._port("am_en"):
                self._keep(self._port("am_chunk"), "am", "am", "address", "mask")
            if self._port("kv_en"):
                self._keep(self._port("kv_chunk"), "kv", "kv")
            for queue in QUEUES:
                if self._port(f"{queue}_retired"):
                    self._retire(queue)

    def take(self) -> list[Writes]:
        """What was written since the last call, chunk by chunk."""
        taken = list(chain.from_iterable(self._retired))
        for retired in self._retired:
            retired.clear()
        return taken

    def _port(self, name: str) -> int:
        return int(getattr(self.dut, f"trace_{name}").value)

    def _keep(self, chunk: int, name: str, port: str, *fields: str) -> None:
        data = np.frombuffer(self._port(f"{port}_data").to_bytes(self._bytes[name], "little"), np.uint8)
        self._lists[chunk][name].append((*(self._port(f"{port}_{field}") for field in fields), data))

    def _retire(self, queue: str) -> None:
        chunk, *place = (self._port(f"{queue}_retired_{name}") for name in ("chunk", "index", "layer", "pass"))
        arrays = []
        for name, fields in (("spm", ("address", "mask")), ("am", ("address", "banks")), ("kv", ())):
            layout = np.dtype([*((field, "<u4") for field in fields), ("data", "u1", (self._bytes[name],))])
            arrays.append(np.array(self._lists[chunk][name], layout))
            self._lists[chunk][name].clear()
        self._retired[chunk].append(Writes(*place, 0, *arrays))


def _stall(random: Random, share: float) -> Any:
    """Pauses of random length; `share` of the time."""
    return (random.random() < share for _ in repeat(None))


@cocotb.test()
async def computes_what_the_golden_machine_computes(dut: Any) -> None:
    parameters = bench_parameters()
    config = AcceleratorConfig.from_dict(parameters["config"])
    compiled = small_model(config, head_dim=16)
    bench = await Bench.start(dut, limit=LIMIT)
    size = memory_bytes_for(config, compiled.memory.total_bytes)
    memory = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=size)
    memory.write(0, bytes([POISON]) * size)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
    for interface in (memory, master):
        for half in (interface.read_if, interface.write_if):
            half.log.setLevel(logging.WARNING)  # they tell every transfer
    for name in ("aw", "w", "b", "ar", "r"):
        for side, interface in (("m_axi", memory), ("s_axil", master)):
            half = interface.read_if if name in ("ar", "r") else interface.write_if
            generator = _stall(bench_random(f"{side} {name}"), parameters["stall"])
            getattr(half, f"{name}_channel").set_pause_generator(generator)
    tracer = Tracer(dut, config.vector.chunks)
    cocotb.start_soon(tracer.run())

    retired: list[Retired] = []
    golden = GoldenAccelerator(retired.append)
    golden.load(compiled)
    golden.machine.memory[len(compiled.image) :] = POISON
    device = Device(dut, bench, master, memory)
    rtl = await bridge(RegisterAccelerator)(device)
    await bridge(rtl.load)(compiled)
    await bridge(rtl.open)(0, (2, 0))
    golden.open(0, (2, 0))
    for job in JOBS:
        result = await bridge(rtl.run)(job)
        expected = golden.run(job)
        comparison = Comparison(compiled)
        comparison.compare(retired, tracer.take())
        comparison.compare_results(expected, result)
        assert comparison.bit_exact, str(comparison.mismatch)
        assert comparison.tensors > 90
        retired.clear()
    after = device.read_memory(0, size)
    assert np.array_equal(after[: len(golden.machine.memory)], golden.machine.memory)
    assert (after[len(golden.machine.memory) :] == POISON).all()
    dut._log.info("equal after %d cycles", bench.cycle)
