"""The instruction set: few, large macro-operations, as plain data. `docs/isa.md` describes each with its operands.

An instruction is 256 bits, little endian, one uniform set of fields (`FIELDS`, least significant first), so that
decoding is wiring. A program is static per model and config; what changes per step (position, tokens, block tables)
is data of a job.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

INSTRUCTION_BYTES = 32

FIELDS: dict[str, int] = {
    "opcode": 8,
    "format": 4,
    "flags": 12,
    "src": 20,
    "dst": 20,
    "n": 20,
    "k": 12,
    "pitch": 16,
    "base": 40,
    "stride": 32,
    "imm": 32,
    "aux": 40,
}
"""Field name -> bits, least significant first; 256 bits in all. All fields are unsigned."""

GEOMETRY: dict[str, int] = {
    "kv_heads": 8,
    "group": 8,
    "head_blocks": 4,
    "sub_heads_log2": 4,
    "head_dim": 12,
}
"""The `aux` field of QUERY, APPEND and ATTEND, least significant first.

kv_heads: "virtual" KV heads HV, each a whole number of 32-lane blocks. group: query heads per KV head (G).
head_blocks: blocks of 32 lanes per virtual head (KB). sub_heads_log2: log2 of the KV heads that share one block
(SH > 1 only for head sizes 8 and 16, then KB = 1). head_dim: real elements per head.
"""

MOST_SUB_HEADS = 4
"""KV heads that share a block, at most."""


class Opcode(IntEnum):
    """Macro-operations; see `docs/isa.md`."""

    END = 0
    LOOP = 1
    NEXT = 2
    EMBED = 3
    ROPE_TABLE = 4
    LOAD = 5
    NORM = 6
    MATMUL = 7
    QUANTIZE = 8
    QUERY = 9
    APPEND = 10
    ATTEND = 11
    SAMPLE = 12
    LOAD_ROWS = 13
    STORE_ROWS = 14


class Flag(IntFlag):
    """Bits of the `flags` field."""

    HEAD = 1 << 0
    """Executed only in the pass that samples (the last chunk of a prompt, every decode step)."""
    LAST_ROW = 1 << 1
    """NORM reads only the chunk's last row, into activation row 0; MATMUL computes activation row 0 only."""
    LAYER_NORM = 1 << 2
    """NORM: LayerNorm (gain, then bias) instead of RMSNorm."""
    BIAS = 1 << 3
    """MATMUL adds the parameter memory's words 0.. to every row."""
    RESIDUAL = 1 << 4
    """MATMUL adds its result to what stands in dst."""
    TOP_K = 1 << 5
    """MATMUL sends its results to the top-k unit instead of the scratchpad."""
    ROPE = 1 << 6
    """QUERY and APPEND rotate (APPEND: keys only)."""
    SILU = 1 << 7
    """QUANTIZE: x * sigmoid(x)."""
    GELU = 1 << 8
    """QUANTIZE: x * Phi(x)."""
    GATED = 1 << 9
    """QUANTIZE: the activation's result is multiplied by the tensor at scratchpad word aux."""
    SECOND = 1 << 10
    """Executed on the pass's second chunk, with that chunk's memories; not at all if the pass has only one."""
    BESIDE = 1 << 11
    """Begins when all but one of the instructions before it in its chunk are done."""


NO_FLAGS = Flag(0)


class Status(IntEnum):
    """Why the machine stopped; the low byte of the STATUS register's cause."""

    OK = 0
    BUS_READ = 1
    BUS_WRITE = 2
    ILLEGAL_INSTRUCTION = 3
    PAGE_UNMAPPED = 4
    POSITION_RANGE = 5
    SEQUENCE_CLOSED = 6
    TOKEN_RANGE = 7
    ROWS_RANGE = 8


@dataclass(frozen=True)
class Geometry:
    """Attention geometry, the `aux` field of QUERY, APPEND and ATTEND."""

    kv_heads: int
    group: int
    head_blocks: int
    sub_heads_log2: int
    head_dim: int

    @property
    def sub_heads(self) -> int:
        """KV heads that share one block of 32 lanes (SH)."""
        return 1 << self.sub_heads_log2

    @property
    def rows_per_token(self) -> int:
        """Query rows per token and virtual KV head: G x SH."""
        return self.group << self.sub_heads_log2

    def encode(self) -> int:
        """The 40-bit aux field."""
        return _pack(GEOMETRY, vars(self))

    @classmethod
    def decode(cls, word: int) -> "Geometry":
        """From the 40-bit aux field."""
        return cls(**_unpack(GEOMETRY, word))


@dataclass(frozen=True)
class Instruction:
    """One instruction; unused fields are 0."""

    opcode: Opcode
    format: int = 0
    flags: Flag = NO_FLAGS
    src: int = 0
    dst: int = 0
    n: int = 0
    k: int = 0
    pitch: int = 0
    base: int = 0
    stride: int = 0
    imm: int = 0
    aux: int = 0

    def encode(self) -> bytes:
        """32 bytes.

        Raises:
            ValueError: a field does not fit its width.
        """
        return _pack(FIELDS, vars(self)).to_bytes(INSTRUCTION_BYTES, "little")

    @classmethod
    def decode(cls, data: bytes) -> "Instruction":
        """From 32 bytes.

        Raises:
            ValueError: unknown opcode.
        """
        values = _unpack(FIELDS, int.from_bytes(data, "little"))
        opcode, flags = Opcode(values.pop("opcode")), Flag(values.pop("flags"))
        return cls(opcode=opcode, flags=flags, **values)


def _pack(layout: dict[str, int], values: dict[str, int]) -> int:
    word, offset = 0, 0
    for name, bits in layout.items():
        value = int(values[name])
        if not 0 <= value < 1 << bits:
            raise ValueError(f"{name} = {value} does not fit {bits} bits")
        word |= value << offset
        offset += bits
    return word


def _unpack(layout: dict[str, int], word: int) -> dict[str, int]:
    values, offset = {}, 0
    for name, bits in layout.items():
        values[name] = word >> offset & (1 << bits) - 1
        offset += bits
    return values
