"""Hints: every field that one names does something for its unit."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from amaranth.back import rtlil

from celosia.arch.config import AcceleratorConfig, ConfigError, derive, load_config
from celosia.arch.pipeline import FAMILIES
from celosia.boards.harness import TimingHarness
from celosia.boards.hints import hint
from celosia.boards.timing import CriticalPath
from celosia.boards.units import UNITS, Unit


def test_hints_name_fields_of_the_config() -> None:
    fields = {
        f"{group}.{name}" for group, of in AcceleratorConfig().to_dict().items() if group != "name" for name in of
    }
    named = {name for unit in UNITS.values() for name in unit.widths}
    assert named and named <= fields


LARGE = {"engine", "matrix", "vector", "datapath", "attention", "softmax", "stream"}
"""Take long to elaborate, and are made of the others."""


@pytest.mark.parametrize("name", [name for name, unit in UNITS.items() if name not in LARGE and unit.widths])
def test_hints_name_fields_that_change_the_unit(name: str) -> None:
    """RTLIL is what Verilog is written from, in a fraction of the time."""
    config, unit = load_config("ecp5"), UNITS[name]

    def source(config: AcceleratorConfig) -> str:
        return rtlil.convert(TimingHarness(unit.create(config)), name="top", emit_src=False)

    def changed(field: str) -> AcceleratorConfig:
        group, key = field.split(".")
        fields = getattr(config, group)
        for factor in (0.5, 2):  # the preset may have the least already
            with contextlib.suppress(ConfigError):
                value = int(getattr(fields, key) * factor)
                result = replace(config, **{group: replace(fields, **{key: value})})
                derive(result)
                return result
        raise AssertionError(f"{field} cannot be changed")

    before = source(config)
    for field in unit.widths:
        assert source(changed(field)) != before, field


@pytest.mark.parametrize("name", [name for name, unit in UNITS.items() if name not in LARGE and unit.pipelined])
def test_faster_clocks_change_the_units_that_say_so(name: str) -> None:
    def source(clock_mhz: float) -> str:
        config = load_config("ecp5")
        config = replace(config, control=replace(config.control, clock_mhz=clock_mhz))
        return rtlil.convert(TimingHarness(UNITS[name].create(config)), name="top", emit_src=False)

    assert source(FAMILIES["ecp5"].fastest_mhz) != source(50)


@pytest.mark.parametrize(
    ("family", "clock_mhz", "said"),
    [
        ("ecp5", 50, "a higher control.clock_mhz (at most 150): it gets more registers"),
        ("any", 50, "a control.family (ecp5) and a higher control.clock_mhz: it gets more registers"),
        (
            "ecp5",
            150,
            "no parameter: it has the most registers that a config gives it, a faster one needs another pipeline stage",
        ),
    ],
)
def test_hints_know_the_clock(family: str, clock_mhz: float, said: str) -> None:
    path = CriticalPath("a", "b", delay_ns=10.0, routing_ns=5.0, levels=3, through=[])
    config = load_config("ecp5")
    config = replace(config, control=replace(config.control, family=family, clock_mhz=clock_mhz))
    assert hint(Unit("", "", lambda interfaces: {}, pipelined=True), path, config) == said


def test_hints_say_when_it_is_wires() -> None:
    config = load_config("ecp5")
    wires = CriticalPath("a", "b", delay_ns=10.0, routing_ns=7.0, levels=3, through=[])
    logic = CriticalPath("a", "b", delay_ns=10.0, routing_ns=5.0, levels=3, through=[])
    unit = Unit("", "", lambda interfaces: {}, ("vector.lanes", "array.rows"))
    assert hint(unit, logic, config).startswith("smaller vector.lanes or array.rows: ")
    assert hint(unit, wires, config).startswith("70% of it is wires, ")
