"""Bare products on the RTL: the same bits on two configs and on the golden machine; errors, and what follows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from celosia.arch.model import WeightTensor
from celosia.driver.compiler import compile_product
from celosia.driver.device import AcceleratorError, Job
from celosia.driver.product import multiply, open_sequence, product_jobs

from .support import NARROW, WIDE, Pair

BURST = WIDE.bus.data_bits // 8 * WIDE.bus.burst_beats
LATENCY = 100
"""Cycles: most bursts are in flight when an error comes."""


def _matrix(seed: int, rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


def test_two_configs_and_the_golden_machine_multiply_alike() -> None:
    """Parts of the channels on both, two jobs on one of them, inputs that fill no block; `Pair` compares everything."""
    rows, weights = _matrix(1, 130, 50), WeightTensor("w", "F32", (3300, 50), _matrix(2, 3300, 50))
    results = []
    for config, jobs, parts in ((NARROW, 2, 3), (WIDE, 1, 4)):
        compiled = compile_product(config, weights, len(rows), "Q4_1")
        assert (len(product_jobs(compiled)), len(compiled.memory.placements)) == (jobs, parts)
        results.append(multiply(Pair(compiled), compiled, rows))
    assert np.array_equal(results[0].view(np.uint32), results[1].view(np.uint32))
    exact = rows.astype(np.float64) @ weights.dequantize().T
    assert np.abs(results[0] - exact).max() < 0.15 * np.abs(exact).max()


@pytest.fixture(scope="module")
def pair() -> Pair:
    """One device for the tests of errors: what an error leaves behind would show in those that follow."""
    weights = WeightTensor("w", "F32", (96, 64), _matrix(3, 96, 64))
    pair = Pair(compile_product(WIDE, weights, 40, "Q8_0"), latency=LATENCY)
    open_sequence(pair, pair.compiled)
    return pair


@pytest.fixture
def job(pair: Pair) -> Job:
    """The whole product, with random rows in the memory of both."""
    (job,) = product_jobs(pair.compiled)
    records = np.zeros((40, pair.compiled.record_bytes // 4), np.float32)
    records[:, :64] = _matrix(4, 40, 64)
    pair.write(job.rows_offset, records.view(np.uint8).reshape(-1))
    return job


@contextmanager
def failing(pair: Pair, address: int) -> Iterator[None]:
    """Bursts to the beat at `address` end with an error."""
    pair.device.fail_range(address, address + 1)
    yield
    pair.device.fail_range(0, 0)


def check_stopped(pair: Pair, job: Job) -> None:
    """Neither busy nor interrupting, and the product can be done again, on both."""
    status = pair.device.read_register("STATUS")
    assert (status & 1, status >> 1 & 1) == (0, 1), "not busy, done"
    assert pair.device.read_register("INTERRUPT_STATUS") == 0
    pair.write(job.rows_offset, pair.read(job.rows_offset, job.rows_bytes))  # the job that failed did a part
    pair.run(job)
    assert pair.device.read_register("STATUS") == 2


@pytest.mark.parametrize("short", [0, 3], ids=["stored", "loaded"])
def test_a_row_outside(pair: Pair, job: Job, short: int) -> None:
    """Row 20 is read within the region and its results are outside, or it is outside itself; golden says the same."""
    compiled = pair.compiled
    cut = replace(job, tokens=(0,) * 21, rows_bytes=20 * compiled.record_bytes + compiled.output_offset - short)
    with pytest.raises(AcceleratorError) as expected:
        pair.golden.run(cut)
    assert pair.fails(cut) == (expected.value.status, expected.value.address) == ("ROWS_RANGE", 20)
    assert not pair.read(job.rows_offset + cut.rows_bytes + short, 4 * 96).any(), "a wild write"
    check_stopped(pair, job)


def test_no_region(pair: Pair, job: Job) -> None:
    assert pair.fails(replace(job, rows_bytes=0)) == ("ROWS_RANGE", 0)
    check_stopped(pair, job)


def test_read_error(pair: Pair, job: Job) -> None:
    address = job.rows_offset + 25 * pair.compiled.record_bytes + 64
    with failing(pair, address):
        status, where = pair.fails(job)
    assert status == "BUS_READ"
    assert address - BURST < where <= address
    check_stopped(pair, job)


def test_write_error(pair: Pair, job: Job) -> None:
    address = job.rows_offset + 9 * pair.compiled.record_bytes + pair.compiled.output_offset
    with failing(pair, address):
        assert pair.fails(job) == ("BUS_WRITE", address)
    check_stopped(pair, job)


def test_rows_outside_the_memory(pair: Pair, job: Job) -> None:
    """The interconnect answers with a decode error."""
    beyond = len(pair.device.memory)
    assert pair.fails(replace(job, rows_offset=beyond)) == ("BUS_READ", beyond)
    check_stopped(pair, job)


def test_infinity_saturates(pair: Pair, job: Job) -> None:
    """On both machines; and a job without one does not."""
    at = job.rows_offset + 33 * pair.compiled.record_bytes
    pair.write(at, np.array([np.inf, np.nan, 1e-40, -0.0], np.float32).view(np.uint8))
    assert pair.run(job).saturated
    pair.write(at, np.zeros(16, np.uint8))
    assert not pair.run(job).saturated


@pytest.mark.parametrize("cycles", [0, 300, 700, 1100, 1500, 2500])
def test_abort(pair: Pair, job: Job, cycles: int) -> None:
    """At any moment: no error, and what was in flight disturbs nothing."""
    device, write = pair.device, pair.device.write_register
    write("TOKEN_INDEX", 0)
    for name, value in (
        *{"COUNT": 40, "STEPS": 0, "POSITION": 0, "SEQUENCE": 0, "INTERRUPT_ENABLE": 1}.items(),
        *{"ROWS_BASE_LO": job.rows_offset, "ROWS_BYTES_LO": job.rows_bytes, "CONTROL": 1}.items(),
    ):
        write(name, value)
    while device.read_register("CYCLES_LO") < cycles:
        assert device.read_register("STATUS") & 1, "busy"
    write("CONTROL", 2)
    assert device.wait_interrupt(20)
    assert device.read_register("STATUS") == 2, "done, no error"
    write("INTERRUPT_STATUS", 3)
    list(device.writes())
    check_stopped(pair, job)
