"""Configs of the benches of rows: a word that is wider than a beat, as wide, and narrower; short bursts."""

from __future__ import annotations

from celosia.arch.config import AcceleratorConfig, Array, Bus, Vector

CONFIGS: dict[str, AcceleratorConfig] = {
    "cut": AcceleratorConfig(
        bus=Bus(data_bits=64, outstanding=3, burst_beats=16), vector=Vector(lanes=8, scratchpad_words=512)
    ),
    "equal": AcceleratorConfig(
        bus=Bus(data_bits=256, address_bits=40, outstanding=2, burst_beats=4),
        array=Array(channels=4),
        vector=Vector(lanes=8, scratchpad_words=512),
    ),
    "pack": AcceleratorConfig(
        bus=Bus(data_bits=512, address_bits=48, outstanding=4, burst_beats=64),
        array=Array(channels=8),
        vector=Vector(lanes=2, scratchpad_words=2048),
    ),
    "wide": AcceleratorConfig(
        bus=Bus(data_bits=512, address_bits=40, outstanding=16, burst_beats=16),
        array=Array(channels=8),
        vector=Vector(lanes=16, scratchpad_words=512),
    ),
}
