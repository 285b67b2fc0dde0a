"""The cycle model by itself; tests/system compares it with the RTL."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from celosia.arch.config import AcceleratorConfig, Control, load_config
from celosia.driver.compiler import Plan, plan, uniform_formats
from celosia.driver.cycles import chunk_for, decode_at, forecast, predict, prompt_of, stream, timing
from celosia.driver.cycles.paper import ASSUMPTIONS, MODELS, paper_rows
from celosia.driver.device import Job
from celosia.hdl.arithmetic.add import FloatAdd
from celosia.hdl.arithmetic.exponential import Exp2Negative
from celosia.hdl.arithmetic.fixed import FixedToFloat, FloatToFixed
from celosia.hdl.arithmetic.multiply import FloatMultiply
from celosia.hdl.arithmetic.polynomial import TablePolynomial
from celosia.hdl.arithmetic.reciprocal import Reciprocal, ReciprocalSqrt
from celosia.hdl.control.sequencer import Sequencer
from celosia.hdl.interfaces import Interfaces
from celosia.hdl.matrix.engine import Engine
from celosia.hdl.matrix.writer import PLAIN, ResultWriter
from celosia.hdl.stream import unit
from celosia.hdl.stream.reader import longest_burst
from celosia.hdl.vector.datapath import Datapath, Operation
from celosia.hdl.vector.quantizer import Quantizer
from celosia.hdl.vector.rope import RopeTable
from celosia.hdl.vector.statistics import RowStatistics

from .models import random_config

SMOLLM2 = {
    "dim": 576,
    "hidden_dim": 1536,
    "n_layers": 30,
    "n_heads": 9,
    "n_kv_heads": 3,
    "head_dim": 64,
    "vocab_size": 49152,
    "context_length": 2048,
    "tied_embeddings": True,
}


def smollm2(config: AcceleratorConfig | None = None) -> Plan:
    model = random_config(**SMOLLM2)
    return plan(config or load_config("kria"), model, uniform_formats(model, "Q4_1", "Q8_0"))


@pytest.mark.parametrize(("position", "tokens", "chunk"), [(0, 28, 16), (5, 24, 12), (0, 96, 16), (64, 28, 16)])
def test_small_chunks_where_they_hide_the_vector_work(position: int, tokens: int, chunk: int) -> None:
    compiled = smollm2()
    job = Job(0, position, (0,) * tokens, 1)
    assert chunk_for(compiled, position, tokens) == chunk
    assert predict(compiled, replace(job, chunk=chunk)).prefill < 0.95 * predict(compiled, job).prefill


@pytest.mark.parametrize("tokens", [1, 2, 4, 64, 128, 513])
def test_whole_chunks_where_nothing_is_quicker(tokens: int) -> None:
    assert chunk_for(smollm2(), 0, tokens) == 0


def test_whole_chunks_where_one_is_in_flight() -> None:
    config = load_config("kria")
    single = replace(config, vector=replace(config.vector, chunks=1))
    assert chunk_for(smollm2(single), 0, 28) == 0


def test_latencies_are_those_of_the_hardware() -> None:
    blocks = {
        "ADD": FloatAdd,
        "MULTIPLY": FloatMultiply,
        "TO_FLOAT": FixedToFloat,
        "TO_FIXED": FloatToFixed,
        "ROOT": ReciprocalSqrt,
        "EXPONENTIAL": Exp2Negative,
        "RECIPROCAL": Reciprocal,
        "POLYNOMIAL": TablePolynomial,
    }
    assert {name: getattr(timing, name) for name in blocks} == {name: block.latency for name, block in blocks.items()}
    assert RowStatistics.lead == timing.LEAD
    assert (stream.IN_TRANSIT, stream.MOST_REGIONS) == (unit.IN_TRANSIT, unit.MOST_REGIONS)


FAST = replace(load_config("ecp5"), control=Control(family="ecp5", clock_mhz=150.0))
"""Pipelines as deep as they get."""


@pytest.mark.parametrize("config", [*map(load_config, ("default", "ecp5", "kria")), FAST], ids=lambda c: c.name)
def test_sizes_are_those_of_the_hardware(config: AcceleratorConfig) -> None:
    of_config = timing.Timing(config)
    engine = Engine(Interfaces(config))
    assert of_config.quantizer == Quantizer(lanes=config.vector.lanes, bits=8).latency
    # Two cycles more until a result is at the queue's output.
    assert of_config.engine == engine.looks_ahead + engine.latency + 2
    assert of_config.hazard == engine.hazard_distance == engine.accumulators.distance
    datapath, rope = Datapath(Interfaces(config)), RopeTable(Interfaces(config))
    ways = {"copy": "COPY", "rotate": "ROTATE", "activate": "ACTIVATE", "gate": "GATE", "scale": "SCALE"}
    ways["centre"] = "CENTRE_AND_SCALE"
    assert of_config.result == {way: datapath.times.result[Operation[name]] for way, name in ways.items()}
    assert 3 + of_config.add + timing.MULTIPLY == 1 + datapath.times.statistic[Operation.CENTRE_AND_SQUARE]
    assert of_config.sine == rope.sine_cosine.latency
    written = ResultWriter(Interfaces(config))
    ways = PLAIN, written.one_sum, written.two_sums
    assert of_config.write == tuple(cycles + written.done_after for cycles in ways)
    assert {of_config.begin} == {queue.registers.latency for queue in Sequencer(config).queues.values()}
    assert stream.Stream(config, 32).burst == longest_burst(config)


def test_decode_is_bound_by_the_bus_and_prompts_by_the_array() -> None:
    compiled = smollm2()
    step, prompt = decode_at(compiled, 256), prompt_of(compiled, 128)
    bound = compiled.memory.streamed_bytes / 64
    assert bound < step.decode[0] < 1.05 * bound
    assert step.limit("decode")[0] == "bus"
    assert prompt.limit("prefill")[0] == "array"
    assert step.decode_classes["MATMUL"].limit == "bus"
    assert prompt.prefill_classes["MATMUL"].limit == "array"
    assert sum(load.bytes for load in step.decode_classes.values()) >= compiled.memory.streamed_bytes
    for part in (step.decode_classes, prompt.prefill_classes):
        for load in part.values():
            assert load.count > 0
            assert load.cycles >= 0


def test_macs_are_those_of_the_matrices() -> None:
    compiled = smollm2()
    step = decode_at(compiled, 16)
    layer = 576 * (576 + 192 + 192 + 576 + 3 * 1536)
    assert step.decode_classes["MATMUL"].macs == 30 * layer
    assert step.decode_classes["HEAD"].macs == 576 * 49152


def test_longer_contexts_take_longer() -> None:
    compiled = smollm2()
    cycles = [decode_at(compiled, context).decode[0] for context in (16, 256, 1024, 2048)]
    assert cycles == sorted(cycles)
    # Keys and values of 1,024 more positions, with exponents.
    read = 1024 / 32 * 30 * 3 * (128 + 2 * 2048) / 64
    assert cycles[3] - cycles[2] == pytest.approx(read, rel=0.05)


@pytest.mark.parametrize(("position", "tokens", "steps"), [(0, 1, 3), (0, 100, 2), (1985, 40, 2)])
def test_layers_and_pages_that_are_skipped_change_nothing(position: int, tokens: int, steps: int) -> None:
    compiled = smollm2()
    job = Job(0, position, (0,) * tokens, steps)
    every, some = predict(compiled, job, every_layer=True), predict(compiled, job)
    assert some.cycles == pytest.approx(every.cycles, rel=0.005)
    for name, load in every.prefill_classes.items():
        assert some.prefill_classes[name].count == load.count
        assert some.prefill_classes[name].bytes == load.bytes
        assert some.prefill_classes[name].cycles == pytest.approx(load.cycles, rel=0.02)
    assert len(some.retired) < len(every.retired)


def test_a_question_takes_milliseconds() -> None:
    compiled = smollm2()
    started = time.process_time()
    decode_at(compiled, 2048)
    assert time.process_time() - started < 1


def test_one_chunk_is_slower_than_two() -> None:
    two = load_config("kria")
    one = replace(two, vector=replace(two.vector, chunks=1))
    assert prompt_of(smollm2(one), 128).prefill > 1.05 * prompt_of(smollm2(two), 128).prefill


def test_a_slow_memory_takes_longer() -> None:
    compiled = smollm2()
    job = Job(0, 0, (0,), 2)
    assert predict(compiled, job, latency=1000).decode[0] > 2 * predict(compiled, job).decode[0]


def test_forecast_stays_within_the_context() -> None:
    model = random_config(context_length=100)
    made = plan(load_config("default"), model, uniform_formats(model, "Q8_0", "Q8_0"))
    found = forecast(made)
    assert [row["context"] for row in found["decode"]] == [16, 100]
    assert found["prompt"]["tokens"] == 100


def test_bad_questions_are_refused() -> None:
    compiled = smollm2()
    with pytest.raises(ValueError, match=r"^context = 2049: must be from 2 to 2048$"):
        decode_at(compiled, 2049)
    with pytest.raises(ValueError, match=r"^tokens = 0: must be from 1 to 2048$"):
        prompt_of(compiled, 0)
    with pytest.raises(ValueError, match=r"^job: 0 tokens; needs 1 or more$"):
        predict(compiled, Job(0, 0, (), 1))


def test_paper_models_reach_their_bandwidth_and_no_more() -> None:
    rows = paper_rows()
    assert [row["model"] for row in rows] == [model.name for model in MODELS for _ in range(2)]
    for row in rows:
        assert 0.95 * row["bound"] < row["tokens_per_second"] <= row["bound"]
        assert row["limit"] == "bus"
    published = {(row["source"], row["published"]) for row in rows if row["published"]}
    assert published == {("FlightLLM", 55.0), ("Hummingbird", 4.8)}
    # The weights of 8 billion parameters at 4.5 bits.
    assert rows[3]["gigabytes"] == pytest.approx(8.03 * 4.5 / 8, rel=0.01)
    assert rows[3]["clock_mhz"] * 64e6 == pytest.approx(19.2e9)
    assert ASSUMPTIONS
