"""The configuration of an accelerator: what a user chooses, and what follows from it.

`AcceleratorConfig` holds the choices in groups; every field has a unit, a legal range and a reason. `derive` checks
the combination once and returns `Derived`, the numbers that the generator, the compiler and the models read.
"""

import tomllib
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from .formats import BLOCK, WEIGHT_FORMATS, WeightFormat
from .pipeline import ANY, FAMILIES, SHALLOW, Pipeline, pipeline

INTERLEAVE = 8
"""Groups of C output channels whose blocks are interleaved, so that K stays in order and the adder never waits."""

MULTIPLIER_BITS = (18, 27)
"""Bits of the wider factor of a multiplier in hardware: 18 x 18, or 27 x 18."""


class ConfigError(ValueError):
    """An illegal configuration: names the field, the value and the nearest legal one."""

    def __init__(self, name: str, value: object, reason: str, legal: object) -> None:
        super().__init__(f"{name} = {value!r}: {reason}; nearest legal value: {legal!r}")


@dataclass(frozen=True)
class Bus:
    """The memory bus: an AXI4 master, or several side by side.

    Attributes:
        data_bits: width of the data bus in bits, of all ports together, a power of two from 64 to 1024.
        address_bits: width of an address in bits, 32 to 48.
        outstanding: read bursts in flight, 1 to 64; latency x width / burst bytes of the memory behind the bus.
        burst_beats: longest burst in beats, a power of two, 1 to 256 and at most 4096 bytes (AXI4, A3.4.1).
        ports: AXI4 masters that share the width, a power of two, 1 to 16, 64 bits each at least: for memories whose
            ports are narrower than the bus. Each beat is spread over all of them (docs/memory.md).
        port_address_bits: address bits of the region that is a port's own, the ports' regions one behind the other;
            for more than one port. 28 is a pseudo channel of HBM2, 256 MiB.
    """

    data_bits: int = 64
    address_bits: int = 32
    outstanding: int = 8
    burst_beats: int = 16
    ports: int = 1
    port_address_bits: int = 28

    @property
    def masters(self) -> tuple[str, ...]:
        """Names of the AXI4 masters, before their signals' names."""
        return ("m_axi",) if self.ports == 1 else tuple(f"m_axi_{index}" for index in range(self.ports))


@dataclass(frozen=True)
class Array:
    """The matrix engine: `rows` x `channels` x 32 multiply-accumulates a cycle.

    Attributes:
        rows: activation rows that share a weight tile (R), a power of two from 1 to 32.
        channels: output channels of a tile (C), a power of two from bus bytes / 16 to bus bytes / 4: a tile of 4-bit
            weights fills at least one beat, its scales at most one.
        activation_bits: bits of a quantized activation, 8 or 9.
        products_per_dsp: products that share a multiplier, 1 or 2. Two need one of 27 x 18 bits (UltraScale) and two
            channels; the results are the same.
        multiplier_bits: bits of the wider factor of the target's multipliers, 18 or 27 (UltraScale); the other has 18.
        formats: enabled weight formats, a subset of Q8_0, Q4_0, Q4_1.
    """

    rows: int = 4
    channels: int = 2
    activation_bits: int = 9
    products_per_dsp: int = 1
    multiplier_bits: int = 18
    formats: tuple[str, ...] = ("Q8_0", "Q4_0", "Q4_1")


@dataclass(frozen=True)
class Vector:
    """The vector unit and its memories.

    Attributes:
        lanes: float32 elements a cycle (V), a power of two from 2 to 32. They, or the array's channels if these are
            fewer, divide the head size.
        chunk: tokens of a prompt processed together (T), a multiple of `rows`, at most 32 (one page).
        chunks: chunks of a prompt in flight at once, 1 or 2. With 2, one chunk's vector work runs while the array
            multiplies the other's; scratchpad, activation, parameter, tail and rope memories are there once for each.
        scratchpad_words: words of `lanes` float32 in the scratchpad, of each chunk.
        activation_words: words of 32 quantized activations in each of the R activation banks, of each chunk.
        parameter_words: words of `lanes` float32 for gains and biases of one instruction, of each chunk.
        max_head_dim: largest head size in elements, padded to 32: 32 to 256.
    """

    lanes: int = 4
    chunk: int = 8
    chunks: int = 1
    scratchpad_words: int = 4096
    activation_words: int = 256
    parameter_words: int = 256
    max_head_dim: int = 128


@dataclass(frozen=True)
class Cache:
    """The paged KV cache.

    Attributes:
        pages: physical pages in memory, each of 32 positions (all layers), 1 to 65535.
        sequences: block tables held on chip, 1 to 64.
        pages_per_sequence: entries of a block table: the context in units of 32 positions, 1 to 4096.
        tail_words: tile words (C x 32 bytes) of the on-chip buffer of the page being written, K and V each:
            (KV heads x padded head size) / C at least.
    """

    pages: int = 64
    sequences: int = 1
    pages_per_sequence: int = 16
    tail_words: int = 64


@dataclass(frozen=True)
class Stream:
    """The weight and KV stream.

    Attributes:
        fifo_beats: depth of the payload FIFO in bus beats, a power of two, 64 to 4096.
        scale_fifo_beats: depth of the scale FIFO in bus beats, a power of two, 16 to 1024.
        attention_lag: pages by which K runs ahead of V (S), 1 to 7.
    """

    fifo_beats: int = 512
    scale_fifo_beats: int = 64
    attention_lag: int = 2


@dataclass(frozen=True)
class Control:
    """Instruction memory, sampling and tracing.

    Attributes:
        program_words: instructions (32 bytes each) in the instruction memory, 16 to 128.
        top_k: candidates returned per step, 1 to 64.
        clock_mhz: clock that figures in seconds assume, and with `family` the one that pipelines are made for.
        family: of FPGAs on which `clock_mhz` is the goal that matrix unit, vector datapath, stream and sequencer are
            pipelined for, ecp5; any: no goal, and the least registers.
    """

    program_words: int = 64
    top_k: int = 8
    clock_mhz: float = 100.0
    family: str = ANY


@dataclass(frozen=True)
class AcceleratorConfig:
    """One accelerator. See the group classes for fields, units and ranges."""

    name: str = "default"
    bus: Bus = field(default_factory=Bus)
    array: Array = field(default_factory=Array)
    vector: Vector = field(default_factory=Vector)
    cache: Cache = field(default_factory=Cache)
    stream: Stream = field(default_factory=Stream)
    control: Control = field(default_factory=Control)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "AcceleratorConfig":
        """Build a config from nested plain data.

        Raises:
            ConfigError: an unknown group or field, or a value of the wrong type.
        """
        groups = {f.name: f.type for f in fields(cls)}
        values: dict[str, Any] = {}
        for key, value in data.items():
            if key not in groups:
                raise ConfigError(key, value, "no such group", sorted(groups))
            values[key] = value if key == "name" else _group(key, groups[key], value)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain data, the inverse of `from_dict`."""
        return asdict(self)


def _group(name: str, cls: Any, value: object) -> Any:
    if not isinstance(value, dict):
        raise ConfigError(name, value, "must be a table", {})
    defaults = {f.name: getattr(cls(), f.name) for f in fields(cls)}
    for key, item in value.items():
        if key not in defaults:
            raise ConfigError(f"{name}.{key}", item, "no such field", sorted(defaults))
        kind = type(defaults[key])
        wanted = {tuple: (list, tuple), float: (int, float)}.get(kind, (kind,))
        if not isinstance(item, wanted) or isinstance(item, bool):
            raise ConfigError(f"{name}.{key}", item, f"must be of type {type(defaults[key]).__name__}", defaults[key])
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in value.items()})


PRESETS = resources.files(__package__) / "presets"


def load_config(source: str | Path | None = None) -> AcceleratorConfig:
    """Load a preset by name or a TOML file by path; None is the `default` preset.

    Raises:
        ConfigError: no such preset or file, malformed TOML, or an illegal value.
    """
    config = AcceleratorConfig.from_dict(read_toml("config", source or "default", PRESETS))
    derive(config)
    return config


def preset_names(presets: Traversable = PRESETS) -> list[str]:
    """Names of the presets that ship with the package, sorted."""
    return sorted(p.name.removesuffix(".toml") for p in presets.iterdir() if p.name.endswith(".toml"))


def read_toml(kind: str, source: str | Path, presets: Traversable) -> dict[str, Any]:
    """Data of a preset by name, or of a TOML file by path; docs/<kind>.md shows what is in one.

    Raises:
        ConfigError: no such preset or file, or malformed TOML.
    """
    text = str(source)
    preset = presets / f"{text}.toml"
    try:
        if not text.endswith(".toml") and preset.is_file():
            return tomllib.loads(preset.read_text())
        if Path(text).is_file():
            return tomllib.loads(Path(text).read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(kind, text, f"not a TOML file ({error})", f"a file as docs/{kind}.md shows") from None
    raise ConfigError(kind, text, "no such preset or TOML file", preset_names(presets))


@dataclass(frozen=True)
class Derived:
    """What follows from a legal config; every consumer reads it here and computes none of it again.

    Attributes:
        bus_bytes: bytes per beat (W). port_bytes: of them, those of one of the bus's ports.
        tile_beats: beats of a tile of 8-bit elements (B), also the banks of the payload FIFO.
        row_groups: chunk / rows, the passes in which a full chunk uses a tile.
        accumulators: accumulator entries, each rows x channels float32.
        formats: enabled weight formats.
        macs: multiply-accumulates per cycle.
        pipeline: registers of the matrix unit, the vector datapath, stream and sequencer.
        softmax_quantizers: blocks of V against which a row's probabilities are quantized at once: 2 where one would
            hold up the array, which takes 2 x KB x 32 / C cycles for R rows of a page, K and V, and a quantizer
            KB x 32 / V for each row. A block a cycle, with V = 32, is what the memory takes.
        softmax_rows: rows in a ring between two stages of the softmax: as many as begin, one every 32 / V cycles, while
            one passes a stage.
        softmax_sums: rows whose probabilities are being summed: some 60 cycles.
    """

    bus_bytes: int
    port_bytes: int
    tile_beats: int
    row_groups: int
    accumulators: int
    formats: tuple[WeightFormat, ...]
    macs: int
    pipeline: Pipeline
    softmax_quantizers: int
    softmax_rows: int
    softmax_sums: int


def _power_of_two(name: str, value: int, low: int, high: int) -> None:
    if low <= value <= high and value & (value - 1) == 0:
        return
    nearest = min((1 << i for i in range(24) if low <= 1 << i <= high), key=lambda p: abs(p - value))
    raise ConfigError(name, value, f"must be a power of two from {low} to {high}", nearest)


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(name, value, f"must be from {low} to {high}", min(max(value, low), high))


def derive(config: AcceleratorConfig) -> Derived:
    """Check every field and combination; return what follows.

    Raises:
        ConfigError: the first illegal field or combination.
    """
    bus, array, vector, cache = config.bus, config.array, config.vector, config.cache
    _power_of_two("bus.data_bits", bus.data_bits, 64, 1024)
    _within("bus.address_bits", bus.address_bits, 32, 48)
    _within("bus.outstanding", bus.outstanding, 1, 64)
    bus_bytes = bus.data_bits // 8
    _power_of_two("bus.burst_beats", bus.burst_beats, 1, min(256, 4096 // bus_bytes))
    _power_of_two("bus.ports", bus.ports, 1, 16)
    if bus.data_bits < 64 * bus.ports:
        reason = f"each has 64 bits at least, and bus.data_bits = {bus.data_bits}"
        raise ConfigError("bus.ports", bus.ports, reason, bus.data_bits // 64)
    _within("bus.port_address_bits", bus.port_address_bits, 12, 48)
    region_bits = bus.address_bits - (bus.ports - 1).bit_length()
    if bus.port_address_bits > region_bits:
        reason = f"{bus.ports} regions of it must be within bus.address_bits = {bus.address_bits}"
        raise ConfigError("bus.port_address_bits", bus.port_address_bits, reason, region_bits)
    _power_of_two("array.rows", array.rows, 1, 32)
    _power_of_two("array.channels", array.channels, max(1, bus_bytes // 16), bus_bytes // 4)
    _within("array.activation_bits", array.activation_bits, 8, 9)
    _within("array.products_per_dsp", array.products_per_dsp, 1, 2)
    if array.channels % array.products_per_dsp:
        name = "array.products_per_dsp"
        raise ConfigError(name, array.products_per_dsp, f"pairs channels, and array.channels = {array.channels}", 1)
    if array.multiplier_bits not in MULTIPLIER_BITS:
        legal = min(MULTIPLIER_BITS, key=lambda bits: abs(bits - array.multiplier_bits))
        raise ConfigError("array.multiplier_bits", array.multiplier_bits, "must be 18 or 27", legal)
    for name in array.formats:
        if name not in WEIGHT_FORMATS:
            raise ConfigError("array.formats", name, "unknown weight format", sorted(WEIGHT_FORMATS))
    if not array.formats:
        raise ConfigError("array.formats", array.formats, "needs one format at least", ("Q8_0",))
    _power_of_two("vector.lanes", vector.lanes, 2, 32)
    _within("vector.chunk", vector.chunk, 1, BLOCK)
    _within("vector.chunks", vector.chunks, 1, 2)
    if vector.chunk % array.rows:
        legal = max(array.rows, vector.chunk // array.rows * array.rows)
        raise ConfigError("vector.chunk", vector.chunk, f"must be a multiple of array.rows = {array.rows}", legal)
    _within("vector.scratchpad_words", vector.scratchpad_words, 64, 1 << 20)
    _within("vector.activation_words", vector.activation_words, 16, 1 << 16)
    _within("vector.parameter_words", vector.parameter_words, 16, 1 << 16)
    if vector.max_head_dim % BLOCK or not 32 <= vector.max_head_dim <= 256:
        legal = min(256, max(32, round(vector.max_head_dim / BLOCK) * BLOCK))
        raise ConfigError("vector.max_head_dim", vector.max_head_dim, "must be a multiple of 32 from 32 to 256", legal)
    _within("cache.pages", cache.pages, 1, 65535)
    _within("cache.sequences", cache.sequences, 1, 64)
    _within("cache.pages_per_sequence", cache.pages_per_sequence, 1, 4096)
    _within("cache.tail_words", cache.tail_words, BLOCK // array.channels or 1, 1 << 16)
    _power_of_two("stream.fifo_beats", config.stream.fifo_beats, 64, 4096)
    _power_of_two("stream.scale_fifo_beats", config.stream.scale_fifo_beats, 16, 1024)
    _within("stream.attention_lag", config.stream.attention_lag, 1, 7)
    _within("control.program_words", config.control.program_words, 16, 128)
    _within("control.top_k", config.control.top_k, 1, 64)
    row_groups = vector.chunk // array.rows
    widest = max(BLOCK, vector.max_head_dim) // array.channels
    # A quarter faster than the array, so that neither waits for the other where their paces meet.
    crowded = 5 * array.rows * array.channels > 8 * vector.lanes
    return Derived(
        bus_bytes=bus_bytes,
        port_bytes=bus_bytes // bus.ports,
        tile_beats=array.channels * BLOCK // bus_bytes,
        row_groups=row_groups,
        accumulators=max(INTERLEAVE * row_groups, widest, 8),
        formats=tuple(WEIGHT_FORMATS[name] for name in array.formats),
        macs=array.rows * array.channels * BLOCK,
        pipeline=_pipeline(config.control),
        softmax_quantizers=2 if vector.max_head_dim > BLOCK and crowded and vector.lanes < BLOCK else 1,
        softmax_rows=max(4, vector.lanes),
        softmax_sums=max(8, 2 * vector.lanes),
    )


def _pipeline(control: Control) -> Pipeline:
    """Registers for the clock that a family is to reach."""
    if control.family == ANY:
        return SHALLOW
    if control.family not in FAMILIES:
        raise ConfigError("control.family", control.family, f"must be {' or '.join((ANY, *FAMILIES))}", ANY)
    family, clock = FAMILIES[control.family], control.clock_mhz
    if not 0 < clock <= family.fastest_mhz:
        reason = f"must be above 0 and at most what the matrix engine reaches on {control.family}"
        raise ConfigError("control.clock_mhz", clock, reason, family.fastest_mhz)
    return pipeline(family, clock)
