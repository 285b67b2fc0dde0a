"""The vector unit in a bench, beside a numpy picture of its memories."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from amaranth.lib import data
from numpy.typing import NDArray

from celosia.arch.isa import NO_FLAGS, Flag, Instruction, Opcode
from celosia.hdl.interfaces import COMMAND
from tests.harness.bench import Bench, bench_parameters
from tests.harness.layouts import unpack

from .configs import interfaces
from .wrappers import load_layout

Floats = NDArray[np.float32]
BLOCK = 32


def bits(value: float | np.float32) -> int:
    """The word of a float32."""
    return int(np.float32(value).view(np.uint32))


class Machine:
    """Fills the scratchpad, runs instructions one at a time and reads what they wrote."""

    @classmethod
    async def start(cls, dut: Any, *, limit: int = 200_000) -> Machine:
        """Reset the design and attach to its streams."""
        self = cls()
        parameters = bench_parameters()
        self.dut = dut
        self.layouts = interfaces(parameters)
        self.lanes, self.rows_of_array = self.layouts.lanes, self.layouts.rows
        self.bits = self.layouts.config.array.activation_bits
        self.chunk = self.layouts.config.vector.chunk
        self.stall = parameters["stall"]
        dut.peek.value = 0
        self.use(0)
        self.bench = await Bench.start(dut, limit=limit)
        self.numbers = np.random.default_rng(self.bench.random.getrandbits(32))
        self.i = self.bench.source("i", shape=COMMAND)
        self.i_beat = self.bench.source("i_beat", stall=self.stall)
        self.i_load = self.bench.source("i_load", shape=load_layout(self.layouts))
        self.o_kv = self.bench.sink("o_kv", shape=self.layouts.kv_block, stall=self.stall)
        self.finished = 0
        return self

    def use(self, chunk: int) -> None:
        """From now on, instructions are those of this chunk, and so is the activation memory."""
        self.used = chunk
        self.dut.chunk.value = chunk

    def tensor(self, rows: int, width: int) -> Floats:
        """Random rows, blocks of very different sizes, some zeros, sometimes a block of zeros."""
        x = self.numbers.standard_normal((rows, width)).astype(np.float32)
        x *= (2.0 ** self.numbers.integers(-12, 12, (rows, width // BLOCK))).astype(np.float32).repeat(BLOCK, axis=1)
        x[self.numbers.random((rows, width)) < 0.05] = 0
        if self.numbers.random() < 0.5:
            x[0, :BLOCK] = 0
        return x

    async def write(self, address: int, x: Floats, pitch: int | None = None) -> None:
        """Rows of x into the scratchpad, `pitch` words apart; a few words lane by lane."""
        words = x.shape[1] // self.lanes
        loads = []
        for row in range(x.shape[0]):
            for word in range(words):
                lanes = x[row, word * self.lanes : (word + 1) * self.lanes].view(np.uint32).tolist()
                place = address + row * (pitch or words) + word
                every = (1 << self.lanes) - 1
                masks = [1, every - 1] if self.bench.random.random() < 0.02 else [every]
                for mask in masks:
                    noisy = [v if mask >> i & 1 else v ^ 0xFFFF for i, v in enumerate(lanes)]
                    loads.append({"address": place, "mask": mask, "word": noisy})
        self.i_load.send(loads)
        await self.bench.until(lambda: self.i_load.idle)

    async def run(
        self, opcode: Opcode, *, rows: int = 1, position: int = 0, flags: Flag = NO_FLAGS, **fields: int
    ) -> int:
        """Run one instruction; returns the cycles from its command to `done`."""
        instruction = Instruction(opcode, flags=flags, **fields)
        values = {name: int(value) for name, value in vars(instruction).items()}
        random = self.bench.random
        self.i.send(
            [
                {
                    "instruction": values,
                    "layer": random.getrandbits(12),
                    "rows": rows,
                    "position": position,
                    "sequence": random.getrandbits(6),
                    "token": random.getrandbits(20),
                    "chunk": self.used,
                }
            ]
        )
        await self.bench.until(lambda: self.i.idle)
        start = self.bench.cycle
        self.finished = (self.finished + 1) % (1 << 16)
        await self.bench.until(lambda: int(self.dut.finished.value) == self.finished)
        return self.bench.cycle - start

    def send_words(self, values: Iterable[int], width: int) -> None:
        """Words of `width` bits, packed into whole beats, zeros at the end."""
        beat_bits = self.layouts.bus_bytes * 8
        number, count = 0, 0
        for value in values:
            number |= int(value) << (count * width)
            count += 1
        beats = -(-count * width // beat_bits)
        self.i_beat.send([number >> (i * beat_bits) & (1 << beat_bits) - 1 for i in range(beats)])

    async def load(self, address: int, values: Floats) -> int:
        """LOAD; returns its cycles."""
        self.send_words(values.view(np.uint32).tolist(), 32)
        return await self.run(Opcode.LOAD, dst=address, n=len(values))

    async def peek(self, address: int) -> tuple[list[int], list[Any]]:
        """A word of the parameter memory and the banks of the activation memory."""
        self.dut.peek.value = 1
        self.dut.peek_address.value = address
        await self.bench.cycles(3)
        words = unpack(self.layouts.vector, int(self.dut.pm_word.value))
        blocks = unpack(data.ArrayLayout(self.layouts.am_word, self.rows_of_array), int(self.dut.am_words.value))
        self.dut.peek.value = 0
        return words, blocks

    async def check_blocks(self, address: int, q: NDArray[Any], exponents: NDArray[Any], what: str) -> None:
        """Compare rows of quantized blocks, q [rows, blocks, 32] and exponents [rows, blocks], with the memory."""
        banks = self.rows_of_array
        rows, blocks = exponents.shape
        for group in range(-(-rows // banks)):
            for block in range(blocks):
                _, words = await self.peek(address + group * blocks + block)
                for bank in range(min(banks, rows - group * banks)):
                    row = group * banks + bank
                    expected = {
                        "q": q[row, block].tolist(),
                        "exponent": int(exponents[row, block]),
                        "total": int(q[row, block].sum()),
                        "shift": 0,
                    }
                    assert words[bank] == expected, f"{what}, row {row}, block {block}: {words[bank]} not {expected}"
