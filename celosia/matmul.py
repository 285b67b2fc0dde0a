"""A matrix product on the accelerator without a language model around it: arrays in, the machine's result out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .api import OnText
from .arch.config import AcceleratorConfig, derive
from .arch.model import BLOCK_FORMATS, WeightTensor
from .driver.compiler import CompiledProduct, compile_product
from .driver.device import JobResult
from .driver.golden_accelerator import GoldenAccelerator
from .driver.product import multiply
from .driver.requests import RequestError
from .sim.dram import MemoryModel
from .verified import VerifiedAccelerator

DEVICES = ("rtl", "golden")


@dataclass(frozen=True, eq=False)
class ProductReport:
    """A product and what it took; what only the RTL can say is None on other devices.

    Attributes:
        result: float32 [rows, channels], the same bits on every device and config.
        shape: rows, inputs, channels.
        bit_exact: RTL and golden agree, in the results and in everything on the way; `mismatch` says where not.
        cycles: from doorbell to the last result in memory, all jobs. mac_utilization: of these.
        saturated: a number left the range of float32.
    """

    result: NDArray[np.float32]
    shape: tuple[int, int, int]
    weight_format: str
    config: str
    device: str
    saturated: bool
    bit_exact: bool | None = None
    mismatch: str | None = None
    elements_compared: int | None = None
    cycles: int | None = None
    mac_utilization: float | None = None
    seconds: float = 0.0


def matmul(
    rows: ArrayLike,
    weights: ArrayLike | WeightTensor,
    config: AcceleratorConfig,
    *,
    weight_format: str = "Q8_0",
    device: str = "rtl",
    memory: MemoryModel | None = None,
    status: OnText | None = None,
) -> ProductReport:
    """rows [M, K] times the transpose of weights [N, K], as docs/numerics.md defines it: rows are quantized on the way,
    weights once before.

    Args:
        weights: finite float32, or a quantized tensor. weight_format: block format for float weights.
        device: "rtl", with the golden machine beside it, or "golden".
        memory: timing of the RTL's memory; None is ideal.
        status: told what is being done, a line at a time.

    Raises:
        ConfigError, FitError, RequestError, ModelError: bad input. ToolMissing, BuildError, CacheError: no simulator.
    """
    if device not in DEVICES:
        raise RequestError(f"device is {device!r}: it must be one of {', '.join(DEVICES)}")
    if weight_format not in BLOCK_FORMATS:
        raise RequestError(f"weight_format is {weight_format!r}: it must be one of {', '.join(BLOCK_FORMATS)}")
    x = _matrix("rows", rows)
    tensor = weights if isinstance(weights, WeightTensor) else _tensor(_matrix("weights", weights))
    if tensor.shape[1] != x.shape[1]:
        raise RequestError(
            f"rows are {x.shape[0]} x {x.shape[1]}, weights {tensor.shape[0]} x {tensor.shape[1]}: both need the same "
            "number of columns; weights have one row for each column of the result"
        )
    started = time.perf_counter()
    compiled = compile_product(config, tensor, len(x), weight_format)
    format_ = next(iter(compiled.memory.placements.values())).operand.format
    jobs: list[JobResult] = []
    if device == "golden":
        result = multiply(GoldenAccelerator(), compiled, x, jobs.append)
        measured: dict[str, Any] = {}
    else:
        with VerifiedAccelerator(compiled, report=status, memory=memory) as accelerator:
            result = multiply(accelerator, compiled, x, jobs.append)
            measured = _measured(compiled, accelerator, jobs)
    return ProductReport(
        result=result,
        shape=(compiled.rows, compiled.inputs, compiled.channels),
        weight_format=format_,
        config=config.name,
        device=device,
        saturated=any(job.saturated for job in jobs),
        seconds=time.perf_counter() - started,
        **measured,
    )


def _measured(compiled: CompiledProduct, accelerator: VerifiedAccelerator, jobs: list[JobResult]) -> dict[str, Any]:
    comparison = accelerator.comparison
    cycles = sum(job.counters["cycles"] for job in jobs)
    return {
        "bit_exact": comparison.bit_exact,
        "mismatch": str(comparison.mismatch) if comparison.mismatch else None,
        "elements_compared": comparison.elements,
        "cycles": cycles,
        "mac_utilization": compiled.macs / (cycles * derive(compiled.config).macs),
    }


def _tensor(values: NDArray[np.float32]) -> WeightTensor:
    """Float weights as the compiler takes them: without subnormals and -0 (docs/numerics.md, 1)."""
    kept = np.where(np.abs(values) < np.finfo(np.float32).tiny, np.float32(0), values)
    return WeightTensor("weights", "F32", kept.shape, kept)


def _matrix(name: str, values: ArrayLike) -> NDArray[np.float32]:
    """A finite float32 matrix.

    Raises:
        RequestError: it is none.
    """
    array = np.asarray(values)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
        shape = " x ".join(map(str, array.shape)) or "no"
        raise RequestError(f"{name} are {array.dtype} of {shape} elements: they must be a matrix of numbers, not empty")
    with np.errstate(over="ignore"):
        matrix = array.astype(np.float32)
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0].tolist()
        raise RequestError(f"{name}[{row}, {column}] is {array[row, column]}: every element must be a finite float32")
    return matrix
