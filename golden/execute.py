"""One pass of a program: the instructions, a method each (``docs/isa.md``)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..arch.formats import BLOCK, KV_BITS
from ..arch.isa import Flag, Geometry, Instruction, Opcode, Status
from ..arch.layout import CacheLayout, round_up
from .attention import Queries, attend
from .errors import MachineError
from .matrix import matrix_product
from .memory import KeyValues, page_views, read_pages, region
from .numerics import LARGEST, Floats, Words, add, from_outside, mul, quantize_block
from .records import TensorWrite
from .store import AddressRange, OnChip
from .vector import gelu, layer_norm, rms_norm, rope_table, rotate, silu

if TYPE_CHECKING:
    from .machine import Machine

Writes = list[TensorWrite]


def _float(bits: int) -> np.float32:
    return np.uint32(bits).view(np.float32)


@dataclass
class Chunk:
    """Tokens that an instruction works on together, and the on-chip memories that are theirs.

    Attributes:
        position: of the first token. first: its index in the job. rope: float32 [rows, pairs, 2], of ROPE_TABLE.
        last_rows: with all logits, what a NORM of the last row made of every row, by address.
    """

    position: int
    first: int
    tokens: Sequence[int]
    memories: OnChip
    rope: Floats = field(init=False)
    last_rows: dict[int, tuple[Words, Words]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rope = np.zeros((self.rows, 0, 2), np.float32)

    @property
    def rows(self) -> int:
        """Tokens."""
        return len(self.tokens)


class Pass:
    """The state of one pass, reused from pass to pass of a job.

    Attributes:
        logits: float32 [rows, vocabulary] of the pass, None if its HEAD instructions did not run.
        candidates: token ids and logits of the last sampled step, best first.
        sampled: the token that SAMPLE chose.
        now: the chunk of the instruction that runs.
    """

    now: Chunk

    def __init__(self, machine: "Machine", sequence: int, all_logits: bool) -> None:
        self.machine = machine
        self.sequence = sequence
        self.all_logits = all_logits
        self.lanes = machine.config.vector.lanes
        self.bits = machine.config.array.activation_bits
        self.candidates: tuple[np.ndarray, Floats] = (np.zeros(0, np.int64), np.zeros(0, np.float32))

    def begin(self, index: int, chunks: Sequence[Chunk], samples: bool) -> None:
        """Start the next pass."""
        self.index, self.chunks, self.samples = index, chunks, samples
        self.layer, self.layers = 0, 0
        self.logits: Floats | None = None
        self.sampled: int | None = None

    def loops(self, instruction: Instruction) -> bool:
        """Whether to go back to `src`: advances the layer at a NEXT."""
        if instruction.opcode != Opcode.NEXT:
            return False
        self.layer += 1
        if self.layer < self.layers:
            return True
        self.layer = 0
        return False

    def execute(self, instruction: Instruction) -> Writes:
        """Run one instruction; the tensors that it wrote."""
        if Flag.HEAD in instruction.flags and not (self.samples or self.all_logits):
            return []
        if Flag.SECOND in instruction.flags and len(self.chunks) == 1:
            return []
        self.now = self.chunks[-1] if instruction.flags & (Flag.SECOND | Flag.HEAD) else self.chunks[0]
        return _OPERATIONS[instruction.opcode](self, instruction)

    def nothing(self, _: Instruction) -> Writes:
        """END and NEXT: the machine moves the program counter."""
        return []

    def loop(self, i: Instruction) -> Writes:
        """LOOP."""
        self.layer, self.layers = i.k, i.n
        return []

    def embed(self, i: Instruction) -> Writes:
        """EMBED."""
        for token in self.now.tokens:
            if not 0 <= token < i.n:
                raise MachineError(Status.TOKEN_RANGE, token)
        return self._write(i.dst, self.machine.embed(i, self.now.tokens))

    def make_rope_table(self, i: Instruction) -> Writes:
        """ROPE_TABLE."""
        constants = self.machine.operand(i, self.layer, np.uint64).astype(np.int64)
        self.now.rope = rope_table(np.arange(self.now.position, self.now.position + self.now.rows), constants)
        return [TensorWrite("rope", 0, self.now.rope)]

    def load(self, i: Instruction) -> Writes:
        """LOAD."""
        values = self.machine.operand(i, self.layer, np.float32)
        self.now.memories.parameters.rows(i.dst, 1, i.n, 0)[0] = values
        return [TensorWrite("pm", i.dst, values)]

    def norm(self, i: Instruction) -> Writes:
        """NORM."""
        x = self._read(i.src, i.k * BLOCK, i.n)
        last = Flag.LAST_ROW in i.flags
        if last and not self.all_logits:
            x = x[-1:]
        gain = self._parameters(0, i.k * BLOCK)
        eps, inv_n = _float(i.imm), _float(i.aux & 0xFFFFFFFF)
        if Flag.LAYER_NORM in i.flags:
            y = layer_norm(x, i.n, gain, self._parameters(i.k * BLOCK, i.k * BLOCK), inv_n, eps)
        else:
            y = rms_norm(x, gain, inv_n, eps)
        q, e = quantize_block(y.reshape(len(y), -1, BLOCK), self.bits)
        if last:
            self.now.last_rows[i.dst] = (q, e)  # activation memory has room for one row here, all_logits needs all
            q, e = q[-1:], e[-1:]
        return self._store(i.dst, q, e)

    def matmul(self, i: Instruction) -> Writes:
        """MATMUL."""
        q, e = self._operand_rows(i)
        result = matrix_product(q, e, self.machine.weights(i, self.layer))
        if Flag.BIAS in i.flags:
            result = add(result, self._parameters(0, i.n))
        if Flag.TOP_K in i.flags:
            self.logits = result
            return [TensorWrite("logits", 0, result)]
        pitch = round_up(i.n, BLOCK) // self.lanes
        if Flag.RESIDUAL in i.flags:
            result = add(self.now.memories.scratchpad.read(i.dst, len(result), i.n, pitch), result)
        return self._write(i.dst, result, pitch)

    def _operand_rows(self, i: Instruction) -> tuple[Words, Words]:
        if Flag.LAST_ROW not in i.flags:
            return self.now.memories.activations.read(i.src, self.now.rows, i.k)
        if self.all_logits and i.src in self.now.last_rows:
            return self.now.last_rows[i.src]
        return self.now.memories.activations.read(i.src, 1, i.k)

    def quantize(self, i: Instruction) -> Writes:
        """QUANTIZE."""
        x = self._read(i.src, i.k * BLOCK, i.n)
        if Flag.SILU in i.flags:
            x = silu(x)
        if Flag.GELU in i.flags:
            x = gelu(x)
        if Flag.GATED in i.flags:
            x = mul(x, self._read(i.aux & 0xFFFFF, i.k * BLOCK, i.n))
        return self._store(i.dst, *quantize_block(x.reshape(self.now.rows, -1, BLOCK), self.bits))

    def query(self, i: Instruction) -> Writes:
        """QUERY: one attention row for every token, query of the group and KV head that shares the block."""
        g = Geometry.decode(i.aux)
        heads = g.kv_heads * g.group
        pitch = heads * g.head_blocks * BLOCK // self.lanes
        x = self._heads(i.src, heads, g, pitch, Flag.ROPE in i.flags)  # [rows, HV x G, KB x 32]
        x = x.reshape(self.now.rows, g.kv_heads, g.group, 1, g.head_blocks * BLOCK)
        if g.sub_heads > 1:
            lane = np.arange(BLOCK) // g.head_dim
            x = np.where(lane == np.arange(g.sub_heads)[:, None], x, np.float32(0))  # [..., SH, 32]
        q, e = quantize_block(x.reshape(*x.shape[:-1], g.head_blocks, BLOCK), self.bits)
        q = np.moveaxis(q, 1, 0).reshape(g.kv_heads, -1, g.head_blocks, BLOCK)
        e = np.moveaxis(e, 1, 0).reshape(g.kv_heads, -1, g.head_blocks)
        writes: Writes = []
        for head in range(g.kv_heads):
            writes += self._store(i.dst + head * i.pitch, q[head], e[head])
        return writes

    def append(self, i: Instruction) -> Writes:
        """APPEND: into the cache in memory, from where ATTEND reads it; the RTL's tail buffer only saves that way."""
        g = Geometry.decode(i.aux)
        layout, address = self._page(i, g, self.now.position)
        page = page_views(self.machine.memory, address, layout)
        rows = slice(self.now.position % BLOCK, self.now.position % BLOCK + self.now.rows)
        quantized = []
        for source, rope in ((i.src, Flag.ROPE in i.flags), (i.dst, False)):
            x = self._heads(source, g.kv_heads, g, i.pitch, rope)
            q, e = quantize_block(x.reshape(self.now.rows, g.kv_heads, g.head_blocks, BLOCK), KV_BITS)
            quantized.append((q.astype(np.int8).transpose(1, 0, 2, 3), e.astype(np.int8).transpose(1, 0, 2)))
        (key, key_exponent), (value, value_exponent) = quantized  # [HV, rows, KB, 32], [HV, rows, KB]
        page.keys[0, :, :, rows] = key.swapaxes(1, 2)
        page.key_exponents[0, :, :, rows] = key_exponent.swapaxes(1, 2)
        page.values[0, ..., rows] = value.transpose(0, 2, 3, 1)
        page.value_exponents[0, :, :, rows] = value_exponent.swapaxes(1, 2)
        return [TensorWrite("key", address, key, key_exponent), TensorWrite("value", address, value, value_exponent)]

    def attend(self, i: Instruction) -> Writes:
        """ATTEND."""
        g = Geometry.decode(i.aux)
        attention_rows = self.now.rows * g.rows_per_token
        parts = [
            self.now.memories.activations.read(i.src + head * i.n, attention_rows, g.head_blocks)
            for head in range(g.kv_heads)
        ]
        queries = Queries(
            np.stack([q for q, _ in parts]),
            np.stack([e for _, e in parts]),
            self.now.position + np.arange(attention_rows) // g.rows_per_token,
        )
        y = attend(queries, self._pages(i, g), _float(i.imm), self.bits)
        y = y.reshape(g.kv_heads, self.now.rows, g.group, g.sub_heads, -1)
        dim, sub = g.head_dim, range(g.sub_heads)
        own = np.stack([y[..., s, s * dim : (s + 1) * dim] for s in sub], axis=1)  # [HV, SH, rows, G, head_dim]
        result = own.transpose(2, 0, 1, 3, 4).reshape(self.now.rows, -1)
        return self._write(i.dst, result, i.pitch)

    def _pages(self, i: Instruction, g: Geometry) -> KeyValues:
        """All pages of the sequence; what lies past the last position is masked and weighs nothing."""
        places = [self._page(i, g, p) for p in range(0, self.now.position + self.now.rows, BLOCK)]
        return read_pages(self.machine.memory, [address for _, address in places], places[0][0])

    def _page(self, i: Instruction, g: Geometry, position: int) -> tuple[CacheLayout, int]:
        """Layout of a page, and the byte address of this layer in the page of a position."""
        page = self.machine.page(self.sequence, position)
        layout = CacheLayout(self.machine.config, g.kv_heads, g.head_blocks, 1)
        return layout, self.machine.kv_base + page * i.base + self.layer * i.stride

    def sample(self, _: Instruction) -> Writes:
        """SAMPLE: the best of the last row's logits; ties go to the lower id."""
        if self.logits is None:
            raise AddressRange("SAMPLE without a MATMUL to the top-k unit before it")
        if not self.samples:
            return []
        row = self.logits[-1]
        count = min(self.machine.config.control.top_k, len(row))
        ids = np.argsort(-row, kind="stable")[:count]
        self.candidates = ids, row[ids]
        self.sampled = int(ids[0])
        return [TensorWrite("topk", 0, row[ids], ids)]

    def load_rows(self, i: Instruction) -> Writes:
        """LOAD_ROWS."""
        rows = [region(self.machine.memory, address, 4 * i.n).view(np.float32) for address in self._rows(i)]
        return self._write(i.dst, from_outside(np.stack(rows)))

    def store_rows(self, i: Instruction) -> Writes:
        """STORE_ROWS."""
        x = self.now.memories.scratchpad.read(i.src, self.now.rows, i.n, i.n // self.lanes)
        addresses = list(self._rows(i))
        for address, row in zip(addresses, x, strict=True):
            self.machine.write(address, row.view(np.uint8))
        return [TensorWrite("rows", addresses[0], x, pitch=i.stride)]

    def _rows(self, i: Instruction) -> Iterator[int]:
        """Addresses of the chunk's rows in memory, each checked before it is used."""
        for index in range(self.now.first, self.now.first + self.now.rows):
            offset = i.base + index * i.stride
            if offset + 4 * i.n > self.machine.rows_bytes:
                raise MachineError(Status.ROWS_RANGE, index)
            yield self.machine.rows_base + offset

    def _heads(self, word: int, heads: int, g: Geometry, pitch: int, rope: bool) -> Floats:
        """A tensor as [rows, heads, KB x 32], rotated if `rope`, per KV head of a shared block."""
        lanes = g.head_blocks * BLOCK
        x = self.now.memories.scratchpad.read(word, self.now.rows, heads * lanes, pitch)
        if rope:
            x = rotate(x.reshape(self.now.rows, heads * g.sub_heads, -1), self.now.rope)
        return x.reshape(self.now.rows, heads, lanes)

    def _parameters(self, element: int, n: int) -> Floats:
        values: Floats = self.now.memories.parameters.read(element // self.lanes, 1, n, 0)[0]
        return values

    def _read(self, word: int, width: int, n: int) -> Floats:
        """The first n elements of every row, the rest of `width` +0."""
        x = np.zeros((self.now.rows, width), np.float32)
        x[:, :n] = self.now.memories.scratchpad.read(word, self.now.rows, n, width // self.lanes)
        return x

    def _write(self, word: int, values: Floats, pitch: int | None = None) -> Writes:
        """Store [rows, width] in the scratchpad, rows `pitch` words apart; None: one after the other."""
        rows, width = values.shape
        pitch = width // self.lanes if pitch is None else pitch
        self.now.memories.scratchpad.rows(word, rows, width, pitch)[:] = values
        self.machine.saturated |= bool(values.max() == LARGEST or values.min() == -LARGEST)
        return [TensorWrite("spm", word, values, pitch=pitch)]

    def _store(self, word: int, q: Words, exponents: Words) -> Writes:
        """Store quantized rows in the activation memory."""
        self.now.memories.activations.write(word, q, exponents)
        return [TensorWrite("am", word, q, exponents)]


_OPERATIONS = {
    Opcode.END: Pass.nothing,
    Opcode.LOOP: Pass.loop,
    Opcode.NEXT: Pass.nothing,
    Opcode.EMBED: Pass.embed,
    Opcode.ROPE_TABLE: Pass.make_rope_table,
    Opcode.LOAD: Pass.load,
    Opcode.NORM: Pass.norm,
    Opcode.MATMUL: Pass.matmul,
    Opcode.QUANTIZE: Pass.quantize,
    Opcode.QUERY: Pass.query,
    Opcode.APPEND: Pass.append,
    Opcode.ATTEND: Pass.attend,
    Opcode.SAMPLE: Pass.sample,
    Opcode.LOAD_ROWS: Pass.load_rows,
    Opcode.STORE_ROWS: Pass.store_rows,
}
