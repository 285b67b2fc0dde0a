"""The pace without stalls; then random bursts with and without stalls on all channels, and some behind the end."""

from __future__ import annotations

import logging
from itertools import repeat
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiBus, AxiMaster, AxiResp

from tests.harness.bench import Bench, bench_parameters, bench_random

from .test_block_memory import contents

PAGE = 4096


class Ports:
    """The two halves of the port as one, so that a master of both takes them by AXI's names."""

    def __init__(self, dut: Any) -> None:
        self._dut = dut
        self._name, self._path, self._log = "memory", "memory", dut._log

    def __dir__(self) -> list[str]:
        return [name.removeprefix("reads__").removeprefix("writes__") for name in dir(self._dut) if "s__" in name]

    def __getattr__(self, name: str) -> Any:
        half = "reads" if name.startswith(("ar", "r")) else "writes"
        return getattr(self._dut, f"{half}__{name}")


def place(random: Any, size: int, beat: int) -> tuple[int, int]:
    """Address and bytes of a burst within a page, whole beats or any bytes."""
    page = random.randrange(size // PAGE) * PAGE
    first = random.randrange(PAGE)
    length = random.randint(1, min(PAGE - first, 16 * beat))
    return page + first, length


@cocotb.test()
async def reads_a_beat_a_cycle(dut: Any) -> None:
    """Bursts that are asked for in time follow each other without a gap, the first beat after five cycles.

    The first test: the memory still holds what it was made with.
    """
    parameters = bench_parameters()
    await Bench.start(dut, limit=10_000)
    edge, words = RisingEdge(dut.clk), contents(parameters["data_bits"], parameters["columns"])
    dut.reads__rready.value = 1
    dut.reads__arlen.value = 7
    dut.reads__arid.value = 1
    waiting = [64 * 8, 0, 8, 128]  # first beats of bursts
    expected = [words[first + beat] for first in waiting for beat in range(8)]
    beat = parameters["data_bits"] // 8
    taken_at, cycle, arrived = None, 0, []
    while len(arrived) < len(expected):
        dut.reads__arvalid.value = int(bool(waiting))
        dut.reads__araddr.value = waiting[0] * beat if waiting else 0
        await edge
        cycle += 1
        if waiting and int(dut.reads__arready.value):
            taken_at = cycle if taken_at is None else taken_at
            waiting.pop(0)
        if int(dut.reads__rvalid.value):
            arrived.append((cycle, int(dut.reads__rdata.value)))
            assert int(dut.reads__rid.value) == 1
            assert int(dut.reads__rlast.value) == (len(arrived) % 8 == 0)
    assert [data for _, data in arrived] == expected
    assert taken_at is not None
    assert [at for at, _ in arrived] == list(range(taken_at + 5, taken_at + 5 + len(expected)))


@cocotb.test()
async def keeps_what_is_written(dut: Any) -> None:
    parameters = bench_parameters()
    beat = parameters["data_bits"] // 8
    words = contents(parameters["data_bits"], parameters["columns"])
    expected = bytearray(b"".join(word.to_bytes(beat, "little") for word in words))
    bench = await Bench.start(dut, limit=60_000)
    random = bench.random
    master = AxiMaster(AxiBus.from_entity(Ports(dut)), dut.clk, dut.rst)
    for half in (master.write_if, master.read_if):
        half.log.setLevel(logging.WARNING)  # they tell every transfer
    for stall in (0.0, 0.5):
        for name in ("aw", "w", "b", "ar", "r"):
            half = master.read_if if name in ("ar", "r") else master.write_if
            generator, share = bench_random(f"{name} {stall}"), stall
            pauses = (it.random() < share for it in repeat(generator))
            getattr(half, f"{name}_channel").set_pause_generator(pauses)
        for _ in range(60):
            address, length = place(random, len(expected), beat)
            data = random.randbytes(length)
            response = await master.write(address, data)
            assert response.resp == AxiResp.OKAY
            expected[address : address + length] = data
            reads = [(address, length), *(place(random, len(expected), beat) for _ in range(3))]
            for (at, size), read in [(r, await master.read(*r)) for r in reads]:
                assert read.resp == AxiResp.OKAY
                assert read.data == expected[at : at + size], hex(at)
    behind = len(expected)
    assert (await master.write(behind, b"x" * beat)).resp == AxiResp.DECERR
    assert (await master.read(behind, 2 * beat)).resp == AxiResp.DECERR
    assert (await master.read(0, 4 * beat)).data == expected[: 4 * beat]
