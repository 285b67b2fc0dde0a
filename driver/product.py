"""Runs a compiled product on an accelerator: rows into memory, jobs, results out of memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..arch.formats import BLOCK
from .compiler import CompiledProduct
from .compiler.product import ROWS
from .device import Accelerator, Job, JobResult


def product_jobs(compiled: CompiledProduct) -> list[Job]:
    """One job, or as many as the rows need: a job has at most as many rows as a sequence has positions."""
    start, size, most = compiled.memory.region(ROWS).offset, compiled.record_bytes, compiled.context
    jobs = []
    for first in range(0, compiled.rows, most):
        count = min(most, compiled.rows - first)
        jobs.append(Job(0, 0, (0,) * count, 0, rows_offset=start + first * size, rows_bytes=count * size))
    return jobs


def open_sequence(accelerator: Accelerator, compiled: CompiledProduct) -> None:
    """A product appends nothing, but a job's positions must have a page: all of them get the same one."""
    accelerator.open(0, (0,) * (compiled.context // BLOCK))


def multiply(
    accelerator: Accelerator,
    compiled: CompiledProduct,
    rows: NDArray[np.float32],
    on_job: Callable[[JobResult], None] | None = None,
) -> NDArray[np.float32]:
    """The product of `rows`, float32 [rows, inputs], with the compiled matrix: float32 [rows, channels].

    Raises:
        AcceleratorError: the device stopped with an error status.
    """
    accelerator.load(compiled)
    open_sequence(accelerator, compiled)
    place = compiled.memory.region(ROWS)
    records = np.zeros((compiled.rows, compiled.record_bytes // 4), np.float32)
    records[:, : compiled.inputs] = rows
    accelerator.write(place.offset, records.view(np.uint8).reshape(-1))
    for job in product_jobs(compiled):
        result = accelerator.run(job)
        if on_job is not None:
            on_job(result)
    accelerator.close(0)
    found = accelerator.read(place.offset, place.bytes).view(np.float32).reshape(records.shape)
    first = compiled.output_offset // 4
    return found[:, first : first + compiled.channels].copy()
