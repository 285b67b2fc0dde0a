"""What the units say to each other: layouts and signatures, derived from the config once.

`Interfaces(config)` makes every layout of a config. Memories answer one cycle after the address (`ReadPort`); writes
are unconditional (`en`). Units that execute instructions take a `Command` on a stream and pulse `done` when everything
they write is visible; of each chunk one instruction runs at a time, except for the stream unit, which runs ahead.
"""

from typing import Any

from amaranth import Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..arch.config import AcceleratorConfig, derive
from ..arch.formats import BLOCK
from ..arch.isa import FIELDS, GEOMETRY, Flag

FLOAT = unsigned(32)
"""A machine float32 (docs/numerics.md, 1) as its bits."""

INSTRUCTION = data.StructLayout(dict(FIELDS))
"""One instruction, field by field (`arch.isa.FIELDS`)."""

GEOMETRY_LAYOUT = data.StructLayout(dict(GEOMETRY))
"""The aux field of QUERY, APPEND and ATTEND."""

COMMAND = data.StructLayout(
    {
        "instruction": INSTRUCTION,
        "layer": 12,
        "rows": 6,
        "position": 20,
        "sequence": 6,
        "token": 20,
        "chunk": 1,
    }
)
"""An instruction in its context.

layer: current layer. rows: tokens of its chunk, 1 to 32. position: of the chunk's first token. sequence: block table.
token: index of the chunk's first token in the token memory. chunk: which one of its pass, and whose memories it uses.
"""

ACCUMULATOR_BANKS = 2
"""Accumulator regions of the engine: 0 for MATMUL and P x V, 1 for scores; the top bit of `accumulator`."""


class ResultKind:
    """Who takes a result of the matrix engine (`kind` of a tag)."""

    MATMUL = 0
    SCORE = 1
    OUTPUT = 2


class Interfaces:
    """Layouts of one config.

    Attributes:
        lanes: V; rows: R; channels: C; bus_bytes: W.
        spm_address, am_address, pm_address: shapes of word addresses.
        vector: V float32.
        am_word: one quantized block: q (32 x activation_bits, signed), exponent (8, signed), total (sum of q, signed),
            shift (8): the accumulator is multiplied by 2^-shift before the block is added; 255 flushes it to +0
            (probabilities only; 0 in the activation memory).
        raw_tile: payload (C x 32 bytes; a 4-bit tile fills the low half) and scales (C x 4 bytes; low part used).
        tile: what the engine multiplies: weights (C x 32 x 8 bits signed), significand (C x 11 bits unsigned) and
            exponent (C x 10 bits signed): scale = significand x 2^exponent, sign apart; likewise the minimum (0: none).
        micro_op: one cycle of the engine, see docs/microarchitecture.md.
        result: a tag and R x C float32.
        kv_block: a quantized key or value block on its way to the cache.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        derived = derive(config)
        self.config = config
        self.derived = derived
        self.rows = config.array.rows
        self.channels = config.array.channels
        self.lanes = config.vector.lanes
        self.bus_bytes = derived.bus_bytes
        bits = config.array.activation_bits
        self.spm_address = range(config.vector.scratchpad_words)
        self.am_address = range(config.vector.activation_words)
        self.pm_address = range(config.vector.parameter_words)
        self.vector = data.ArrayLayout(FLOAT, self.lanes)
        self.am_word = data.StructLayout(
            {
                "q": data.ArrayLayout(signed(bits), BLOCK),
                "exponent": signed(8),
                "total": signed(bits + 5),
                "shift": 8,
            }
        )
        self.raw_tile = data.StructLayout(
            {
                "payload": self.channels * BLOCK * 8,
                "scales": data.ArrayLayout(32, self.channels),
            }
        )
        per_channel = data.ArrayLayout
        self.tile = data.StructLayout(
            {
                "weights": per_channel(data.ArrayLayout(signed(8), BLOCK), self.channels),
                "significand": per_channel(unsigned(11), self.channels),
                "exponent": per_channel(signed(10), self.channels),
                "minimum_negative": per_channel(unsigned(1), self.channels),
                "scale_negative": per_channel(unsigned(1), self.channels),
                "minimum_significand": per_channel(unsigned(11), self.channels),
                "minimum_exponent": per_channel(signed(10), self.channels),
            }
        )
        accumulators = ACCUMULATOR_BANKS << (derived.accumulators - 1).bit_length()
        self.accumulator = range(accumulators)
        self.tag = data.StructLayout(
            {
                "kind": 2,
                "slot": range(config.stream.attention_lag + 2),
                "row_group": range(BLOCK * 32),
                "group": 20,
                "end": 1,
            }
        )
        self.probability_address = 16
        self.micro_op = data.StructLayout(
            {
                "take_tile": 1,
                "probabilities": 1,
                "chunk": 1,
                "address": 20,
                "accumulator": self.accumulator,
                "first": 1,
                "last": 1,
                "tag": self.tag,
            }
        )
        self.result = data.StructLayout(
            {
                "tag": self.tag,
                "values": data.ArrayLayout(data.ArrayLayout(FLOAT, self.channels), self.rows),
            }
        )
        self.kv_block = data.StructLayout(
            {
                "value": 1,
                "row": 5,
                "head": 8,
                "block": 4,
                "q": data.ArrayLayout(signed(8), BLOCK),
                "exponent": signed(8),
            }
        )


def flag(instruction: Any, which: Flag) -> Value:
    """One bit of the flags of an INSTRUCTION."""
    return instruction.flags[which.bit_length() - 1]


def read_port(address: object, word: object) -> wiring.Signature:
    """A synchronous read port seen from the reader: `data` answers one cycle after `address` when `en` was set."""
    return wiring.Signature({"en": Out(1), "address": Out(address), "data": In(word)})


def write_port(address: object, word: object, mask: int) -> wiring.Signature:
    """A write port seen from the writer: `mask` has one bit per independently written part."""
    return wiring.Signature({"en": Out(1), "address": Out(address), "mask": Out(mask), "data": Out(word)})


def lookup_port() -> wiring.Signature:
    """A block-table lookup seen from the asker: one cycle after `sequence` and `index`, `page` and `mapped`."""
    return wiring.Signature({"sequence": Out(6), "index": Out(15), "page": In(16), "mapped": In(1)})


AUXILIARY_BURST = 16
"""Beats of an auxiliary read, at most."""

AUXILIARY_READ = data.StructLayout({"address": 48, "beats": range(AUXILIARY_BURST + 1)})
"""A read of 1 to `AUXILIARY_BURST` beats, not across 4 KiB, at most as long as the bus's bursts."""


def auxiliary_port(data_bits: int) -> wiring.Signature:
    """Auxiliary reads seen from the asker: addresses out, beats in the same order back."""
    asked = stream.Signature(AUXILIARY_READ)
    return wiring.Signature({"o_address": Out(asked), "i_beat": In(stream.Signature(data_bits))})


FAULT = data.StructLayout({"status": 8, "address": 48})
"""A `Status` and its address; units raise it on `fault` (valid for one cycle, with `fault_valid`)."""
