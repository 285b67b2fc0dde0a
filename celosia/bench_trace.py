"""The timeline of a bench as Perfetto and Chrome read it: one process per phase, one thread per unit."""

from __future__ import annotations

import json
from typing import Any

from .sim.bench import Bench, Measured
from .sim.ledger import ARRAY_CLASSES, BUS_CLASSES, UNITS


def chrome_trace(run: Bench) -> str:
    """The document. A cycle is shown as a microsecond, since the format has no cycles."""
    events: list[dict[str, Any]] = []
    for process, measured in enumerate(run.measured, start=1):
        events.append(_named("process_name", process, 0, measured.phase.name))
        for thread, unit in enumerate(UNITS, start=1):
            events.append(_named("thread_name", process, thread, unit))
        events += [_work(measured, process, record) for record in measured.ledger.intervals]
        events += _counters(measured, process)
    return json.dumps({"displayTimeUnit": "ms", "otherData": {"time": "1 us is 1 cycle"}, "traceEvents": events})


def _named(what: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": process, "tid": thread, "args": {"name": name}}


def interval_name(measured: Measured, record: Any) -> str:
    """What a unit was doing: the class of the instruction, for those that execute one."""
    unit, index = UNITS[int(record["unit"])], int(record["index"])
    return measured.names[index] if index < len(measured.names) and unit not in ("softmax", "writer") else unit


def _work(measured: Measured, process: int, record: Any) -> dict[str, Any]:
    begin, end = int(record["begin"]), int(record["end"])
    return {
        "ph": "X",
        "name": interval_name(measured, record),
        "pid": process,
        "tid": int(record["unit"]) + 1,
        "ts": begin,
        "dur": end - begin,
        "args": {name: int(record[name]) for name in ("index", "layer", "chunk")},
    }


def _counters(measured: Measured, process: int) -> list[dict[str, Any]]:
    """Cycles of each class, bucket by bucket, as stacked counters; the bus and the array one each."""
    ledger = measured.ledger
    events = []
    for name, classes, buckets in (
        ("bus", BUS_CLASSES, ledger.bus_buckets),
        ("array", ARRAY_CLASSES, ledger.array_buckets),
    ):
        used = [i for i in range(len(classes)) if buckets[:, i].any()]
        for bucket, row in enumerate(buckets):
            args = {classes[i]: int(row[i]) for i in used}
            events.append({"ph": "C", "name": name, "pid": process, "ts": bucket * ledger.bucket_cycles, "args": args})
    return events
