"""The ledgers on the RTL: every cycle in one class, a provoked loss in its cause, the intervals of the units."""

import numpy as np
import pytest

from celosia.driver.compiler import CompiledModel
from celosia.driver.device import Job
from celosia.driver.registers import RegisterAccelerator
from celosia.sim.bench import Phase, Plan, run_bench
from celosia.sim.dram import ideal_memory
from celosia.sim.ledger import ARRAY_USEFUL, BUS_CLASSES, BUS_USEFUL, NOBODY, UNITS, Ledger
from celosia.sim.rtl import RtlDevice, memory_bytes_for

from .support import NARROW, WIDE, small_model, tokens


def watched(
    compiled: CompiledModel, job: Job, *, first: int = 0, last: int = 0, latency: int = 32
) -> tuple[Ledger, dict[str, int], tuple[int, ...]]:
    """The ledger of a job, its counters, and its cycles from token to token."""
    size = memory_bytes_for(compiled.config, compiled.memory.total_bytes)
    device = RtlDevice(compiled.config, size, memory=ideal_memory(latency))
    device.keep_writes(False)
    accelerator = RegisterAccelerator(device)
    accelerator.load(compiled)
    accelerator.open(0, (0, 1, 2))
    device.watch(first, last)
    result = accelerator.run(job)
    ledger = device.ledger()
    assert not list(device.writes())
    device.close()
    return ledger, result.counters, result.cycles


def job_of(compiled: CompiledModel) -> Job:
    """A prompt of two chunks, then two decode steps."""
    return Job(0, 0, tokens(compiled.config.vector.chunk + 2), 3)


@pytest.fixture(scope="module", params=[NARROW, WIDE], ids=lambda c: c.name)
def compiled(request: pytest.FixtureRequest) -> CompiledModel:
    return small_model(request.param)


@pytest.fixture(scope="module")
def whole(compiled: CompiledModel) -> tuple[Ledger, dict[str, int], tuple[int, ...]]:
    return watched(compiled, job_of(compiled))


def test_every_cycle_is_in_one_class_of_each_ledger(whole):
    ledger, counters, _ = whole
    assert ledger.cycles == counters["cycles"]
    for cycles in (ledger.bus_cycles(), ledger.array_cycles()):
        assert sum(cycles.values()) == ledger.cycles
    assert ledger.bus.sum(axis=1).tolist() == ledger.array.sum(axis=1).tolist()
    for buckets in (ledger.bus_buckets, ledger.array_buckets):
        assert buckets.sum() == ledger.cycles
        assert (buckets.sum(axis=1)[:-1] == ledger.bucket_cycles).all()


def test_useful_cycles_are_what_the_counters_count(compiled, whole):
    ledger, counters, _ = whole
    bus, array = ledger.bus_cycles(), ledger.array_cycles()
    beat = compiled.config.bus.data_bits // 8
    assert bus["stream"] * beat == counters["stream_bytes"]
    assert bus["auxiliary"] * beat == counters["auxiliary_bytes"]
    assert ledger.busy[UNITS.index("attention")].sum() == counters["busy_attention"]
    assert ledger.busy[UNITS.index("matrix")].sum() == counters["busy_matrix"]
    assert array["matmul"] > 0 and array["attention"] > 0


def test_the_window_is_what_the_device_says_of_a_token(compiled, whole):
    _, _, cycles = whole
    ledger, _, again = watched(compiled, job_of(compiled), first=1, last=2)
    assert again == cycles
    assert ledger.cycles == cycles[1] == ledger.bus.sum() == ledger.array.sum()
    assert ledger.bus_cycles()["start"] == ledger.array_cycles()["start"] == 0


def test_intervals_are_ordered_and_as_long_as_the_units_were_busy(whole):
    ledger, _, _ = whole
    assert ledger.dropped == 0
    for unit, name in enumerate(UNITS):
        mine = ledger.intervals[ledger.intervals["unit"] == unit]
        # A model touches no rows in memory.
        assert (len(mine) == 0) == name.startswith("row_"), name
        lengths = mine["end"].astype(np.int64) - mine["begin"].astype(np.int64)
        assert (lengths > 0).all()
        assert (mine["begin"][1:] >= mine["end"][:-1]).all(), name
        assert lengths.sum() == ledger.busy[unit].sum()


def test_cycles_without_an_instruction_belong_to_nobody(whole):
    ledger, _, _ = whole
    array = ledger.array_cycles(NOBODY)
    assert array["start"] > 0
    assert all(array[name] == 0 for name in (*ARRAY_USEFUL, "drain", "vector", "softmax"))


def test_slow_memory_is_the_cause_of_what_it_costs(compiled, whole):
    fast = whole[0]
    slow, _, _ = watched(compiled, job_of(compiled), latency=400)
    more = slow.cycles - fast.cycles
    assert more > 0.4 * fast.cycles
    # While embedding rows are read (EMBED is instruction 0), and between jobs, the stream has filled its FIFO.
    others = slice(1, NOBODY)
    bus = (slow.bus[others] - fast.bus[others]).sum(axis=0)
    lost = dict(zip(BUS_CLASSES, bus.tolist(), strict=True))
    assert lost["memory"] + lost["window"] > 0.9 * sum(lost.values()) > 0
    # One burst is in flight on the narrow config; on the wide one as many as its small FIFO has room for.
    assert (lost["window"] > lost["memory"]) == (compiled.config.name == "wide")
    waits = {name: slow.array_cycles()[name] - fast.array_cycles()[name] for name in ("stream", "embedding", "start")}
    # With one burst in flight the stream's first weights come after the embedding's rows: the array waits for them.
    assert waits["stream"] > 0 and waits["start"] > 0
    assert (waits["embedding"] > 0) == (compiled.config.name == "wide")
    assert sum(waits.values()) > 0.9 * more


def test_prompts_keep_the_bus_waiting_for_the_consumer(compiled):
    """A tile serves many rows, and the memory answers at once: the FIFO is full, since the array takes its time."""
    ledger, _, _ = watched(compiled, Job(0, 0, tokens(20), 1), last=1, latency=1)
    lost = {name: count for name, count in ledger.bus_cycles().items() if name not in BUS_USEFUL}
    assert max(lost, key=lambda name: lost[name]) == "consumer"


def test_phases_run_and_say_why_others_do_not(compiled):
    phases = Plan(compiled).build()
    skipped = [
        *(f"decode@{c}" for c in (256, 2048) if c > compiled.context),
        *(f"prompt@{c}" for c in (128,) if c > compiled.context),
    ]
    assert [p.name for p in phases if p.job is None] == skipped
    assert all(phase.reason for phase in phases if phase.job is None)
    run = run_bench(compiled, phases=[p for p in phases if p.job is None or p.kind in ("attention", "unit")])
    names = {measured.phase.name: measured for measured in run.measured}
    assert [phase.name for phase in run.skipped] == skipped
    assert {"softmax", "norm", "rope", "gate", "quantize"} <= set(names)
    for name in ("norm", "rope", "gate", "quantize"):
        measured = names[name]
        assert measured.cycles == measured.ledger.busy[UNITS.index("vector"), 0] > 0, name
        assert measured.total.macs == 0
        assert measured.ledger.array_cycles(0)["vector"] == measured.cycles


def test_a_context_beyond_the_model_is_not_run(compiled):
    phase = next(p for p in Plan(compiled).build() if p.name == "decode@2048")
    assert isinstance(phase, Phase) and phase.reason == f"the context has {compiled.context} positions"
