"""The memory behind the simulated accelerator: its parameters, as TOML files give them. docs/dram.md has the rules.

A file is either an ideal memory (a table ``[ideal]``) or a DRAM (``[organisation]``, ``[timing]``, ``[controller]``).
Every field has to be there, and nothing else may be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from ..arch.config import AcceleratorConfig, ConfigError, derive, preset_names, read_toml

MAPPINGS = ("row_bank_column", "row_column_bank")
"""What of an address counts above what, within a channel; the bank group is always lowest."""

LATENCY_CYCLES = 32
"""Accelerator cycles from a read's address to its first beat, of an ideal memory."""

DRAM_PRESETS = resources.files(__package__) / "dram"


def _whole(low: int, high: int, *, power: bool = False) -> Any:
    """A field that is an integer from `low` to `high`, a power of two where `power`."""
    return field(metadata={"kind": int, "low": low, "high": high, "power": power})


def _real(low: float, high: float) -> Any:
    return field(metadata={"kind": float, "low": low, "high": high, "power": False})


def _choice(*names: str) -> Any:
    return field(metadata={"kind": str, "choices": names})


@dataclass(frozen=True)
class Ideal:
    """A memory that delivers a beat a cycle.

    Attributes
    ----------
    latency_cycles : accelerator cycles from a read's address to its first beat.
    read_queue, write_queue : bursts taken and not yet delivered, or answered.
    """

    latency_cycles: int = _whole(1, 1 << 20)
    read_queue: int = _whole(1, 1 << 16)
    write_queue: int = _whole(1, 1 << 16)


@dataclass(frozen=True)
class Organisation:
    """What a DRAM is made of.

    Attributes
    ----------
    channels : independent channels, each with a data bus, banks and a controller of its own.
    data_bits : width of the data bus of a channel.
    burst_length : transfers of an access, two a clock; an access is data_bits / 8 x burst_length bytes.
    bank_groups, banks_per_group : of a channel.
    row_bytes : of a bank, over the whole width of the channel.
    interleave_bytes : neighbouring stretches of this size are in neighbouring channels.
    mapping : one of `MAPPINGS`.
    """

    channels: int = _whole(1, 64, power=True)
    data_bits: int = _whole(8, 512, power=True)
    burst_length: int = _whole(2, 32, power=True)
    bank_groups: int = _whole(1, 8, power=True)
    banks_per_group: int = _whole(1, 16, power=True)
    row_bytes: int = _whole(64, 65536, power=True)
    interleave_bytes: int = _whole(32, 1 << 20, power=True)
    mapping: str = _choice(*MAPPINGS)

    @property
    def access_bytes(self) -> int:
        """Bytes of one access (a column command)."""
        return self.data_bits // 8 * self.burst_length


@dataclass(frozen=True)
class Timing:
    """Times in memory clocks (`clock_mhz`), called as JEDEC calls them; `_s`: other bank group, `_l`: the same one.

    Attributes
    ----------
    turnaround : idle clocks of the data bus between the data of a read and that of a write.
    """

    clock_mhz: float = _real(50.0, 10000.0)
    cl: int = _whole(1, 255)
    cwl: int = _whole(1, 255)
    trcd: int = _whole(1, 255)
    trp: int = _whole(1, 255)
    tras: int = _whole(1, 1023)
    trc: int = _whole(1, 1023)
    tccd_s: int = _whole(1, 255)
    tccd_l: int = _whole(1, 255)
    trrd_s: int = _whole(1, 255)
    trrd_l: int = _whole(1, 255)
    tfaw: int = _whole(1, 1023)
    trtp: int = _whole(1, 255)
    twr: int = _whole(1, 255)
    twtr_s: int = _whole(1, 255)
    twtr_l: int = _whole(1, 255)
    turnaround: int = _whole(0, 255)
    trefi: int = _whole(100, 1 << 24)
    trfc: int = _whole(1, 1 << 16)


@dataclass(frozen=True)
class Controller:
    """Between the AXI port and the DRAM.

    Attributes
    ----------
    latency_ns : what an access takes beyond the DRAM's own time, there and back.
    read_queue, write_queue : bursts taken and not yet delivered, or answered.
    """

    latency_ns: float = _real(0.0, 10000.0)
    read_queue: int = _whole(1, 1 << 16)
    write_queue: int = _whole(1, 1 << 16)


@dataclass(frozen=True)
class MemoryModel:
    """The memory behind an accelerator: either `ideal`, or the three others.

    Raises
    ------
    ConfigError
        A value out of range, or times that contradict each other.
    """

    name: str
    ideal: Ideal | None = None
    organisation: Organisation | None = None
    timing: Timing | None = None
    controller: Controller | None = None

    def __post_init__(self) -> None:
        for table in (self.ideal, self.organisation, self.timing, self.controller):
            if table is not None:
                _check_ranges(table)
        if self.organisation is not None and self.timing is not None:
            _check_together(self.organisation, self.timing)

    def parameters(self, config: AcceleratorConfig) -> dict[str, int]:
        """What the C++ model behind a port is built from, by its own names; times in memory clocks, latency in
        accelerator cycles.

        Raises
        ------
        ConfigError
            Fewer channels than ports.
        """
        ports = config.bus.ports
        accelerator = {
            "bus_bytes": derive(config).port_bytes,
            "accelerator_khz": _khz(config.control.clock_mhz),
        }
        organisation, timing, controller = self.organisation, self.timing, self.controller
        if organisation is None or timing is None or controller is None:
            return {**accelerator, **(vars(self.ideal) if self.ideal else {})}
        if organisation.channels < ports:
            reason = f"the {ports} ports of config {config.name!r} need a channel each (bus.ports)"
            raise ConfigError("dram.organisation.channels", organisation.channels, reason, ports)
        times = {name: value for name, value in vars(timing).items() if name != "clock_mhz"}
        return {
            **accelerator,
            **times,
            "channels": organisation.channels // ports,
            "interleave_bytes": organisation.interleave_bytes,
            "bank_groups": organisation.bank_groups,
            "banks": organisation.banks_per_group,
            "row_bytes": organisation.row_bytes,
            "access_bytes": organisation.access_bytes,
            "access_clocks": organisation.burst_length // 2,
            "banks_below_columns": int(organisation.mapping == "row_column_bank"),
            "memory_khz": _khz(timing.clock_mhz),
            "latency_cycles": max(1, math.ceil(controller.latency_ns * config.control.clock_mhz / 1000)),
            "read_queue": controller.read_queue,
            "write_queue": controller.write_queue,
        }

    def peak_bytes_per_cycle(self, config: AcceleratorConfig) -> float | None:
        """Bytes per accelerator cycle that all data buses of the DRAM carry at most; None for an ideal memory."""
        if self.organisation is None or self.timing is None:
            return None
        clocks = self.timing.clock_mhz / config.control.clock_mhz
        return self.organisation.channels * self.organisation.data_bits / 8 * 2 * clocks


def ideal_memory(latency_cycles: int = LATENCY_CYCLES) -> MemoryModel:
    """A memory of a fixed latency."""
    return MemoryModel("ideal", Ideal(latency_cycles, read_queue=64, write_queue=16))


def load_dram(source: str | Path) -> MemoryModel:
    """Load a preset by name or a TOML file by path.

    Raises
    ------
    ConfigError
        No such preset or file, malformed TOML, a field that is missing, unknown or out of range.
    """
    return _model(read_toml("dram", source, DRAM_PRESETS))


def dram_names() -> list[str]:
    """Names of the presets that ship with the package, sorted."""
    return preset_names(DRAM_PRESETS)


def _khz(mhz: float) -> int:
    return round(mhz * 1000)


_TABLES: dict[str, Any] = {
    "ideal": Ideal,
    "organisation": Organisation,
    "timing": Timing,
    "controller": Controller,
}


def _model(data: dict[str, Any]) -> MemoryModel:
    for key in data:
        if key not in ("name", *_TABLES):
            raise ConfigError(f"dram.{key}", data[key], "no such table", ["name", *_TABLES])
    name = data.get("name")
    if not isinstance(name, str):
        raise ConfigError("dram.name", name, "must be a text", "my-memory")
    wanted = {"ideal"} if "ideal" in data else set(_TABLES) - {"ideal"}
    tables = {key: value for key, value in data.items() if key != "name"}
    if set(tables) != wanted:
        legal = "[ideal] alone, or [organisation], [timing] and [controller]"
        raise ConfigError("dram", sorted(tables), "tables that make no memory", legal)
    return MemoryModel(name, **{key: _table(key, value) for key, value in tables.items()})


def _table(name: str, value: object) -> Any:
    if not isinstance(value, dict):
        raise ConfigError(f"dram.{name}", value, "must be a table", {})
    known = {f.name: f for f in fields(_TABLES[name])}
    for key, item in value.items():
        if key not in known:
            raise ConfigError(f"dram.{name}.{key}", item, "no such field", sorted(known))
    for key in known:
        if key not in value:
            raise ConfigError(f"dram.{name}.{key}", None, "is missing", _legal(known[key].metadata))
    return _TABLES[name](**value)


def _legal(rule: Any) -> str:
    """The legal values of a field, in words."""
    if rule["kind"] is str:
        return " or ".join(rule["choices"])
    kind = "a power of two" if rule["power"] else "an integer" if rule["kind"] is int else "a number"
    return f"{kind} from {rule['low']} to {rule['high']}"


def _check_ranges(table: Ideal | Organisation | Timing | Controller) -> None:
    for f in fields(table):
        value, rule = getattr(table, f.name), f.metadata
        types = (int, float) if rule["kind"] is float else (rule["kind"],)
        legal = isinstance(value, types) and not isinstance(value, bool)
        if legal and rule["kind"] is str:
            legal = value in rule["choices"]
        elif legal:
            legal = rule["low"] <= value <= rule["high"] and not (rule["power"] and value & (value - 1))
        if not legal:
            name = f"dram.{type(table).__name__.lower()}.{f.name}"
            raise ConfigError(name, value, f"must be {_legal(rule)}", _nearest(value, rule))


def _nearest(value: object, rule: Any) -> object:
    if rule["kind"] is str:
        return rule["choices"][0]
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
        return rule["low"]
    inside = min(max(value, rule["low"]), rule["high"])
    if rule["power"]:
        return 1 << max(0, round(math.log2(inside)))
    return rule["kind"](inside)


def _check_together(organisation: Organisation, timing: Timing) -> None:
    """Times and sizes that only make sense together."""
    transfer = organisation.burst_length // 2
    size = organisation.access_bytes
    for name, value, least, of_what in (
        ("timing.tccd_s", timing.tccd_s, transfer, "the clocks of a transfer, burst_length / 2"),
        ("timing.tccd_l", timing.tccd_l, timing.tccd_s, "tccd_s"),
        ("timing.trrd_l", timing.trrd_l, timing.trrd_s, "trrd_s"),
        ("timing.twtr_l", timing.twtr_l, timing.twtr_s, "twtr_s"),
        ("timing.trc", timing.trc, timing.tras, "tras"),
        ("timing.trefi", timing.trefi, 2 * (timing.trfc + timing.trc + timing.trcd), "twice trfc + trc + trcd"),
        ("organisation.row_bytes", organisation.row_bytes, size, "an access"),
        ("organisation.interleave_bytes", organisation.interleave_bytes, size, "an access"),
    ):
        if value < least:
            raise ConfigError(f"dram.{name}", value, f"must be at least {of_what} = {least}", least)
