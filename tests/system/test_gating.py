"""The RTL device does the same in every cycle whether units without work get a clock or not."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from celosia.arch.model import WeightTensor
from celosia.driver.compiler import compile_product
from celosia.driver.device import AcceleratorError, Job
from celosia.driver.product import open_sequence, product_jobs
from celosia.driver.registers import RegisterAccelerator
from celosia.sim.rtl import RtlDevice, memory_bytes_for

from .support import WIDE, small_model, tokens

CONTEXT = 40
"""Positions of the prompt: more than a page, and chunks that are not full."""


def history(gated: bool) -> Iterator[Any]:
    """What a device does in a prompt, in decode steps, in a job that fails and the one after it, and in a product."""
    model = small_model(WIDE)
    weights = WeightTensor("w", "F32", (96, 64), np.random.default_rng(3).standard_normal((96, 64), np.float32))
    product = compile_product(WIDE, weights, CONTEXT, "Q8_0")
    size = memory_bytes_for(WIDE, max(program.memory.total_bytes for program in (model, product)))
    device = RtlDevice(WIDE, size, gated=gated)
    accelerator = RegisterAccelerator(device)
    accelerator.load(model)
    accelerator.open(0, (6, 1, 3))
    jobs = [(Job(0, 0, tokens(CONTEXT), 4), False), (Job(0, 43, (1,), 3), False)]
    bad = model.memory.placements["w_down"]
    jobs += [(Job(0, 46, (2,), 2), True), (Job(0, 46, (2,), 2), False)]
    for job, fails in jobs:
        device.fail_range(bad.offset, bad.offset + fails)
        yield from observed(device, accelerator, job)
    accelerator.load(product)
    open_sequence(accelerator, product)
    (job,) = product_jobs(product)
    accelerator.write(job.rows_offset, np.random.default_rng(4).integers(0, 60, job.rows_bytes, np.uint8))
    yield from observed(device, accelerator, job)
    yield device.cycles
    yield device.memory.tobytes()
    device.close()


def observed(device: RtlDevice, accelerator: RegisterAccelerator, job: Job) -> Iterator[Any]:
    """The outcome of a job with its cycles and counters, then what every instruction wrote, and when."""
    try:
        yield accelerator.run(job)
    except AcceleratorError as error:
        yield error.status, error.address
    for w in device.writes():
        yield w.index, w.layer, w.pass_index, w.cycle, w.scratchpad.tobytes(), w.activation.tobytes(), w.cache.tobytes()


def test_gated_clocks_change_nothing() -> None:
    gated, free = list(history(True)), list(history(False))
    assert len(gated) > 300
    for one, other in zip(gated, free, strict=True):
        assert one == other
