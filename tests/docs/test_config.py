"""docs/config.md is the config: every field with its default, and ranges whose ends are where the check puts them."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from celosia.arch.config import AcceleratorConfig, ConfigError, Control, derive, preset_names
from celosia.arch.pipeline import FAMILIES, SHALLOW

PAGE = (Path(__file__).parents[2] / "docs" / "config.md").read_text()
ROWS = {
    row[0]: row[1:]
    for row in re.findall(r"^\| `(\w+\.\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
}
RANGES = {name: (int(m[1]), int(m[2])) for name, row in ROWS.items() if (m := re.search(r"(\d+) to (\d+)", row[2]))}


def _defaults() -> dict[str, Any]:
    groups = {f.name: getattr(AcceleratorConfig(), f.name) for f in fields(AcceleratorConfig) if f.name != "name"}
    return {f"{g}.{f.name}": getattr(group, f.name) for g, group in groups.items() for f in fields(group)}


def _with(name: str, value: object) -> AcceleratorConfig:
    group, field = name.split(".")
    config = AcceleratorConfig()
    return replace(config, **{group: replace(getattr(config, group), **{field: value})})


def _complaint(name: str, value: object) -> str:
    """What is wrong with the default config with this one value; "" if nothing is."""
    try:
        derive(_with(name, value))
    except ConfigError as error:
        return str(error)
    return ""


def test_every_field_with_its_default() -> None:
    shown = {name: ", ".join(v) if isinstance(v, tuple) else str(v) for name, v in _defaults().items()}
    assert {name: row[1] for name, row in ROWS.items()} == shown
    assert len(RANGES) == len(ROWS) - 6, "all but channels, multiplier bits, formats, tail words, clock and family"


@pytest.mark.parametrize("name", RANGES)
def test_ranges_end_where_the_check_ends(name: str) -> None:
    low, high = RANGES[name]
    for value in (low - 1, high + 1):
        assert _complaint(name, value).startswith(f"{name} = {value}: ")
    for value in (low, high):
        # An end may be illegal beside the other defaults, but not because of the range.
        assert not re.match(rf"{re.escape(name)} = {value}: must be .*from \d+ to ", _complaint(name, value))


@pytest.mark.parametrize(("bits", "legal"), [(17, 18), (25, 27), (28, 27)])
def test_multipliers_that_no_target_has(bits: int, legal: int) -> None:
    complaint = f"array.multiplier_bits = {bits}: must be 18 or 27; nearest legal value: {legal}"
    assert _complaint("array.multiplier_bits", bits) == complaint
    assert not _complaint("array.multiplier_bits", legal)


def test_a_family_without_delays() -> None:
    complaint = "control.family = 'ice40': must be any or ecp5; nearest legal value: 'any'"
    assert _complaint("control.family", "ice40") == complaint


@pytest.mark.parametrize("clock", [0.0, 200.0, 1000.0])
def test_clocks_that_the_engine_does_not_reach(clock: float) -> None:
    fastest = FAMILIES["ecp5"].fastest_mhz
    control = Control(family="ecp5", clock_mhz=clock)
    with pytest.raises(ConfigError) as found:
        derive(AcceleratorConfig(control=control))
    reason = "must be above 0 and at most what the matrix engine reaches on ecp5"
    assert str(found.value) == f"control.clock_mhz = {clock}: {reason}; nearest legal value: {fastest}"
    derive(AcceleratorConfig(control=replace(control, clock_mhz=fastest)))
    assert derive(AcceleratorConfig(control=replace(control, family="any"))).pipeline == SHALLOW


def test_presets_are_named() -> None:
    assert set(re.findall(r"`([\w-]+)` \(\d+ MACs", PAGE)) == set(preset_names())


@pytest.mark.parametrize(
    ("bus", "complaint"),
    [
        ({"ports": 2}, "bus.ports = 2: each has 64 bits at least, and bus.data_bits = 64; nearest legal value: 1"),
        (
            {"data_bits": 256, "ports": 4, "port_address_bits": 31},
            "bus.port_address_bits = 31: 4 regions of it must be within bus.address_bits = 32; nearest legal value: 30",
        ),
    ],
)
def test_ports_that_the_bus_does_not_hold(bus: dict[str, int], complaint: str) -> None:
    with pytest.raises(ConfigError) as found:
        derive(AcceleratorConfig.from_dict({"bus": bus}))
    assert str(found.value) == complaint
