"""A word that is read in the cycle in which it is written is never used: block RAM need not answer with the old one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib.memory import Memory
from amaranth.sim import Simulator

from celosia.arch.config import AcceleratorConfig
from celosia.driver.device import Job
from celosia.sim import build
from tests.harness.collisions import garbage_on_collision

from .support import NARROW, WIDE, Pair, small_model, tokens

LENGTH, STEPS = 50, 5
"""Of the prompt, which ends in a second page; of the decode."""


@pytest.mark.parametrize("config", [NARROW, WIDE], ids=lambda config: config.name)
def test_collisions_change_nothing(config: AcceleratorConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt in chunks, then decode; `Pair` compares every tensor and the cache with the golden machine's."""
    kept = build.cached_build

    def elsewhere(kind: str, key: str, fill: Callable[[Path], None]) -> Path:
        if kind != "verilog":
            return kept(kind, key, fill)
        fill(tmp_path)
        return tmp_path

    monkeypatch.setattr(build, "cached_build", elsewhere)
    with garbage_on_collision():
        pair = Pair(small_model(replace(config, name=f"{config.name} with collisions")))
    assert "collides" in (tmp_path / "top.v").read_text()
    pair.open(0, (5, 2, 3))
    assert len(pair.run(Job(0, 0, tokens(LENGTH), STEPS)).tokens) == STEPS


def test_a_collision_is_garbage() -> None:
    m = Module()
    m.submodules.store = store = Memory(shape=8, depth=4, init=[0x5A] * 4)
    read, write = store.read_port(), store.write_port()

    async def bench(context: Any) -> None:
        for port in (read, write):
            context.set(port.addr, 2)
        context.set(write.en, 1)
        context.set(write.data, 0x33)
        await context.tick()
        assert context.get(read.data) == 0x5A ^ 0xFF
        context.set(write.en, 0)
        await context.tick()
        assert context.get(read.data) == 0x33

    with garbage_on_collision():
        simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
