"""VectorUnit against the golden functions: every instruction, odd sizes, several rows, and its cycles."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from celosia.arch.isa import NO_FLAGS, Flag, Geometry, Opcode
from celosia.arch.pipeline import SHALLOW
from celosia.golden.numerics import mul, quantize_block
from celosia.golden.vector import gelu, layer_norm, rms_norm, rope_table, rotate, silu

from .machine import BLOCK, Floats, Machine, bits

# Words of the scratchpad in floats: three tensors that never overlap.
FIRST, SECOND = 0, 8192


def quantized(x: Floats, width: int) -> tuple[Any, Any]:
    """Rows [rows, width] in blocks."""
    return quantize_block(x.reshape(len(x), -1, BLOCK), width)


def rope_constants(machine: Machine, pairs: int) -> np.ndarray:
    """Constants of 40 bits, with the corners first."""
    constants = machine.numbers.integers(0, 1 << 40, pairs, np.int64)
    corners = [0, (1 << 40) - 1, 1 << 38, (1 << 39) + 1]
    constants[: min(len(corners), pairs - 1)] = corners[: pairs - 1]
    return constants


async def set_rope(machine: Machine, pairs: int, rows: int, position: int) -> tuple[Floats, int]:
    """ROPE_TABLE; the golden table and the cycles. The upper bits of a constant's word are noise."""
    constants = rope_constants(machine, pairs)
    noise = machine.numbers.integers(0, 1 << 24, pairs, np.int64)
    machine.send_words([int(c) | int(n) << 40 for c, n in zip(constants, noise, strict=True)], 64)
    cycles = await machine.run(Opcode.ROPE_TABLE, n=pairs, rows=rows, position=position)
    return rope_table(np.arange(position, position + rows), constants), cycles


@cocotb.test()
async def load(dut: Any) -> None:
    """LOAD writes what it should and nothing beside it, and takes only the beats that it needs."""
    machine = await Machine.start(dut)
    step = machine.lanes
    before = machine.tensor(1, 256)[0]
    await machine.load(3, before)
    values = machine.tensor(1, 96)[0]
    cycles = await machine.load(5, values)
    assert machine.i_beat.idle
    expected = np.concatenate([before[: 2 * step], values, before[2 * step + 96 :]]).view(np.uint32)
    for word in range(256 // step):
        got, _ = await machine.peek(3 + word)
        assert got == expected[word * step : (word + 1) * step].tolist(), f"PM word {3 + word}"
    if not machine.stall:
        floats_a_cycle = min(step, machine.layouts.bus_bytes // 4)
        assert cycles <= 96 // floats_a_cycle + 6, f"LOAD of 96 floats took {cycles} cycles"


NORMS = [(1, 64, 64), (2, 96, 77), (1, 32, 1), (1, 160, 129)]
"""Rows, width, elements; the last rows are random."""


async def norm(machine: Machine, kind: Flag, rows: int, width: int, n: int, last: bool = False) -> int:
    """One NORM, checked; returns its cycles."""
    layered = kind == Flag.LAYER_NORM
    source, target = FIRST // machine.lanes + machine.bench.random.randrange(8), machine.bench.random.randrange(8)
    x = machine.tensor(rows, width)
    await machine.write(source, x)
    gain, bias = machine.tensor(1, width)[0], machine.tensor(1, width)[0]
    await machine.load(0, np.concatenate([gain, bias]) if layered else gain)
    inv_n, eps = np.float32(1 / n), np.float32(10.0 ** machine.numbers.integers(-12, -3))
    flags = kind | (Flag.LAST_ROW if last else NO_FLAGS)
    cycles = await machine.run(
        Opcode.NORM,
        rows=rows,
        flags=flags,
        src=source,
        dst=target,
        n=n,
        k=width // BLOCK,
        imm=bits(eps),
        aux=bits(inv_n) | machine.bench.random.getrandbits(8) << 32,
    )
    x[:, n:] = 0
    x = x[-1:] if last else x
    y = layer_norm(x, n, gain, bias, inv_n, eps) if layered else rms_norm(x, gain, inv_n, eps)
    q, e = quantized(y, machine.bits)
    await machine.check_blocks(target, q, e, f"{kind!r} of {rows} x {n}")
    return cycles


@cocotb.test()
async def norms(dut: Any) -> None:
    """RMSNorm and LayerNorm, whole and partial blocks, many rows, the last row only."""
    machine = await Machine.start(dut)
    for kind in (NO_FLAGS, Flag.LAYER_NORM):
        for rows, width, n in [*NORMS, (machine.chunk, 64, 64), (machine.chunk, 32, 30)]:
            await norm(machine, kind, rows, width, n)
        await norm(machine, kind, machine.chunk, 96, 90, last=True)
        await norm(machine, kind, 1, 64, 64, last=True)
    assert not int(dut.overflowed.value)


@cocotb.test()
async def norm_of_extremes(dut: Any) -> None:
    """Zeros give zeros; squares that overflow saturate and are reported."""
    machine = await Machine.start(dut)
    inv_n, ones = np.float32(1 / 32), np.ones(32, np.float32)
    await machine.load(0, np.concatenate([ones, ones]))
    for value, overflows in ((0.0, False), (1e-30, False), (3e38, True)):
        x = np.full((1, 32), value, np.float32)
        x[0, 3] *= -1
        x[0, 3] += np.float32(0)
        await machine.write(0, x)
        for flag, y in (
            (NO_FLAGS, rms_norm(x, ones, inv_n, np.float32(0))),
            (Flag.LAYER_NORM, layer_norm(x, 32, ones, ones, inv_n, np.float32(0))),
        ):
            await machine.run(Opcode.NORM, flags=flag, src=0, dst=0, n=32, k=1, imm=0, aux=bits(inv_n))
            q, e = quantized(y, machine.bits)
            await machine.check_blocks(0, q, e, f"norm of {value}")
        assert bool(int(dut.overflowed.value)) == overflows, f"overflow flag after {value}"


async def quantize(machine: Machine, flags: Flag, x: Floats, n: int) -> int:
    """One QUANTIZE, checked; returns its cycles."""
    rows, width = x.shape
    source, gate = FIRST // machine.lanes + 2, SECOND // machine.lanes + 1
    u = machine.tensor(rows, width)
    await machine.write(source, x)
    await machine.write(gate, u)
    target = machine.bench.random.randrange(20)
    aux = gate | machine.bench.random.getrandbits(20) << 20
    cycles = await machine.run(
        Opcode.QUANTIZE, rows=rows, flags=flags, src=source, dst=target, n=n, k=width // BLOCK, aux=aux
    )
    y = x.copy()
    y[:, n:] = 0
    y = silu(y) if Flag.SILU in flags else gelu(y) if Flag.GELU in flags else y
    if Flag.GATED in flags:
        y = mul(y, np.where(np.arange(width) < n, u, np.float32(0)))
    q, e = quantized(y, machine.bits)
    await machine.check_blocks(target, q, e, f"{flags!r} of {rows} x {n}")
    return cycles


@cocotb.test()
async def activations(dut: Any) -> None:
    """QUANTIZE, plain and through both functions, gated and not, with every kind of argument."""
    machine = await Machine.start(dut)
    corners = np.array(
        [
            0,
            2.0**-126,
            -(2.0**-126),
            2.0**-100,
            1,
            -1,
            15.999999,
            16,
            -16,
            -15.999999,
            17,
            -1e30,
            3.4e38,
            -3.4e38,
            8,
            0.5,
        ],
        np.float32,
    )
    for act in (NO_FLAGS, Flag.SILU, Flag.GELU):
        for gated in (NO_FLAGS, Flag.GATED):
            x = machine.tensor(machine.chunk, 64)
            x[0, :16] = corners
            await quantize(machine, act | gated, x, 64)
            x = machine.numbers.uniform(-17, 17, (2, 96)).astype(np.float32)
            await quantize(machine, act | gated, x, int(machine.numbers.integers(65, 96)))


GEOMETRIES = [
    Geometry(kv_heads=2, group=3, head_blocks=2, sub_heads_log2=0, head_dim=64),
    Geometry(kv_heads=1, group=1, head_blocks=1, sub_heads_log2=0, head_dim=32),
    Geometry(kv_heads=2, group=2, head_blocks=1, sub_heads_log2=2, head_dim=8),
    Geometry(kv_heads=1, group=3, head_blocks=1, sub_heads_log2=1, head_dim=16),
    Geometry(kv_heads=3, group=1, head_blocks=2, sub_heads_log2=0, head_dim=48),
    Geometry(kv_heads=1, group=2, head_blocks=3, sub_heads_log2=0, head_dim=80),
]
"""Grouped queries, one head, four and two heads in a block, padded heads."""


def heads_of(x: Floats, heads: int, geometry: Geometry, table: Floats | None) -> Floats:
    """[rows, heads, lanes], rotated per KV head."""
    rows, lanes = len(x), geometry.head_blocks * BLOCK
    if table is not None:
        x = rotate(x.reshape(rows, heads * geometry.sub_heads, -1), table)
    return x.reshape(rows, heads, lanes)


Blocks = list[tuple[int, Any, Any]]
"""Quantized rows in the activation memory: address, elements, exponents."""


async def query(machine: Machine, geometry: Geometry, rows: int, table: Floats | None) -> Blocks:
    """One QUERY, checked bank by bank; returns what it wrote."""
    g = geometry
    heads = g.kv_heads * g.group
    x = machine.tensor(rows, heads * g.head_blocks * BLOCK)
    source, target = 5, 7
    await machine.write(source, x)
    attention_rows = rows * g.rows_per_token
    pitch = -(-attention_rows // machine.rows_of_array) * g.head_blocks + 1
    await machine.run(
        Opcode.QUERY,
        rows=rows,
        flags=Flag.ROPE if table is not None else NO_FLAGS,
        src=source,
        dst=target,
        pitch=pitch,
        aux=g.encode(),
    )
    y = heads_of(x, heads, g, table).reshape(rows, g.kv_heads, g.group, g.head_blocks * BLOCK)
    written: Blocks = []
    for head in range(g.kv_heads):
        expected = np.zeros((attention_rows, g.head_blocks * BLOCK), np.float32)
        for token in range(rows):
            for member in range(g.group):
                for sub in range(g.sub_heads):
                    row = (token * g.group + member) * g.sub_heads + sub
                    own = slice(sub * g.head_dim, (sub + 1) * g.head_dim) if g.sub_heads > 1 else slice(None)
                    expected[row, own] = y[token, head, member, own]
        q, e = quantized(expected, machine.bits)
        await machine.check_blocks(target + head * pitch, q, e, f"{g} head {head}")
        written.append((target + head * pitch, q, e))
    return written


async def append(machine: Machine, geometry: Geometry, rows: int, table: Floats | None) -> int:
    """One APPEND, checked block by block; returns its cycles."""
    g = geometry
    width = g.kv_heads * g.head_blocks * BLOCK
    pitch = width // machine.lanes + machine.bench.random.randrange(3)
    k, v = machine.tensor(rows, width), machine.tensor(rows, width)
    source, values = 9, SECOND // machine.lanes
    await machine.write(source, k, pitch)
    await machine.write(values, v, pitch)
    flags = Flag.ROPE if table is not None else NO_FLAGS
    cycles = await machine.run(
        Opcode.APPEND, rows=rows, flags=flags, src=source, dst=values, pitch=pitch, aux=g.encode()
    )
    tensors = [heads_of(k, g.kv_heads, g, table), heads_of(v, g.kv_heads, g, None)]
    expected = []
    for row in range(rows):
        for value, tensor in enumerate(tensors):
            for head in range(g.kv_heads):
                q, e = quantize_block(tensor[row, head].reshape(-1, BLOCK), 8)
                for block in range(g.head_blocks):
                    place = {"value": value, "row": row, "head": head, "block": block}
                    expected.append({**place, "q": q[block].tolist(), "exponent": int(e[block])})
    # `done` comes after the last block was taken: nothing is left to wait for.
    received, machine.o_kv.received = machine.o_kv.received, []
    assert len(received) == len(expected), f"{len(received)} blocks instead of {len(expected)}"
    for got, wanted in zip(received, expected, strict=True):
        assert got == wanted, f"{g}: {got} not {wanted}"
    return cycles


@cocotb.test()
async def attention_operands(dut: Any) -> None:
    """QUERY and APPEND of every geometry, rotated and not, at positions from 0 to 131071."""
    machine = await Machine.start(dut)
    for number, geometry in enumerate(GEOMETRIES):
        for rows in (1, machine.chunk):
            await query(machine, geometry, rows, None)
            await append(machine, geometry, rows, None)
            position = (0, 131072 - rows, 8191, 77777, 32, 1000)[number]
            table, _ = await set_rope(machine, geometry.head_dim // 2, rows, position)
            await query(machine, geometry, rows, table)
            await append(machine, geometry, rows, table)


@cocotb.test()
async def partial_rotation(dut: Any) -> None:
    """Fewer pairs than half the head, not in whole words: the other lanes pass."""
    machine = await Machine.start(dut)
    geometry = Geometry(kv_heads=2, group=1, head_blocks=1, sub_heads_log2=0, head_dim=32)
    table, _ = await set_rope(machine, 5, 2, 4711)
    await query(machine, geometry, 2, table)
    await append(machine, geometry, 2, table)


@cocotb.test()
async def two_chunks(dut: Any) -> None:
    """Each has rotations and activations of its own, which the other's instructions leave alone."""
    machine = await Machine.start(dut)
    if machine.layouts.config.vector.chunks == 1:
        return
    geometry, tables, written = GEOMETRIES[0], {}, {}
    for chunk, position in ((1, 72), (0, 64)):
        machine.use(chunk)
        tables[chunk], _ = await set_rope(machine, geometry.head_dim // 2, machine.chunk, position)
    for chunk in (0, 1, 0):
        machine.use(chunk)
        written[chunk] = await query(machine, geometry, machine.chunk, tables[chunk])
        await append(machine, geometry, machine.chunk, tables[chunk])
    for chunk, blocks in written.items():
        machine.use(chunk)
        for address, q, e in blocks:
            await machine.check_blocks(address, q, e, f"chunk {chunk}, afterwards")


@cocotb.test()
async def cycles(dut: Any) -> None:
    """One row of 576 elements: what docs/microarchitecture.md promises."""
    machine = await Machine.start(dut)
    words, block = 576 // machine.lanes, BLOCK // machine.lanes
    gap = max(0, 5 - block) * 18
    # What registers for a clock add.
    pipeline = machine.layouts.derived.pipeline
    add, to_float = (getattr(pipeline, name).latency - getattr(SHALLOW, name).latency for name in ("add", "to_float"))
    factor = to_float + pipeline.factor.latency - SHALLOW.factor.latency
    # Beside the words: pipelines, and the quantizer, which looks at every block twice.
    measured = {
        "RMSNorm": (await norm(machine, NO_FLAGS, 1, 576, 576), 2 * words + gap + 100 + block),
        "LayerNorm": (await norm(machine, Flag.LAYER_NORM, 1, 576, 576), 4 * words + 2 * gap + 160 + 3 * add + block),
        "QUANTIZE": (await quantize(machine, NO_FLAGS, machine.tensor(1, 576), 576), words + 20 + block),
        "SILU": (await quantize(machine, Flag.SILU, machine.tensor(1, 576), 576), words + 36 + factor + block),
        "gated": (
            await quantize(machine, Flag.SILU | Flag.GATED, machine.tensor(1, 576), 576),
            2 * words + 40 + factor + block,
        ),
        "ROPE_TABLE": ((await set_rope(machine, 32, 1, 12345))[1], 64 + 30 + to_float),
    }
    dut._log.info("cycles of one row of 576: %s", {name: got for name, (got, _) in measured.items()})
    if not machine.stall:
        for name, (got, limit) in measured.items():
            assert got <= limit, f"{name} took {got} cycles, more than {limit}"
