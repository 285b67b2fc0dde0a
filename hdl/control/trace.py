"""Outputs that show what is written, when instructions retire, and what every cycle was for: for simulation only."""

from collections.abc import Sequence
from typing import Any

from amaranth import Cat, Module, ValueLike
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from ..interfaces import Interfaces
from .decode import UNITS

QUEUES = ("embedding", "vector", "engine", "store")
"""The sequencer's queues, whose instructions are shown."""

BUS_CLASSES = ("stream", "auxiliary", "start", "consumer", "window", "memory", "appends", "walk", "end")
ARRAY_CLASSES = (
    "matmul",
    "attention",
    "appends",
    "stream",
    "merge",
    "results",
    "accumulator",
    "softmax",
    "drain",
    "handover",
    "schedule",
    "vector",
    "embedding",
    "rows",
    "writes",
    "issue",
    "start",
    "end",
)
"""What a cycle of a job was for, by the read bus and by the array: the first one that applies, the last one if none
does. docs/bench.md has the definitions. `trace_bus` and `trace_array` have a bit for each but the last."""


def trace_ports(interfaces: Interfaces) -> dict[str, object]:
    """Ports of the top level: writes to each chunk's scratchpad, to the activation memory and to the cache, by chunk,
    and retirements by queue. What a chunk wrote to a memory was written by the next one that retires of those of its
    instructions that write there.
    """
    ports: dict[str, object] = {
        "trace_am_en": Out(1),
        "trace_am_chunk": Out(1),
        "trace_am_address": Out(interfaces.am_address),
        "trace_am_mask": Out(interfaces.rows),
        "trace_am_data": Out(interfaces.am_word.size),
        "trace_kv_en": Out(1),
        "trace_kv_chunk": Out(1),
        "trace_kv_data": Out(interfaces.kv_block.size),
        "trace_busy": Out(1),
        "trace_sample": Out(1),
        "trace_bus": Out(len(BUS_CLASSES) - 1),
        "trace_array": Out(len(ARRAY_CLASSES) - 1),
        "trace_softmax": Out(3),
        "trace_writer": Out(1),
    }
    for name in QUEUES:
        ports |= {
            f"trace_{name}_active": Out(len(UNITS)),
            f"trace_{name}_index": Out(8),
            f"trace_{name}_layer": Out(12),
            f"trace_{name}_chunk": Out(1),
            f"trace_{name}_retired": Out(1),
            f"trace_{name}_retired_chunk": Out(1),
            f"trace_{name}_retired_index": Out(8),
            f"trace_{name}_retired_layer": Out(12),
            f"trace_{name}_retired_pass": Out(20),
        }
    for chunk in range(interfaces.config.vector.chunks):
        ports |= {
            f"trace_spm_{chunk}_en": Out(1),
            f"trace_spm_{chunk}_address": Out(interfaces.spm_address),
            f"trace_spm_{chunk}_mask": Out(interfaces.lanes),
            f"trace_spm_{chunk}_data": Out(interfaces.vector.size),
        }
    return ports


def connect_trace(
    m: Module,
    top: wiring.Component,
    *,
    scratchpads: Sequence[wiring.PureInterface],
    activations: wiring.Component,
    blocks: Any,
    sequencer: wiring.Component,
) -> None:
    """Drive the ports from the write ports of the memories, the stream of cache blocks, and the sequencer."""
    shown = {
        "am_en": activations.write.en,
        "am_chunk": activations.write_chunk,
        "am_address": activations.write.address,
        "am_mask": activations.write.mask,
        "am_data": activations.write.data,
        "kv_en": blocks.valid & blocks.ready,
        "kv_chunk": sequencer.chunk_vector,
        "kv_data": blocks.payload,
    }
    for chunk, write in enumerate(scratchpads):
        shown |= {
            f"spm_{chunk}_en": write.en,
            f"spm_{chunk}_address": write.address,
            f"spm_{chunk}_mask": write.mask,
            f"spm_{chunk}_data": write.data,
        }
    for name, retired in zip(QUEUES, sequencer.retired, strict=True):
        shown |= {f"{name}_retired_{field}": retired[field] for field in ("chunk", "index", "layer", "pass")}
        shown[f"{name}_retired"] = retired.valid
    m.d.comb += [getattr(top, f"trace_{name}").eq(value) for name, value in shown.items()]


def connect_ledgers(
    m: Module,
    top: wiring.Component,
    *,
    sequencer: Any,
    stream: Any,
    matrix: Any,
    attention: Any,
    starter: Any,
    writer: Any,
) -> None:
    """Drive the ports that say what a cycle was for, and who worked on what."""
    state, engine = stream.state, matrix.engine.state
    active = dict(zip(UNITS, sequencer.active, strict=True))
    bus: dict[str, ValueLike] = {
        "stream": stream.stream_beat,
        "auxiliary": stream.auxiliary_beat,
        "start": starter.busy,
        "consumer": state.blocked & state.offered,
        "window": state.blocked,
        "memory": ~stream.drained,
        "appends": state.appends,
        "walk": state.walking,
    }
    starved = engine.tile & (matrix.busy | attention.starved)
    array: dict[str, ValueLike] = {
        "matmul": engine.issue & matrix.busy,
        "attention": engine.issue,
        "appends": starved & ~matrix.busy & state.appends & stream.drained,
        "stream": starved,
        "merge": engine.tile,
        "results": engine.room,
        "accumulator": engine.accumulator,
        "softmax": attention.waiting,
        "drain": matrix.drains,
        "handover": active["matrix"],
        "schedule": active["attention"],
        "vector": active["vector"] | active["cache"],
        "embedding": active["embedding"],
        "rows": active["row_reader"] | active["row_writer"],
        "writes": sequencer.waits_for_write,
        "issue": sequencer.busy & ~sequencer.clear,
        "start": starter.busy,
    }
    m.d.comb += [
        top.trace_busy.eq(starter.busy | sequencer.busy),
        top.trace_sample.eq(sequencer.sample),
        top.trace_bus.eq(Cat(bus[name] for name in BUS_CLASSES[:-1])),
        top.trace_array.eq(Cat(array[name] for name in ARRAY_CLASSES[:-1])),
        top.trace_softmax.eq(Cat(attention.scores, attention.pages_in, attention.pages_out)),
        top.trace_writer.eq(~writer.drained),
    ]
    for name, queue in sequencer.queues.items():
        working = queue.working
        m.d.comb += [
            getattr(top, f"trace_{name}_active").eq(queue.active),
            getattr(top, f"trace_{name}_index").eq(working.index),
            getattr(top, f"trace_{name}_layer").eq(working.layer),
            getattr(top, f"trace_{name}_chunk").eq(working.chunk),
        ]
