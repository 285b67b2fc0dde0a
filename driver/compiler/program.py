"""Second pass: the model as a list of macro-operations on named buffers, before anything has an address."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...arch.config import AcceleratorConfig, derive
from ...arch.formats import BLOCK, WEIGHT_FORMATS
from ...arch.isa import Flag, Opcode
from ...arch.layout import MatmulLayout, ceil_div, round_up
from .geometry import ModelGeometry
from .weights import FormatPlan, linears_of, row_order

SPM, AM, PM = "SPM", "AM", "PM"

NONE = Flag(0)
OUTSIDE = (0, 0)
"""Layers of an operand that no layer has: gain of the last norm, tables, rope constants."""


@dataclass(frozen=True)
class Buffer:
    """A tensor in an on-chip memory.

    Attributes:
        name: unique in a program.
        memory: SPM, AM or PM.
        words: its size in words of that memory.
        width: elements of a row, for people.
    """

    name: str
    memory: str
    words: int
    width: int


@dataclass(frozen=True)
class Operand:
    """What an operation streams or gathers from the image.

    Attributes:
        name: unique in a program: "wq", "attention_norm", "output", "rope"; "wq[2:5]" of the run of layers 2 to 4.
        tensor: name of the tensor in the model, within its layer if `layers` has any.
        kind: "matrix", "floats" or "rope".
        layers: first and last + 1 of those that have one each; (0, 0): there is one, outside the layers.
        n: channels, floats, or pairs. k: blocks of a matrix. format: of a matrix.
    """

    name: str
    tensor: str
    kind: str
    layers: tuple[int, int]
    n: int
    k: int = 0
    format: str = ""

    @property
    def layered(self) -> bool:
        """Whether every layer of a run has one."""
        return self.layers != OUTSIDE

    @property
    def copies(self) -> int:
        """How many a pass streams: one for every layer of its run."""
        return self.layers[1] - self.layers[0] if self.layered else 1

    def bytes(self, config: AcceleratorConfig) -> int:
        """Bytes in the image, of one layer: whole beats."""
        if self.kind == "matrix":
            return MatmulLayout(config, WEIGHT_FORMATS[self.format], self.n, self.k).bytes
        return round_up(self.n * (8 if self.kind == "rope" else 4), derive(config).bus_bytes)

    def useful_bytes(self) -> int:
        """Bytes without padding: elements and scales."""
        if self.kind == "matrix":
            return self.n * self.k * WEIGHT_FORMATS[self.format].block_bytes
        return self.n * (8 if self.kind == "rope" else 4)


@dataclass(frozen=True)
class Operation:
    """An instruction whose operands are names. `src`, `dst` and `gate` become addresses, `operand` base and stride.

    ahead: layers from that of the loop to that of the operand. layer: of the operand, of an operation outside loops.
    """

    opcode: Opcode
    flags: Flag = NONE
    src: Buffer | None = None
    dst: Buffer | None = None
    gate: Buffer | None = None
    operand: Operand | None = None
    dst_offset: int = 0
    n: int = 0
    k: int = 0
    pitch: int = 0
    imm: int = 0
    aux: int = 0
    cached: bool = False
    target: int | None = None
    ahead: int = 0
    layer: int | None = None

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """Every buffer that it touches."""
        return tuple(b for b in (self.src, self.dst, self.gate) if b is not None)


def float_bits(value: float) -> int:
    """Bits of a value rounded to float32."""
    return int(np.float32(value).view(np.uint32))


@dataclass
class ProgramBuilder:
    """Writes the operations of one model, in the order of `docs/isa.md`.

    Attributes:
        run: first layer and last + 1 of the loop that is being written, `OUTSIDE` of loops.
    """

    geometry: ModelGeometry
    formats: FormatPlan
    operations: list[Operation] = field(default_factory=list)
    run: tuple[int, int] = OUTSIDE

    def build(self) -> list[Operation]:
        """All operations, END last."""
        g, model = self.geometry, self.geometry.model
        x = self._rows("x", model.dim)
        rotates = any(model.rope_frequencies)
        tied = model.tied_embeddings
        embedding = self._table("output" if tied else "embedding", "embedding", self.formats.embedding)
        self._add(Opcode.EMBED, dst=x, operand=embedding, n=embedding.n, k=embedding.k)
        if rotates:
            rope = Operand("rope", "rope", "rope", OUTSIDE, model.head_dim // 2)
            self._add(Opcode.ROPE_TABLE, Flag.BESIDE, operand=rope, n=rope.n)
        for run in self.formats.runs():
            self.run = run
            self._add(Opcode.LOOP, k=run[0], n=run[1])
            body = len(self.operations)
            self._attention(x, Flag.ROPE if rotates else NONE)
            self._feed_forward(x)
            self._add(Opcode.NEXT, target=body)
        self.run = OUTSIDE
        last = Buffer("final_norm_out", AM, g.dim_blocks, model.dim)
        self._norm("final_norm", x, last, flags=Flag.HEAD | Flag.LAST_ROW)
        head = embedding if tied else self._table("output", "output", self.formats.output)
        flags = Flag.HEAD | Flag.LAST_ROW | Flag.TOP_K
        self._add(Opcode.MATMUL, flags, src=last, operand=head, n=head.n, k=head.k)
        self._add(Opcode.SAMPLE, Flag.HEAD)
        self._add(Opcode.END)
        return self.operations

    def _attention(self, x: Buffer, rope: Flag) -> None:
        g, a, model, lanes = (
            self.geometry,
            self.geometry.attention,
            self.geometry.model,
            self.geometry.config.vector.lanes,
        )
        normed = self._blocks("attention_norm_out", model.dim)
        self._norm("attention_norm", x, normed)
        q, k = self._rows("q", g.query_width), self._rows("k", g.kv_width)
        v, o = self._rows("v", g.kv_width), self._rows("o", g.output_width)
        beside = NONE if model.qkv_bias else Flag.BESIDE
        for name, dst, flags in (("wq", q, NONE), ("wk", k, beside)):
            self._matmul(name, normed, dst, bias=model.qkv_bias, flags=flags)
        queries = Buffer("queries", AM, a.kv_heads * g.query_words, g.query_width)
        geometry = a.encode()
        self._add(Opcode.QUERY, rope | Flag.BESIDE, src=q, dst=queries, pitch=g.query_words, aux=geometry)
        self._matmul("wv", normed, v, bias=model.qkv_bias, flags=beside)
        self._add(Opcode.APPEND, rope, src=k, dst=v, pitch=g.kv_width // lanes, aux=geometry, cached=True)
        self._add(
            Opcode.ATTEND,
            Flag.BESIDE,
            src=queries,
            dst=o,
            n=g.query_words,
            k=g.attend_row_groups,
            pitch=g.output_width // lanes,
            imm=float_bits(math.log2(math.e) / math.sqrt(model.head_dim)),
            aux=geometry,
            cached=True,
        )
        quantized = self._blocks("o_quantized", g.output_width)
        self._add(Opcode.QUANTIZE, src=o, dst=quantized, n=g.output_elements, k=g.output_width // BLOCK)
        self._matmul("wo", quantized, x, bias=model.attention_output_bias, flags=Flag.RESIDUAL)

    def _feed_forward(self, x: Buffer) -> None:
        model = self.geometry.model
        normed = self._blocks("ffn_norm_out", model.dim)
        self._norm("ffn_norm", x, normed)
        up, hidden = self._rows("up", model.hidden_dim), self._blocks("hidden", model.hidden_dim)
        act = Flag.SILU if model.activation == "silu_gated" else Flag.GELU
        src, gate = up, None
        if model.gated:
            src, gate, act = self._rows("gate", model.hidden_dim), up, act | Flag.GATED
            self._matmul("w_gate", normed, src, bias=model.mlp_bias)
        beside = Flag.BESIDE if model.gated and not model.mlp_bias else NONE
        self._matmul("w_up", normed, up, bias=model.mlp_bias, flags=beside)
        self._add(
            Opcode.QUANTIZE, act, src=src, dst=hidden, gate=gate, n=model.hidden_dim, k=self.geometry.hidden_blocks
        )
        self._matmul("w_down", hidden, x, bias=model.mlp_bias, flags=Flag.RESIDUAL)

    def _norm(self, name: str, x: Buffer, dst: Buffer, flags: Flag = NONE) -> None:
        model, blocks = self.geometry.model, self.geometry.dim_blocks
        # Behind the last layer: beside its last product, unless that has a bias in the parameter memory.
        loads = flags & Flag.HEAD
        if loads and not model.mlp_bias:
            loads |= Flag.BESIDE
        self._load(name, 0, blocks * BLOCK, loads)
        if model.norm == "layer":
            self._load(f"{name}.bias", blocks * BLOCK, blocks * BLOCK, loads)
            flags |= Flag.LAYER_NORM
        eps, inv_n = float_bits(model.norm_eps), float_bits(1 / model.dim)
        self._add(Opcode.NORM, flags, src=x, dst=dst, n=model.dim, k=blocks, imm=eps, aux=inv_n)

    def _load(self, name: str, at: int, n: int, flags: Flag = NONE) -> None:
        """LOAD of n floats to element `at` of the parameter memory."""
        lanes = self.geometry.config.vector.lanes
        operand = self._operand(name, "floats", n)
        dst = Buffer(name, PM, (at + n) // lanes, n)
        self._add(Opcode.LOAD, flags, dst=dst, dst_offset=at // lanes, operand=operand, n=n)

    def _matmul(self, name: str, src: Buffer, dst: Buffer, bias: bool, flags: Flag = NONE) -> None:
        """A product with the weights of `name`, which have one format in the layers of the run."""
        n, k = len(row_order(self.geometry, name)), ceil_div(self._inputs(name), BLOCK)
        if bias:
            self._load(f"{name}.bias", 0, round_up(n, BLOCK))
            flags |= Flag.BIAS
        operand = self._operand(name, "matrix", n, k, self.formats.linears[name][self.run[0]])
        self._add(Opcode.MATMUL, flags, src=src, dst=dst, operand=operand, n=n, k=k)

    def _operand(self, tensor: str, kind: str, n: int, k: int = 0, weight_format: str = "") -> Operand:
        """What the layers of the run have each, or what stands outside of them."""
        whole = self.run in (OUTSIDE, (0, self.geometry.model.n_layers))
        name = tensor if whole else f"{tensor}[{self.run[0]}:{self.run[1]}]"
        return Operand(name, tensor, kind, self.run, n, k, weight_format)

    def _inputs(self, name: str) -> int:
        model = self.geometry.model
        return {"wo": self.geometry.output_elements, "w_down": model.hidden_dim}.get(name, model.dim)

    def _table(self, name: str, tensor: str, weight_format: str) -> Operand:
        g = self.geometry
        return Operand(name, tensor, "matrix", OUTSIDE, g.model.vocab_size, g.dim_blocks, weight_format)

    def _rows(self, name: str, width: int) -> Buffer:
        return Buffer(name, SPM, self.geometry.scratchpad_words(width), width)

    def _blocks(self, name: str, width: int) -> Buffer:
        return Buffer(name, AM, self.geometry.activation_words(ceil_div(width, BLOCK)), width)

    def _add(self, opcode: Opcode, flags: Flag = NONE, **fields: Any) -> None:
        self.operations.append(Operation(opcode, flags, **fields))


def build_program(geometry: ModelGeometry, formats: FormatPlan) -> list[Operation]:
    """The operations of a model.

    Raises:
        KeyError: `formats` lacks a linear layer of the model.
    """
    missing = [name for name in linears_of(geometry.model) if name not in formats.linears]
    if missing:
        raise KeyError(f"formats of {missing}")
    return ProgramBuilder(geometry, formats).build()
