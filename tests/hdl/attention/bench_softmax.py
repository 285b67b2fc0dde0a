"""The softmax alone: scores of all sizes against golden, probability by probability."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from numpy.random import Generator, default_rng

from celosia.arch.formats import BLOCK
from celosia.golden.attention import probabilities
from celosia.golden.functions import recip
from celosia.golden.numerics import add, block_sum, mul, quantize_block, scale2
from celosia.hdl.attention.shape import AttentionShape
from celosia.hdl.interfaces import Interfaces, ResultKind

from ...harness.bench import Bench, bench_parameters
from ...harness.layouts import unpack
from .problem import small_config

SCALE = np.float32(0.25)


class Memories:
    """V's exponents, read by the design, and the probability memory, written by it."""

    def __init__(self, bench: Bench, interfaces: Interfaces) -> None:
        self.dut, self.interfaces = bench.dut, interfaces
        self.exponents: dict[int, int] = {}
        self.words: dict[tuple[int, int], dict[str, Any]] = {}
        self.pages_done = 0
        self.answer = 0
        bench._streams.append(self)

    def drive(self) -> None:
        """Exponents answer in the cycle after the address."""
        self.dut.exponents__data.value = self.answer

    def sample(self) -> None:
        """Values before the edge."""
        dut = self.dut
        if int(dut.exponents__en.value):
            self.answer = self.exponents[int(dut.exponents__address.value)]
        if int(dut.probabilities__en.value):
            bank = int(dut.probabilities__mask.value).bit_length() - 1
            assert int(dut.probabilities__mask.value) == 1 << bank
            word = unpack(self.interfaces.am_word, int(dut.probabilities__data.value))
            self.words[bank, int(dut.probabilities__address.value)] = word
        self.pages_done += int(dut.page_done.value)


class Pass:
    """One pass over the pages: scores of every row, exponents of V, and what golden makes of them."""

    def __init__(self, generator: Generator, *, rows: int, positions: np.ndarray, blocks: int, kind: str) -> None:
        pages = int(positions.max()) // BLOCK + 1
        s = (pages, rows, BLOCK)
        bits = {
            "narrow": lambda: generator.normal(0, 4, s),
            "wide": lambda: generator.normal(0, 400, s),
            "huge": lambda: generator.choice([3e38, -3e38, 2e5, -2e5, 1.0], s) * generator.random(s),
            "tiny": lambda: generator.normal(0, 1, s) * 2.0 ** generator.integers(-126, -15, s),
            "falling": lambda: generator.normal(0, 1, s) - np.arange(pages)[:, None, None] * 2000,
            "rising": lambda: generator.normal(0, 1, s) + np.arange(pages)[:, None, None] * 300,
            "equal": lambda: np.zeros(s),
        }
        self.scores = bits[kind]().astype(np.float32) + np.float32(0)
        self.scores[np.abs(self.scores) < 2.0**-126] = 0
        low, high = (-127, 127) if kind == "huge" else (-12, 3)
        self.value_exponents = generator.integers(low, high + 1, (pages, blocks, BLOCK))
        visible = np.arange(pages * BLOCK).reshape(pages, 1, BLOCK) <= positions[:, None]
        p, _, self.shifts = probabilities(mul(self.scores, SCALE), visible, None)
        self.p = p
        self.total = np.zeros(rows, np.float32)
        for page in range(pages):
            self.total = add(scale2(self.total, -self.shifts[page]), block_sum(p[page]))
        self.pages, self.rows, self.blocks = pages, rows, blocks

    def words(self, page: int, bits: int) -> tuple[np.ndarray, np.ndarray]:
        """q [rows, blocks, 32] and exponents [rows, blocks]."""
        return quantize_block(scale2(self.p[page][:, None], self.value_exponents[page][None]), bits)


async def _run(bench: Bench, ports: dict[str, Any], memories: Memories, one: Pass, start: int, row_groups: int) -> None:
    """Send a pass page by page, as far ahead as the lag allows; check each page when it is done."""
    interfaces = memories.interfaces
    config, shape = interfaces.config, AttentionShape(interfaces)
    bits, count = config.array.activation_bits, row_groups
    before = memories.pages_done
    checked = 0
    for page in range(one.pages + config.stream.attention_lag + 1):
        if page < one.pages:
            slot = (start + page) % shape.slots
            for group in range(-(-one.blocks // shape.quantizers)):
                blocks = slice(group * shape.quantizers, (group + 1) * shape.quantizers)
                data = one.value_exponents[page, blocks].astype(np.int8).tobytes()
                place = group | slot << shape.exponent_bits - shape.slot_bits
                memories.exponents[place] = int.from_bytes(data, "little")
            ports["i_pages"].send(
                [
                    dict.fromkeys(shape.page_job.members, 0)
                    | {"slot": slot, "first": page == 0, "last": page == one.pages - 1, "groups": count}
                ]
            )
            ports["i"].send(_results(one, page, slot, count, shape))
        if page >= config.stream.attention_lag and checked < one.pages:
            checked += 1
            await bench.until(lambda done=checked: memories.pages_done >= before + done)
            _check(one, checked - 1, (start + checked - 1) % shape.slots, memories, shape, bits)


def _results(one: Pass, page: int, slot: int, groups: int, shape: AttentionShape) -> list[dict[str, Any]]:
    words = np.zeros((groups * shape.rows, BLOCK), np.uint32)
    words[: one.rows] = one.scores[page].view(np.uint32)
    results = []
    for tile in range(shape.tiles):
        for group in range(groups):
            own = words[group * shape.rows : (group + 1) * shape.rows, tile * shape.channels :][:, : shape.channels]
            end = tile == shape.tiles - 1 and group == groups - 1
            tag = {"kind": ResultKind.SCORE, "slot": slot, "row_group": group, "group": tile, "end": end}
            results.append({"tag": tag, "values": own.tolist()})
    return results


def _check(one: Pass, page: int, slot: int, memories: Memories, shape: AttentionShape, bits: int) -> None:
    q, exponents = one.words(page, bits)
    for row in range(one.rows):
        for block in range(one.blocks):
            group, bank = divmod(row, shape.rows)
            address = block | group << shape.block_bits | slot << shape.block_bits + shape.group_bits
            word = memories.words.pop((bank, address))
            expected = {
                "q": q[row, block].tolist(),
                "exponent": int(exponents[row, block]),
                "total": int(q[row, block].sum()),
                "shift": min(int(one.shifts[page, row]), 255),
            }
            assert word == expected, f"page {page}, row {row}, block {block}"


@cocotb.test()
async def normalises(dut: Any) -> None:
    parameters = bench_parameters()
    config = small_config(**parameters["config"])
    interfaces = Interfaces(config)
    shape = AttentionShape(interfaces)
    for name in ("launch", "last_row", "group", "sub_heads_log2", "head_blocks", "position", "reciprocals__en"):
        getattr(dut, name).value = 0
    dut.scale.value = int(SCALE.view(np.uint32))
    bench = await Bench.start(dut, limit=300_000)
    stall = parameters["stall"]
    ports = {
        "i_pages": bench.source("i_pages", shape=shape.page_job, stall=stall),
        "i": bench.source("i", shape=interfaces.result, stall=stall),
    }
    memories = Memories(bench, interfaces)
    generator = default_rng(bench.random.getrandbits(32))
    slot = 0
    for kind in ("narrow", "wide", "huge", "tiny", "falling", "rising", "equal"):
        tokens = bench.random.randint(1, config.vector.chunk)
        group = bench.random.randint(1, 3)
        blocks = bench.random.randint(1, 2)
        position = bench.random.randint(0, 4) * BLOCK + bench.random.randint(0, BLOCK - tokens)
        row_groups = -(-tokens * group // shape.rows)
        dut.last_row.value = tokens * group - 1
        dut.group.value, dut.head_blocks.value = group, blocks
        dut.position.value = position % BLOCK
        dut.launch.value = 1
        await bench.cycles(1)
        dut.launch.value = 0
        for first in range(0, row_groups, shape.groups):
            count = min(shape.groups, row_groups - first)
            rows = np.arange(first * shape.rows, min((first + count) * shape.rows, tokens * group))
            one = Pass(generator, rows=len(rows), positions=position + rows // group, blocks=blocks, kind=kind)
            await _run(bench, ports, memories, one, slot, count)
            last_slot = (slot + one.pages - 1) % shape.slots
            slot = (slot + one.pages) % shape.slots
            for row in range(one.rows):
                dut.reciprocals__en.value = 1
                dut.reciprocals__address.value = row // shape.rows | last_slot << shape.group_bits
                await bench.cycles(2)
                found = int(dut.reciprocals__data.value) >> 32 * (row % shape.rows) & 0xFFFF_FFFF
                assert found == int(recip(one.total)[row].view(np.uint32)), (kind, row)
            dut.reciprocals__en.value = 0
    assert memories.words == {}, "rows written that do not exist"
