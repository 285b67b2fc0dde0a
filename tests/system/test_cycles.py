"""The cycle model beside the RTL: whole steps within 3 %, every class of instruction within 10 % or 20 cycles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from celosia.api import load
from celosia.arch.config import AcceleratorConfig, derive, load_config
from celosia.arch.isa import Flag, Opcode
from celosia.arch.model import WeightTensor
from celosia.driver.compiler import CompiledModel, CompiledProgram, compile_model, compile_product
from celosia.driver.cycles import Retirement, chunk_for, predict, spans
from celosia.driver.cycles.walk import passes
from celosia.driver.device import Job, JobResult
from celosia.driver.product import open_sequence, product_jobs
from celosia.driver.registers import RegisterAccelerator
from celosia.sim.rtl import RtlDevice, memory_bytes_for

from .support import DEEP, NARROW, WIDE, small_model, tokens

STEP_TOLERANCE = 0.03
CLASS_TOLERANCE = 0.10
CLASS_CYCLES = 20
PAGES = 4


def measure(compiled: CompiledModel, jobs: Sequence[Job]) -> list[tuple[JobResult, list[Retirement]]]:
    """Run jobs on the RTL, one after the other in one sequence; cycles of retirements count from the doorbell."""
    device = RtlDevice(compiled.config, memory_bytes_for(compiled.config, compiled.memory.total_bytes))
    accelerator = RegisterAccelerator(device)
    accelerator.load(compiled)
    accelerator.open(0, tuple(range(PAGES)))
    settle = derive(compiled.config).pipeline.settle.latency
    measured = []
    for job in jobs:
        result = accelerator.run(job)
        writes = list(device.writes())
        # A token is sampled two cycles after the head that it comes from, or three.
        head = min(w.cycle for w in writes if compiled.program[w.index].flags & Flag.TOP_K)
        doorbell = head + 1 + settle - result.cycles[0]
        measured.append((result, [Retirement(w.index, w.layer, w.pass_index, w.cycle - doorbell) for w in writes]))
    device.close()
    return measured


def by_class(compiled: CompiledProgram, job: Job, retired: Sequence[Retirement]) -> dict[tuple[str, bool], list[float]]:
    """Cycles that instructions add, by opcode, and whether the pass is a prompt's."""
    item = list(passes(compiled.config, job))
    first_decode = next((i for i, p in enumerate(item) if p.head), len(item)) + 1
    found: dict[tuple[str, bool], list[float]] = {}
    for (index, _, pass_index), cycles in sorted(
        spans(retired, compiled.program, [p.second > 0 for p in item]).items()
    ):
        key = Opcode(compiled.program[index].opcode).name, pass_index < first_decode
        found.setdefault(key, []).append(cycles)
    return found


def agree(compiled: CompiledModel, jobs: Sequence[Job]) -> None:
    for job, (result, retired) in zip(jobs, measure(compiled, jobs), strict=True):
        predicted = predict(compiled, job, every_layer=True)
        assert predicted.cycles == pytest.approx(result.cycles, rel=STEP_TOLERANCE)
        compare_classes(by_class(compiled, job, retired), by_class(compiled, job, predicted.retired))


Classes = dict[tuple[str, bool], list[float]]


def compare_classes(expected: Classes, found: Classes) -> None:
    """Each class within its tolerance, on average over its instructions."""
    assert found.keys() == expected.keys()
    for key, cycles in expected.items():
        measured = sum(cycles) / len(cycles)
        allowed = max(CLASS_TOLERANCE * measured, CLASS_CYCLES)
        assert len(found[key]) == len(cycles)
        assert sum(found[key]) / len(cycles) == pytest.approx(measured, abs=allowed), key


@pytest.mark.parametrize("config", [NARROW, WIDE], ids=lambda config: config.name)
def test_a_bare_product(config: AcceleratorConfig) -> None:
    """Rows from memory and back; parts of the channels, a last chunk that is short. Every class as above."""
    values = np.random.default_rng(1).standard_normal((1056, 256)).astype(np.float32)
    compiled = compile_product(config, WeightTensor("w", "F32", values.shape, values), 101, "Q8_0")
    (job,) = product_jobs(compiled)
    device = RtlDevice(compiled.config, memory_bytes_for(compiled.config, compiled.memory.total_bytes))
    accelerator = RegisterAccelerator(device)
    accelerator.load(compiled)
    accelerator.write(job.rows_offset, np.ones(job.rows_bytes // 4, np.float32).view(np.uint8))
    open_sequence(accelerator, compiled)
    result = accelerator.run(job)
    retired = [Retirement(w.index, w.layer, w.pass_index, w.cycle - device.doorbell) for w in device.writes()]
    device.close()
    predicted = predict(compiled, job, every_layer=True)
    assert predicted.prefill == pytest.approx(result.counters["cycles"], rel=STEP_TOLERANCE)
    compare_classes(by_class(compiled, job, retired), by_class(compiled, job, predicted.retired))


def test_two_chunks_in_flight() -> None:
    agree(small_model(WIDE), [Job(0, 0, tokens(61), 6), Job(0, 66, tokens(9), 3), Job(0, 77, tokens(40, 2), 8)])


def test_chunks_that_the_driver_chooses() -> None:
    """What the model finds quicker is quicker on the RTL."""
    compiled = small_model(WIDE)
    whole = Job(0, 0, tokens(32), 1)
    chosen = replace(whole, position=32, chunk=chunk_for(compiled, 32, 12), tokens=tokens(12))
    assert chosen.chunk == 8
    agree(compiled, [replace(whole, chunk=8), chosen, replace(chosen, position=64, chunk=0)])
    cycles = [result.cycles[0] for result, _ in measure(compiled, [chosen, replace(chosen, chunk=0)])]
    assert cycles[0] < 0.85 * cycles[1]


def test_two_chunks_of_another_shape() -> None:
    compiled = small_model(WIDE, dim=96, hidden_dim=256, n_heads=4, n_kv_heads=2, head_dim=24, n_layers=4)
    agree(compiled, [Job(0, 0, tokens(61), 4)])


def test_one_chunk_on_a_bus_that_waits_for_the_memory() -> None:
    agree(small_model(NARROW), [Job(0, 0, tokens(40), 4)])


def test_deep_pipelines() -> None:
    agree(small_model(DEEP), [Job(0, 0, tokens(61), 6), Job(0, 66, tokens(9), 3)])


def test_layer_norm_gelu_and_biases() -> None:
    changes = {"norm": "layer", "activation": "gelu", "qkv_bias": True, "mlp_bias": True}
    agree(small_model(WIDE, **changes), [Job(0, 0, tokens(40), 3)])


def test_embedded_model_on_the_default_config() -> None:
    compiled = compile_model(load(), load_config("default"))
    agree(compiled, [Job(0, 0, tuple(b"Once upon a time there was a small robot."), 4)])
