"""The KV merger with the tail buffer: every tile and every exponent of V, for all kinds of last pages."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from celosia.arch.formats import BLOCK
from celosia.hdl.attention.shape import AttentionShape
from celosia.hdl.interfaces import Interfaces

from ...harness.bench import Bench, bench_parameters
from ...harness.layouts import unpack
from .problem import Problem, Shape, small_config


def _segments(problem: Problem, shape: AttentionShape, slot: int) -> list[tuple[dict[str, int], int, int]]:
    """Jobs of one pass per virtual head in the order of docs/isa.md, with head and page."""
    lag, jobs = problem.config.stream.attention_lag, []
    count = problem.shape.kv_heads * problem.pages
    for i in range(count + lag):
        for value, place in ((0, i), (1, i - lag)):
            if 0 <= place < count:
                head, page = divmod(place, problem.pages)
                job = dict.fromkeys(shape.page_job.members, 0) | {
                    "value": value,
                    "slot": (slot + place) % shape.slots,
                    "last": page == problem.pages - 1,
                    "head_block": head * problem.blocks,
                }
                jobs.append((job, head, page))
    return jobs


def _tiles(problem: Problem, job: dict[str, int], head: int, page: int) -> list[tuple[list[Any], list[int]]]:
    """Weights [C][32] and exponents [C] of every tile of a segment."""
    channels, kv, blocks = problem.config.array.channels, problem.kv, problem.blocks
    elements = (kv.values if job["value"] else kv.keys)[page, head].reshape(blocks * BLOCK, BLOCK)
    exponents = np.zeros(blocks * BLOCK, int) if job["value"] else kv.key_exponents[page, head].reshape(-1)
    return [
        (elements[i : i + channels].tolist(), exponents[i : i + channels].tolist())
        for i in range(0, blocks * BLOCK, channels)
    ]


@cocotb.test()
async def merges(dut: Any) -> None:
    parameters = bench_parameters()
    config = small_config(**parameters["config"])
    interfaces = Interfaces(config)
    shape = AttentionShape(interfaces)
    stall = parameters["stall"]
    for name in ("page_done", "exponents__en"):
        getattr(dut, name).value = 0
    bench = await Bench.start(dut, limit=200_000)
    jobs, kv, payload, exponents = (
        bench.source(name, shape=layout, stall=stall)
        for name, layout in (
            ("i", shape.page_job),
            ("i_kv", interfaces.kv_block),
            ("i_payload", None),
            ("i_exponents", None),
        )
    )
    tiles = bench.sink("o", shape=None, stall=stall)
    slot = 0
    for fields in parameters["shapes"]:
        problem = Problem(config, Shape(**fields), bench.random)
        dut.position.value = problem.shape.position % BLOCK
        dut.rows.value, dut.head_blocks.value = problem.shape.rows, problem.blocks
        kv.send(problem.tail_blocks())
        await bench.until(lambda: kv.idle)
        sources = problem.stream()
        payload.send(sources[0])
        exponents.send(sources[1])
        for job, head, page in _segments(problem, shape, slot):
            jobs.send([job])
            for number, (weights, scale) in enumerate(_tiles(problem, job, head, page)):
                tile = unpack(interfaces.tile, (await bench.receive(tiles, 1))[0])
                where = f"{problem.shape}: head {head}, page {page}, value {job['value']}, tile {number}"
                assert tile["weights"] == weights, where
                assert (tile["exponent"], tile["significand"]) == (scale, [1] * len(scale)), where
            if not job["value"]:
                for block in range(problem.blocks):
                    dut.exponents__en.value = 1
                    group, own = divmod(block, shape.quantizers)
                    dut.exponents__address.value = group | job["slot"] << shape.exponent_bits - shape.slot_bits
                    await bench.cycles(2)
                    data = int(dut.exponents__data.value).to_bytes(shape.quantizers * BLOCK, "little")
                    data = data[own * BLOCK : (own + 1) * BLOCK]
                    expected = problem.kv.value_exponents[page, head, block].tolist()
                    assert np.frombuffer(data, np.int8).tolist() == expected, f"V exponents, page {page}"
                dut.exponents__en.value = 0
                dut.page_done.value = 1
                await bench.cycles(1)
                dut.page_done.value = 0
        slot = (slot + problem.shape.kv_heads * problem.pages) % shape.slots
        assert payload.idle
        assert exponents.idle
