"""One design in three simulators: `python -m tests.system.speed` prints cycles per second (docs/simulation.md).

The same Amaranth component in each of them, the same job of the same model and a memory of the same timing, so that
they simulate the same cycles and find the same tokens. Building, compiling and loading are not counted.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from amaranth.sim import Simulator

from celosia.arch.config import derive
from celosia.driver.compiler import CompiledModel
from celosia.driver.device import Device, Job
from celosia.driver.registers import RegisterAccelerator
from celosia.hdl.control.accelerator import Accelerator
from celosia.sim.dram import ideal_memory
from celosia.sim.rtl import RtlDevice, memory_bytes_for

from ..harness.runner import run_bench
from .outside import Outside, SteppedDevice
from .support import small_model
from .test_accelerator import CONFIG

JOB = Job(0, 0, (3,), 1)
LIMIT_SECONDS = 120.0
"""What a leg may take at most, building not counted."""


@dataclass(frozen=True)
class Leg:
    """What a simulator did.

    Attributes
    ----------
    result : of one job, its tokens, candidates and hardware counters. memory : a hash of all of it afterwards.
    jobs : how often it ran. cycles : of the clock in them all. wall, cpu : seconds that they took.
    """

    result: dict[str, Any]
    memory: str
    jobs: int
    cycles: int
    wall: float
    cpu: float


@cache
def small() -> CompiledModel:
    """One layer and a vocabulary of 32: a token costs some 2,000 cycles."""
    return small_model(CONFIG, head_dim=16, n_layers=1, n_heads=2, n_kv_heads=1, dim=32, hidden_dim=32, vocab_size=32)


def outside_of(compiled: CompiledModel, seconds: float) -> Outside:
    """The memory and the master of a simulator that is stepped."""
    size = memory_bytes_for(compiled.config, compiled.memory.total_bytes)
    return Outside(derive(compiled.config).bus_bytes, size, seconds=seconds)


def measure(device: Device, cycles: Callable[[], int], compiled: CompiledModel, seconds: float) -> Leg:
    """Run the job again and again, for `seconds` and once at least."""
    accelerator = RegisterAccelerator(device)
    accelerator.load(compiled)
    accelerator.open(0, (0, 1))
    jobs, first, wall, cpu = 0, cycles(), time.perf_counter(), time.process_time()
    while not jobs or time.perf_counter() - wall < seconds:
        result = accelerator.run(JOB)
        jobs += 1
    spent = time.perf_counter() - wall, time.process_time() - cpu
    simulated = cycles() - first
    memory = sha256(device.read_memory(0, compiled.memory.total_bytes).tobytes()).hexdigest()
    return Leg(json.loads(json.dumps(asdict(result))), memory, jobs, simulated, *spent)


def rtl_device(seconds: float) -> Leg:
    """The RTL device: Verilator and a memory in C++."""
    size = memory_bytes_for(CONFIG, small().memory.total_bytes)
    device = RtlDevice(CONFIG, size, memory=ideal_memory(1))
    device.keep_writes(False)
    leg = measure(device, lambda: device.cycles, small(), seconds)
    device.close()
    return leg


def cocotb_bench(seconds: float) -> Leg:
    """cocotb on Verilator."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "speed.json"
        run_bench(
            Accelerator(CONFIG, trace=True),
            "tests.system.bench_speed",
            name="speed",
            parameters={"seconds": seconds, "limit": LIMIT_SECONDS, "result": str(result)},
        )
        return Leg(**json.loads(result.read_text()))


def amaranth_simulator(seconds: float) -> Leg:
    """Amaranth's own simulator."""
    component = Accelerator(CONFIG, trace=True)
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    outside = outside_of(small(), LIMIT_SECONDS)
    ports = {name: getattr(component, name) for name in component.signature.members}

    async def steps(ctx: Any) -> None:
        while True:
            changed = outside.cycle(lambda name: ctx.get(ports[name]))
            await ctx.tick()
            for name, value in changed.items():
                ctx.set(ports[name], value)

    def wait(condition: Callable[[], bool]) -> None:
        now = outside.cycles
        while outside.cycles == now or not condition():
            simulator.advance()

    simulator.add_testbench(steps, background=True)
    return measure(SteppedDevice(outside, wait), lambda: outside.cycles, small(), seconds)


SIMULATORS: dict[str, Callable[[float], Leg]] = {
    "RtlDevice": rtl_device,
    "cocotb on Verilator": cocotb_bench,
    "Amaranth's simulator": amaranth_simulator,
}


def main(seconds: float = 3.0) -> None:
    """Print a line for each."""
    os.environ |= {"COCOTB_LOG_LEVEL": "WARNING", "GPI_LOG_LEVEL": "WARNING"}
    print(f"{'':22}{'cycles/s of CPU':>17}{'of wall time':>15}{'cycles simulated':>18}")
    for name, run in SIMULATORS.items():
        leg = run(seconds)
        print(f"{name:22}{leg.cycles / leg.cpu:17,.0f}{leg.cycles / leg.wall:15,.0f}{leg.cycles:18,}", flush=True)


if __name__ == "__main__":
    main()
