"""A random ATTEND: its operands, what every memory and stream holds for it, and what must come out (from golden)."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np

from celosia.arch.config import AcceleratorConfig, Array, Bus, Cache, Stream, Vector, derive
from celosia.arch.formats import BLOCK
from celosia.arch.isa import FIELDS, Geometry, Instruction, Opcode
from celosia.golden.attention import Queries, attend
from celosia.golden.memory import KeyValues
from celosia.hdl.interfaces import COMMAND, Interfaces


def small_config(
    *, rows: int, channels: int, lanes: int, bus: int, lag: int, chunk: int, bits: int, multiplier: int = 18
) -> AcceleratorConfig:
    """A config small enough to build in seconds; `bus` in bits."""
    return AcceleratorConfig(
        bus=Bus(data_bits=bus, burst_beats=4),
        array=Array(rows=rows, channels=channels, activation_bits=bits, multiplier_bits=multiplier),
        vector=Vector(
            lanes=lanes,
            chunk=chunk,
            scratchpad_words=2048,
            activation_words=256,
            max_head_dim=64,
        ),
        cache=Cache(pages=16, pages_per_sequence=8, tail_words=4 * BLOCK // channels),
        stream=Stream(attention_lag=lag),
    )


@dataclass(frozen=True)
class Shape:
    """What a test chooses; `position` of the first row, `spread` widens the scores."""

    kv_heads: int
    group: int
    head_dim: int
    rows: int
    position: int
    groups_per_pass: int
    spread: int = 0

    @property
    def sub_heads(self) -> int:
        """KV heads in a block (SH)."""
        return max(1, BLOCK // self.head_dim) if self.head_dim in (8, 16) else 1

    @property
    def geometry(self) -> Geometry:
        """The aux field."""
        return Geometry(
            kv_heads=self.kv_heads,
            group=self.group,
            head_blocks=-(-self.head_dim // BLOCK),
            sub_heads_log2=self.sub_heads.bit_length() - 1,
            head_dim=self.head_dim,
        )

    @property
    def row_count(self) -> int:
        """Attention rows of a virtual head."""
        return self.rows * self.group * self.sub_heads


class Problem:
    """One ATTEND with random operands."""

    def __init__(self, config: AcceleratorConfig, shape: Shape, random: Random) -> None:
        self.config, self.shape = config, shape
        self.interfaces = Interfaces(config)
        self.generator = np.random.default_rng(random.getrandbits(32))
        self.geometry = shape.geometry
        self.blocks = self.geometry.head_blocks
        self.rows_per_group = config.array.rows
        self.groups = -(-shape.row_count // self.rows_per_group)
        self.pages = shape.position // BLOCK + 1
        self.head_words = self.groups * self.blocks
        self.src = 5
        lanes = config.vector.lanes
        heads = shape.kv_heads * shape.sub_heads * shape.group
        self.pitch = heads * shape.head_dim // lanes + 1
        self.dst = 17
        # Scores of about +-2^spread; base 2 softmax.
        self.scale = np.float32(1.4426950408889634 / np.sqrt(shape.head_dim))
        self._queries()
        self._keys_and_values()

    def _queries(self) -> None:
        g, bits = self.generator, self.config.array.activation_bits
        limit = (1 << bits - 1) - 1
        s = (self.shape.kv_heads, self.shape.row_count, self.blocks)
        q = g.integers(-limit, limit + 1, (*s, BLOCK))
        if self.shape.sub_heads > 1:
            lane_head = np.arange(BLOCK) // self.shape.head_dim
            row_head = np.arange(self.shape.row_count) % self.shape.sub_heads
            q *= lane_head[None, None, None] == row_head[None, :, None, None]
        self.q = q.astype(np.int16)
        self.q_exponents = g.integers(-8, -5, s).astype(np.int16)
        self.row_positions = self.shape.position + np.arange(self.shape.row_count) // self.geometry.rows_per_token

    def _keys_and_values(self) -> None:
        g = self.generator
        s = (self.pages, self.shape.kv_heads, self.blocks)
        exponents = g.integers(-9, -6, (*s, BLOCK)) + self.shape.spread
        values = g.integers(-9, 0, (*s, BLOCK))
        if self.shape.spread > 20:
            # The far ends of the exponents as well.
            exponents = np.where(g.random(exponents.shape) < 0.3, 127, exponents)
            values = g.integers(-127, 100, (*s, BLOCK))
        self.kv = KeyValues(
            g.integers(-127, 128, (*s, BLOCK, BLOCK)).astype(np.int8),
            exponents.astype(np.int8),
            g.integers(-127, 128, (*s, BLOCK, BLOCK)).astype(np.int8),
            values.astype(np.int8),
        )
        end = (self.shape.position + self.shape.rows - 1) % BLOCK + 1
        self.kv.keys[-1, :, :, end:] = 0
        self.kv.key_exponents[-1, :, :, end:] = 0
        self.kv.values[-1, :, :, :, end:] = 0
        self.kv.value_exponents[-1, :, :, end:] = 0

    def command(self) -> dict[str, object]:
        """The COMMAND payload."""
        instruction = Instruction(
            Opcode.ATTEND,
            src=self.src,
            dst=self.dst,
            n=self.head_words,
            k=self.shape.groups_per_pass,
            pitch=self.pitch,
            imm=int(self.scale.view(np.uint32)),
            aux=self.geometry.encode(),
        )
        fields = {name: int(getattr(instruction, name)) for name in FIELDS}
        return dict.fromkeys(COMMAND.members, 0) | {
            "instruction": fields,
            "layer": 3,
            "rows": self.shape.rows,
            "position": self.shape.position,
            "sequence": 0,
        }

    def activation_words(self) -> dict[tuple[int, int], tuple[np.ndarray, int]]:
        """(bank, address) -> q [32] and exponent."""
        words = {}
        for v, r, b in np.ndindex(self.q.shape[:3]):
            address = self.src + v * self.head_words + r // self.rows_per_group * self.blocks + b
            words[r % self.rows_per_group, address] = (self.q[v, r, b].astype(np.int64), int(self.q_exponents[v, r, b]))
        return words

    def tail_blocks(self) -> list[dict[str, object]]:
        """The chunk's keys and values, as APPEND gives them to the tail buffer."""
        start, blocks = self.shape.position % BLOCK, []
        kv = self.kv
        for row in range(self.shape.rows):
            at = start + row
            for value in (0, 1):
                for v in range(self.shape.kv_heads):
                    for b in range(self.blocks):
                        q = kv.values[-1, v, b, :, at] if value else kv.keys[-1, v, b, at]
                        e = kv.value_exponents[-1, v, b, at] if value else kv.key_exponents[-1, v, b, at]
                        blocks.append(
                            {"value": value, "row": row, "head": v, "block": b, "q": q.tolist(), "exponent": int(e)}
                        )
        return blocks

    def stream(self) -> tuple[list[int], list[int]]:
        """Payload tiles and exponent beats in the order of docs/isa.md; garbage where nothing was stored yet."""
        stored = self.shape.position % BLOCK
        memory = [
            np.concatenate([x]) for x in (self.kv.keys, self.kv.key_exponents, self.kv.values, self.kv.value_exponents)
        ]
        keys, key_exponents, values, value_exponents = memory
        noise = self.generator.integers(-128, 128, keys.shape[1:]).astype(np.int8)
        keys[-1, :, :, stored:] = noise[:, :, stored:]
        key_exponents[-1, :, :, stored:] = noise[:, :, stored:, 0]
        values[-1, :, :, :, stored:] = noise[..., stored:]
        value_exponents[-1, :, :, stored:] = noise[:, :, stored:, 1]
        tile_bytes = self.config.array.channels * BLOCK
        beat_bytes = derive(self.config).bus_bytes
        payload, exponents = [], []
        lag = self.config.stream.attention_lag
        passes = -(-self.groups // self.shape.groups_per_pass)
        places = [(i, v) for v in range(self.shape.kv_heads) for _ in range(passes) for i in range(self.pages)]
        for i in range(len(places) + lag):
            if i < len(places) and self._read(places[i][0]):
                data = key_exponents[places[i]].tobytes() + value_exponents[places[i]].tobytes()
                exponents += _cut(data, beat_bytes)
                payload += _cut(keys[places[i]].tobytes(), tile_bytes)
            if i >= lag and self._read(places[i - lag][0]):
                payload += _cut(values[places[i - lag]].tobytes(), tile_bytes)
        return payload, exponents

    def _read(self, page: int) -> bool:
        return page < self.pages - 1 or self.shape.position % BLOCK != 0

    def expected(self) -> dict[int, int]:
        """Scratchpad element (word x V + lane) -> float32 word."""
        queries = Queries(self.q, self.q_exponents, self.row_positions)
        out = attend(queries, self.kv, self.scale, self.config.array.activation_bits)
        s, lanes = self.shape, self.config.vector.lanes
        elements = {}
        for v, r in np.ndindex(out.shape[:2]):
            token, rest = divmod(r, self.geometry.rows_per_token)
            g, sub = divmod(rest, s.sub_heads)
            head = (v * s.sub_heads + sub) * s.group + g
            base = (self.dst + token * self.pitch) * lanes + head * s.head_dim
            for i in range(s.head_dim):
                elements[base + i] = int(out[v, r, sub * s.head_dim + i].view(np.uint32))
        return elements


def _cut(data: bytes, size: int) -> list[int]:
    assert len(data) % size == 0
    return [int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)]
