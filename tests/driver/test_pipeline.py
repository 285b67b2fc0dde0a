"""Registers for a goal: none where none is needed, and enough where some are; the RTL's benches are in tests/hdl."""

from __future__ import annotations

import pytest

from celosia.arch.pipeline import FAMILIES, SHALLOW, UNITS, Registers, pipeline, registers

ECP5 = FAMILIES["ecp5"]
GOALS = [80.0, 90.0, 100.0, 115.0, 125.0, 140.0, ECP5.fastest_mhz]


@pytest.mark.parametrize("clock", [1.0, 50.0, 80.0])
def test_no_register_for_a_slow_clock(clock: float) -> None:
    assert pipeline(ECP5, clock) == SHALLOW


@pytest.mark.parametrize("clock", GOALS)
def test_what_is_between_two_registers_keeps_within_a_cycle(clock: float) -> None:
    for unit in UNITS:
        stand = registers(unit, ECP5.levels(clock))
        between = []
        for stage, cycles in zip(unit, stand.cycles, strict=True):
            cuts = [0.0]
            for step, levels in stage.items():
                if step in stand.before:
                    cuts.append(0.0)
                cuts[-1] += levels
            assert len(cuts) == cycles
            between += cuts
        assert ECP5.register + max(between) * ECP5.level <= 1000 / clock


def test_a_faster_clock_takes_no_fewer_registers() -> None:
    found = [pipeline(ECP5, clock) for clock in GOALS]
    latencies = [[r.latency for r in vars(p).values() if isinstance(r, Registers)] for p in found]
    assert latencies[0] < latencies[-1]
    for unit in zip(*latencies, strict=True):
        assert list(unit) == sorted(unit)
    assert [p.distance for p in found] == sorted(p.distance for p in found)
    assert [p.block_ram for p in found] == [clock * ECP5.block_ram <= 1000 for clock in GOALS]
