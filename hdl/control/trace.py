"""Outputs that show what is written and when instructions retire: for simulation only."""

from collections.abc import Sequence
from typing import Any

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from ..interfaces import Interfaces


def trace_ports(interfaces: Interfaces) -> dict[str, object]:
    """Ports of the top level: writes to each chunk's scratchpad, to the activation memory and to the cache, by chunk,
    and each chunk's retirements. What a chunk wrote since its last retirement was written by the one that retires.
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
    }
    for chunk in range(interfaces.config.vector.chunks):
        ports |= {
            f"trace_spm_{chunk}_en": Out(1),
            f"trace_spm_{chunk}_address": Out(interfaces.spm_address),
            f"trace_spm_{chunk}_mask": Out(interfaces.lanes),
            f"trace_spm_{chunk}_data": Out(interfaces.vector.size),
            f"trace_{chunk}_retired": Out(1),
            f"trace_{chunk}_index": Out(8),
            f"trace_{chunk}_layer": Out(12),
            f"trace_{chunk}_pass": Out(20),
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
        retired = sequencer.retired[chunk]
        shown |= {
            f"spm_{chunk}_en": write.en,
            f"spm_{chunk}_address": write.address,
            f"spm_{chunk}_mask": write.mask,
            f"spm_{chunk}_data": write.data,
            f"{chunk}_retired": retired.valid,
            f"{chunk}_index": retired.index,
            f"{chunk}_layer": retired.layer,
            f"{chunk}_pass": retired["pass"],
        }
    m.d.comb += [getattr(top, f"trace_{name}").eq(value) for name, value in shown.items()]
