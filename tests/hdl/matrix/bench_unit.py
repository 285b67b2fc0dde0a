"""MatrixUnit: whole MATMULs against exact integers, with the stream running ahead and attention in between."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from random import Random
from typing import Any

import cocotb

from celosia.arch.config import INTERLEAVE
from celosia.arch.formats import WEIGHT_FORMATS, WeightFormat
from celosia.arch.isa import FIELDS, Flag, Opcode
from celosia.hdl.interfaces import COMMAND, Interfaces
from celosia.hdl.matrix.top_k import CANDIDATE
from tests.harness.bench import Bench, bench_parameters
from tests.harness.layouts import pack, unpack

from ..arithmetic.exact import add
from .bench_engine import tile_of_format
from .configs import interfaces
from .reference import Model, Stored, Word, pack_raw, random_stored, random_word
from .wrappers import MEMORY_WORDS, Load, load_layout, words


@dataclass(frozen=True)
class Matmul:
    """A MATMUL: n channels, k blocks, for `rows` rows."""

    weight_format: WeightFormat
    flags: Flag
    n: int
    k: int
    rows: int
    src: int
    dst: int

    def command(self) -> dict[str, Any]:
        """The COMMAND payload; what MATMUL does not use is 0."""
        instruction = dict.fromkeys(FIELDS, 0) | {
            "opcode": int(Opcode.MATMUL),
            "format": self.weight_format.code,
            "flags": int(self.flags),
            "src": self.src,
            "dst": self.dst,
            "n": self.n,
            "k": self.k,
        }
        return {name: 0 for name, _ in COMMAND} | {"instruction": instruction, "rows": self.rows}

    @property
    def computed_rows(self) -> int:
        """Rows that are computed."""
        return 1 if self.flags & (Flag.LAST_ROW | Flag.TOP_K) else self.rows


class Unit:
    """The design, the contents of its memories, and the reference."""

    def __init__(self, dut: Any, bench: Bench, layouts: Interfaces, stall: float) -> None:
        self.dut, self.bench, self.layouts = dut, bench, layouts
        self.i = bench.source("i", shape=COMMAND, stall=stall)
        self.i_raw = bench.source("i_raw", shape=layouts.raw_tile, stall=stall)
        self.i_micro_op = bench.source("i_micro_op", shape=layouts.micro_op, stall=stall)
        self.i_tile = bench.source("i_tile", shape=layouts.tile, stall=stall)
        self.i_load = bench.source("i_load", shape=load_layout(layouts))
        self.o_result = bench.sink("o_result", shape=layouts.result, stall=stall)
        self.scratchpad = [0] * (MEMORY_WORDS * layouts.lanes)
        self.parameters: list[int] = []
        self.blocks: list[list[Word]] = []
        self.finished = 0
        self.macs = 0

    @property
    def random(self) -> Random:
        return self.bench.random

    async def fill(self) -> None:
        """Random contents for all memories."""
        bits, rows, lanes = self.layouts.config.array.activation_bits, self.layouts.rows, self.layouts.lanes
        self.blocks = [[random_word(self.random, bits, exponents=(-12, -6)) for _ in range(rows)] for _ in range(64)]
        self.parameters = [random_float(self.random) for _ in range(64 * lanes)]
        self.scratchpad = [random_float(self.random) for _ in self.scratchpad]
        for address, block in enumerate(self.blocks):
            self._load(Load.ACTIVATIONS, address, pack(words(self.layouts), block))
        for memory, values in ((Load.PARAMETERS, self.parameters), (Load.SCRATCHPAD, self.scratchpad)):
            for address in range(len(values) // lanes):
                word = pack(self.layouts.vector, values[address * lanes : (address + 1) * lanes])
                self._load(memory, address, word)
        await self.bench.until(lambda: self.i_load.idle)

    def _load(self, memory: int, address: int, word: int) -> None:
        self.i_load.send([{"memory": memory, "address": address, "word": word}])

    def queue(self, matmul: Matmul) -> list[list[Stored]]:
        """Queues command and tiles; returns the weights as [group][block] of C blocks, flattened by group."""
        channels = self.layouts.channels
        groups = -(-matmul.n // channels)
        # The last group is padded with channels that would win every comparison, to be seen if they leak.
        weights = [
            [[random_stored(self.random, matmul.weight_format) for _ in range(channels)] for _ in range(matmul.k)]
            for _ in range(groups)
        ]
        for start in range(0, groups, INTERLEAVE):
            for block in range(matmul.k):
                for group in range(start, min(start + INTERLEAVE, groups)):
                    self.i_raw.send([pack_raw(weights[group][block], matmul.weight_format)])
        self.i.send([matmul.command()])
        self.macs += matmul.computed_rows * groups * channels * matmul.k * 32
        return weights

    def queue_tile(self, weight_format: WeightFormat) -> None:
        """Queues a single tile."""
        blocks = [random_stored(self.random, weight_format) for _ in range(self.layouts.channels)]
        self.i_raw.send([pack_raw(blocks, weight_format)])

    def reference(self, matmul: Matmul, weights: Any) -> list[list[int]]:
        """Results before the residual, [row][channel], padded channels included."""
        rows, channels = self.layouts.rows, self.layouts.channels
        results: list[list[int]] = [[] for _ in range(matmul.computed_rows)]
        for blocks in weights:
            model = Model(rows, channels)
            tiles = [tile_of_format(stored, matmul.weight_format) for stored in blocks]
            for row_group in range(-(-matmul.computed_rows // rows)):
                for block, tile in enumerate(tiles):
                    words_read = self.blocks[matmul.src + row_group * matmul.k + block]
                    values = model.accumulate(row_group, block == 0, tile, words_read)
                for row in range(min(rows, matmul.computed_rows - row_group * rows)):
                    results[row_group * rows + row] += values[row]
        if matmul.flags & Flag.BIAS:
            results = [[add(v, self.parameters[c], 0)[0] for c, v in enumerate(values)] for values in results]
        return results

    async def finish(self) -> None:
        """Waits for `done` of everything queued."""
        self.finished += 1
        await self.bench.until(lambda: int(self.dut.finished.value) >= self.finished)

    async def check_scratchpad(self) -> None:
        """Reads all of it back: what was written, and that nothing else was."""
        lanes = self.layouts.lanes
        for address in range(MEMORY_WORDS):
            self.dut.peek_address.value = address
            await self.bench.cycles(2)
            got = unpack(self.layouts.vector, int(self.dut.peek.value))
            expected = self.scratchpad[address * lanes : (address + 1) * lanes]
            assert got == expected, f"scratchpad word {address}: {got} instead of {expected}"


def random_float(random: Random) -> int:
    """A float32 word around 1, or zero."""
    if random.random() < 0.05:
        return 0
    return random.getrandbits(1) << 31 | random.randint(115, 130) << 23 | random.getrandbits(23)


async def start(dut: Any) -> Unit:
    parameters = bench_parameters()
    bench = await Bench.start(dut, limit=60_000)
    unit = Unit(dut, bench, interfaces(parameters), parameters["stall"])
    await unit.fill()
    return unit


def chosen_format(unit: Unit) -> WeightFormat:
    return WEIGHT_FORMATS[unit.random.choice(bench_parameters()["formats"])]


@cocotb.test()
async def writes_results(dut: Any) -> None:
    """Plain, bias, residual, both, LAST_ROW, several of a kind; rows below, at and above R; channels that fill no word;
    the stream runs into the next instruction.
    """
    unit = await start(dut)
    chunk, lanes = unit.layouts.config.vector.chunk, unit.layouts.lanes
    plans = [
        (Flag(0), 64, 3, chunk),
        (Flag.BIAS, 32, 1, 1),
        (Flag.RESIDUAL, 96, 2, chunk - 1),
        (Flag.BIAS | Flag.RESIDUAL, 32, 4, chunk),
        (Flag.LAST_ROW | Flag.BIAS, 64, 2, chunk),
        (Flag(0), 32, 2, 1),
        (Flag(0), 45, 1, chunk),
        (Flag(0), 32, 1, 1),
        (Flag(0), 31, 1, 1),
        (Flag.RESIDUAL, 70, 1, 2),
        (Flag.RESIDUAL, 1, 1, chunk),
        (Flag.RESIDUAL | Flag.BIAS, 33, 1, 1),
        (Flag.RESIDUAL | Flag.BIAS, 97, 1, 1),
    ]
    matmuls = []
    dst = 0
    for flags, n, k, rows in plans:
        src = unit.random.randrange(64 - k * chunk) if k * chunk < 64 else 0
        dst += unit.random.randrange(8)
        matmuls.append(Matmul(chosen_format(unit), flags, n, k, rows, src, dst))
        dst += rows * -(-n // 32) * 32 // lanes
    assert dst <= MEMORY_WORDS
    queued = [(matmul, unit.queue(matmul)) for matmul in matmuls]
    for matmul, weights in queued:
        await unit.finish()
        for row, values in enumerate(unit.reference(matmul, weights)):
            base = matmul.dst * lanes + row * -(-matmul.n // 32) * 32
            for channel, value in enumerate(values[: matmul.n]):
                old = unit.scratchpad[base + channel] if matmul.flags & Flag.RESIDUAL else 0
                unit.scratchpad[base + channel] = add(old, value, 0)[0]
    await unit.check_scratchpad()
    assert int(dut.finished.value) == len(plans)
    assert int(dut.macs.value) == unit.macs
    assert not int(dut.busy.value)
    assert not unit.o_result.received


@cocotb.test()
async def finds_the_best(dut: Any) -> None:
    """TOP_K: n that no tile divides, ties by equal channels, padding that never enters; nothing is written."""
    unit = await start(dut)
    channels, top_k = unit.layouts.channels, unit.layouts.config.control.top_k
    for n, k, flags in (
        (channels * 9 + 1, 2, Flag.HEAD),
        (1, 1, Flag.LAST_ROW),
        (67, 1, Flag.BIAS),
        (8 * channels, 3, Flag(0)),
    ):
        matmul = Matmul(chosen_format(unit), Flag.TOP_K | flags, n, k, 1, 3, 100)
        weights = unit.queue(matmul)
        await unit.finish()
        logits = unit.reference(matmul, weights)[0][:n]
        best = sorted(range(n), key=lambda c: (-number(logits[c]), c))[:top_k]
        width = CANDIDATE.as_shape().width
        bits = int(dut.candidates.value)
        got = [unpack(CANDIDATE, bits >> width * i) for i in range(len(best))]
        assert got == [{"value": logits[c], "id": c} for c in best], f"n = {n}"
        assert int(dut.candidate_count.value) == len(best)
    await unit.check_scratchpad()
    # The next region's tiles are there before its instruction: none may be taken, it would be read in the old format.
    taken = unit.i_raw.transfers
    unit.queue_tile(chosen_format(unit))
    await unit.bench.cycles(30)
    assert unit.i_raw.transfers == taken, "took a tile of no instruction"


def number(word: int) -> float:
    """The value of a float32 word."""
    return float(struct.unpack("<f", word.to_bytes(4, "little"))[0])


@cocotb.test()
async def lends_the_engine(dut: Any) -> None:
    """Micro-ops of the attention unit run while no MATMUL does; their results leave at `o_result` only."""
    unit = await start(dut)
    weight_format = chosen_format(unit)
    for round_number in range(3):
        matmul = Matmul(weight_format, Flag(0), 32, 2, 1, 0, 10)
        weights = unit.queue(matmul)
        await unit.finish()
        for channel, value in enumerate(unit.reference(matmul, weights)[0]):
            unit.scratchpad[10 * unit.layouts.lanes + channel] = value
        model = Model(unit.layouts.rows, unit.layouts.channels)
        expected = []
        for kind in (1, 2):
            blocks = [random_stored(unit.random, weight_format) for _ in range(unit.layouts.channels)]
            tile = tile_of_format(blocks, weight_format)
            tag = {"kind": kind, "slot": kind, "row_group": round_number, "group": 5, "end": 0}
            op = {
                "take_tile": 1,
                "probabilities": 0,
                "chunk": 0,
                "address": kind,
                "accumulator": kind,
                "first": 1,
                "last": 1,
            }
            unit.i_tile.send([tile])
            unit.i_micro_op.send([op | {"tag": tag}])
            expected.append({"tag": tag, "values": model.accumulate(kind, True, tile, unit.blocks[kind])})
        assert await unit.bench.receive(unit.o_result, 2) == expected
    await unit.check_scratchpad()


@cocotb.test()
async def clear_stops(dut: Any) -> None:
    """A clear in the middle of a MATMUL: the next one is computed as if nothing had been."""
    unit = await start(dut)
    weight_format = chosen_format(unit)
    unit.queue(Matmul(weight_format, Flag.TOP_K, 64, 2, 1, 0, 10))
    await unit.bench.until(lambda: unit.i_raw.transfers >= 20)
    unit.i_raw._pending.clear()
    unit.i_raw._offering = False
    dut.clear.value = 1
    await unit.bench.cycles(1)
    dut.clear.value = 0
    await unit.bench.cycles(60)
    assert not int(dut.busy.value)
    assert int(dut.finished.value) == 0
    matmul = Matmul(weight_format, Flag(0), 32, 2, 1, 0, 10)
    weights = unit.queue(matmul)
    await unit.finish()
    for channel, value in enumerate(unit.reference(matmul, weights)[0]):
        unit.scratchpad[10 * unit.layouts.lanes + channel] = value
    await unit.check_scratchpad()
