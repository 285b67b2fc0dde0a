"""Configs of the stream benches: a narrow, a middle and a wide bus."""

from __future__ import annotations

from dataclasses import replace

from celosia.arch.config import AcceleratorConfig, Array, Bus, Cache, Control, Stream, Vector

CONFIGS: dict[str, AcceleratorConfig] = {
    "w8": AcceleratorConfig(
        bus=Bus(data_bits=64, outstanding=8, burst_beats=16),
        array=Array(rows=2, channels=2),
        vector=Vector(lanes=4, chunk=6, chunks=2, max_head_dim=64),
        cache=Cache(pages=8),
        stream=Stream(fifo_beats=256, scale_fifo_beats=64, attention_lag=2),
    ),
    "w32": AcceleratorConfig(
        bus=Bus(data_bits=256, address_bits=40, outstanding=4, burst_beats=32),
        array=Array(rows=4, channels=4),
        vector=Vector(lanes=8, chunk=8, chunks=2, max_head_dim=64),
        cache=Cache(pages=8),
        stream=Stream(fifo_beats=64, scale_fifo_beats=16, attention_lag=1),
    ),
    "w64": AcceleratorConfig(
        bus=Bus(data_bits=512, address_bits=40, outstanding=8, burst_beats=16),
        array=Array(rows=4, channels=8),
        vector=Vector(lanes=8, chunk=8, max_head_dim=64),
        cache=Cache(pages=8),
        stream=Stream(fifo_beats=128, scale_fifo_beats=32, attention_lag=3),
    ),
}
CONFIGS["w8-100"] = replace(CONFIGS["w8"], control=Control(family="ecp5", clock_mhz=100.0))
"""By name. w32 has the smallest FIFOs and bursts that do not fit them; w64 has passes of one chunk only; w8-100
has registers for a clock."""
