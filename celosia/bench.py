"""`celosia bench` as a function: runs the phases and says what every cycle was for (docs/bench.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arch.config import AcceleratorConfig
from .arch.isa import Flag
from .arch.model import Model
from .bench_page import page
from .bench_trace import chrome_trace
from .driver.compiler import compile_model
from .driver.cycles import predict
from .driver.work import Work
from .sim.bench import PROMPT, Bench, Measured, run_bench
from .sim.dram import ideal_memory, load_dram
from .sim.ledger import ARRAY_CLASSES, ARRAY_USEFUL, BUS_CLASSES, BUS_USEFUL, NOBODY, UNITS

SCHEMA = 1
"""Version of the JSON object."""

NO_INSTRUCTION = "(none)"


def bench(
    model: Model,
    config: AcceleratorConfig,
    *,
    dram: str | Path | None = None,
    prompts: Sequence[int] = (PROMPT,),
    decodes: Sequence[int] = (),
    progress: Callable[[int, int], None] | None = None,
    status: Callable[[str], None] | None = None,
    html: Path | None = None,
    trace: Path | None = None,
) -> dict[str, Any]:
    """Run all phases of a model on the RTL and account for every cycle.

    Args:
        prompts: tokens of the prompts to run. decodes: tokens to decode one after the other from position 1 on.
        dram: timing of the memory, a preset or a TOML file; None is ideal.
        progress: called while the model is compiled, with bytes packed and in all.
        status: told what is being done, a line at a time.
        html, trace: files to write: a self-contained page; the timeline in the format of Chrome and Perfetto.

    Returns:
        The object that `--json` prints.

    Raises:
        ConfigError, FitError: bad input. ToolMissing, BuildError, CacheError: no simulator. OSError: no such folder.
    """
    memory = None if dram is None else load_dram(dram)
    for path in (html, trace):
        if path is not None and not path.parent.is_dir():
            raise FileNotFoundError(f"{path}: there is no folder {str(path.parent)!r}: make it first")
    compiled = compile_model(model, config, progress=progress)
    measured = run_bench(compiled, memory, report=status, prompts=prompts, decodes=decodes)
    result = to_json(measured)
    if html is not None:
        html.write_text(page(result, measured), encoding="utf-8")
    if trace is not None:
        trace.write_text(chrome_trace(measured), encoding="utf-8")
    return result


def to_json(run: Bench) -> dict[str, Any]:
    """A bench as plain data."""
    return {
        "schema": SCHEMA,
        "model": run.compiled.model.name,
        "config": run.compiled.config.name,
        "dram": run.memory,
        "bus_bytes_per_cycle": run.bus_bytes,
        "macs_per_cycle": run.macs_per_cycle,
        "phases": [_phase(run, measured) for measured in run.measured],
        "extra_cycles": [_extra(run, measured) for measured in run.measured if measured.phase.fused],
        "skipped": [{"name": phase.name, "kind": phase.kind, "reason": phase.reason} for phase in run.skipped],
        "simulated_cycles": run.simulated_cycles,
        "simulated_hz": run.simulated_cycles / run.seconds if run.seconds else None,
    }


def _phase(run: Bench, measured: Measured) -> dict[str, Any]:
    ledger, phase = measured.ledger, measured.phase
    asked = measured.total
    owned = ledger.cycles if measured.owner is None else int(ledger.bus[measured.owner].sum())
    return {
        "name": phase.name,
        "kind": phase.kind,
        "context": phase.context,
        "cycles_per_token": measured.cycles / (phase.last - phase.first) if phase.kind == "decode" else None,
        **_figures(run, asked, measured.cycles),
        "predicted_cycles": _predicted(run, measured),
        "ledger_cycles": owned,
        "bus": ledger.bus_cycles(measured.owner),
        "array": ledger.array_cycles(measured.owner),
        "bus_stalls": owned - sum(ledger.bus_cycles(measured.owner)[name] for name in BUS_USEFUL),
        "array_stalls": owned - sum(ledger.array_cycles(measured.owner)[name] for name in ARRAY_USEFUL),
        "busy": {unit: int(cycles) for unit, cycles in zip(UNITS, ledger.busy.sum(axis=1), strict=True)},
        "mac_utilization_without_head": _without_head(run, measured) if phase.kind == "prompt" else None,
        "instructions": _classes(run, measured),
        "dram": None if measured.dram is None else measured.dram.to_json(),
        "intervals_dropped": ledger.dropped,
    }


def _predicted(run: Bench, measured: Measured) -> int | None:
    """What the cycle model says of a whole job or step; it knows the ideal memory only (docs/performance.md)."""
    phase = measured.phase
    if phase.job is None or phase.alone is not None or run.memory != ideal_memory().name:
        return None
    prediction = predict(phase.product or run.compiled, phase.job)
    return round(sum(prediction.cycles[phase.first : phase.last]) if phase.last else prediction.prefill)


def _without_head(run: Bench, measured: Measured) -> float:
    """Share of the array's multiply-accumulates in the cycles that are not the output head's."""
    heads = [i for i, instruction in enumerate(measured.program) if instruction.flags & Flag.TOP_K]
    cycles = measured.cycles - int(measured.ledger.bus[heads].sum())
    macs = measured.total.macs - sum(measured.work[i].macs for i in heads if i in measured.work)
    return macs / (cycles * run.macs_per_cycle)


def _extra(run: Bench, measured: Measured) -> dict[str, Any]:
    """What an activation or the softmax adds to its products; those of attention take as long as their micro-ops."""
    if measured.phase.fused == "softmax":
        alone = measured.ledger.array_cycles(measured.owner)["attention"]
    else:
        bare = (other for other in run.measured if other.phase.kind == "product" and not other.phase.fused)
        alone = next(bare).cycles
    share = measured.cycles / alone - 1
    return {
        "name": measured.phase.fused,
        "phase": measured.phase.name,
        "cycles": measured.cycles,
        "product_cycles": alone,
        "share": share,
    }


def _figures(run: Bench, asked: Work, cycles: int) -> dict[str, Any]:
    """What was done in so many cycles, and how it compares with what the bus and the array could do."""
    bound = run.bound(asked)
    return {
        "cycles": cycles,
        "bytes": round(asked.bytes),
        "macs": asked.macs,
        "elements": asked.elements,
        "bus_utilization": asked.bytes / (cycles * run.bus_bytes) if cycles else None,
        "mac_utilization": asked.macs / (cycles * run.macs_per_cycle) if cycles else None,
        "lower_bound_cycles": bound,
        "ratio": cycles / bound if bound else None,
    }


def _classes(run: Bench, measured: Measured) -> list[dict[str, Any]]:
    """Figures of each class of instructions, in order of the program; where none ran stands last."""
    found = []
    for name in dict.fromkeys(measured.names):
        indices = [index for index, other in enumerate(measured.names) if other == name]
        asked = Work()
        for index in indices:
            asked += measured.work.get(index, Work())
        cycles = int(measured.ledger.busy[: UNITS.index("softmax"), indices].sum())
        if cycles:
            found.append(
                {"name": name, "count": asked.count, **_figures(run, asked, cycles), **_ledgers(measured, indices)}
            )
    if measured.owner is None:
        found.append({"name": NO_INSTRUCTION, "count": 0, **_figures(run, Work(), 0), **_ledgers(measured, [NOBODY])})
    return found


def _ledgers(measured: Measured, owners: list[int]) -> dict[str, Any]:
    ledger = measured.ledger
    return {
        "exposed_cycles": int(ledger.bus[owners].sum()),
        "bus": _named(BUS_CLASSES, ledger.bus[owners]),
        "array": _named(ARRAY_CLASSES, ledger.array[owners]),
    }


def _named(names: tuple[str, ...], counts: NDArray[np.int64]) -> dict[str, int]:
    """Cycles by class, those that occur."""
    return {name: int(cycles) for name, cycles in zip(names, counts.sum(axis=0), strict=True) if cycles}


def stalls(cycles: dict[str, int], useful: tuple[str, ...]) -> list[tuple[str, int]]:
    """Causes of lost cycles, the largest first."""
    lost = [(name, count) for name, count in cycles.items() if name not in useful and count]
    return sorted(lost, key=lambda entry: -entry[1])
