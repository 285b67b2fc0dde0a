"""The loader before a block memory, which knows no reset, while it is held in reset and after that."""

from __future__ import annotations

from random import Random

from amaranth.hdl import Module, ResetInserter
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from celosia.boards.boot import LAST
from celosia.boards.gateware.block_memory import COLUMN_BEATS, BlockMemory
from celosia.boards.gateware.loader import SETTING, Loader

from ...harness.runner import run_bench

BASE_BEAT = COLUMN_BEATS - 128
ENTRIES = 100


class LoaderWithMemory(wiring.Component):
    """`hold`: keeps the loader in reset, as on a board until the PLL has locked."""

    def __init__(self, contents: list[int]) -> None:
        self.contents = contents
        super().__init__({"hold": In(1), "o": Out(stream.Signature(SETTING)), "busy": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = BlockMemory(data_bits=64, address_bits=32, contents=self.contents)
        loader = Loader(data_bits=64, address_bits=32, base=8 * BASE_BEAT)
        m.submodules.loader = ResetInserter(self.hold)(loader)
        connect(m, loader.reads, memory.reads)
        connect(m, loader.o, flipped(self.o))
        m.d.comb += self.busy.eq(loader.busy)
        return m


def test_loader() -> None:
    random = Random(1)
    entries = [(random.randrange(LAST), random.getrandbits(32)) for _ in range(ENTRIES)]
    contents = [0] * COLUMN_BEATS
    for index, (register, value) in enumerate([*entries, (LAST, 0)]):
        contents[BASE_BEAT + index] = register << 32 | value
    run_bench(
        LoaderWithMemory(contents), "tests.boards.gateware.bench_loader", name="loader", parameters={"entries": entries}
    )
