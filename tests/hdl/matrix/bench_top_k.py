"""TopK against a stable sort: ties, signs, zero, fewer candidates than places, restarts."""

from __future__ import annotations

import struct
from typing import Any

import cocotb

from celosia.hdl.matrix.top_k import CANDIDATE, candidates_layout
from tests.harness.bench import Bench, bench_parameters
from tests.harness.layouts import unpack

CORNERS = (0, 0x7F7F_FFFF, 0xFF7F_FFFF, 0x0080_0000, 0x8080_0000, 0x3F80_0000, 0xBF80_0000)


def number(word: int) -> float:
    """The value of a float32 word."""
    return float(struct.unpack("<f", word.to_bytes(4, "little"))[0])


@cocotb.test()
async def keeps_the_best(dut: Any) -> None:
    parameters = bench_parameters()
    depth = parameters["depth"]
    bench = await Bench.start(dut)
    at_once = parameters["at_once"]
    source = bench.source("i", shape=candidates_layout(at_once), stall=parameters["stall"])
    for count in (depth, 1, 300, depth + 1, 40):
        # Some are still on their way to their places, and the best of all.
        source.send([[{"there": 1, "value": CORNERS[1], "id": 5}] * at_once] * bench.random.randint(0, 3))
        await bench.until(lambda: source.idle)
        dut.restart.value = 1
        await bench.cycles(1)
        dut.restart.value = 0
        few = [
            *CORNERS,
            *(bench.random.getrandbits(1) << 31 | bench.random.randint(1 << 23, 0x7F7F_FFFF) for _ in range(3)),
        ]
        values = [bench.random.choice(few)]
        while len(values) < count:
            values.append(values[-1] if bench.random.random() < 0.4 else bench.random.choice(few))
        places = [{"there": 1, "value": value, "id": 7 * i + 3} for i, value in enumerate(values)]
        # The last ones, and now and then one in between, come alone.
        groups: list[list[dict[str, int]]] = []
        while places:
            size = at_once if bench.random.random() < 0.8 else 1
            group, places = places[:size], places[size:]
            nobody = {"there": 0, "value": 0x7F7F_FFFF, "id": 1}
            groups.append([*group, *[nobody] * (at_once - len(group))])
        source.send(groups)
        await bench.until(lambda: source.idle)
        await bench.cycles(parameters["latency"])
        best = sorted(range(count), key=lambda i: (-number(values[i]), i))[:depth]
        expected = [{"value": values[i], "id": 7 * i + 3} for i in best]
        expected += [{"value": 0, "id": 0}] * (depth - len(expected))
        bits = int(dut.candidates.value)
        width = CANDIDATE.as_shape().width
        candidates = [unpack(CANDIDATE, bits >> width * i) for i in range(depth)]
        assert candidates == expected
        assert int(dut.count.value) == min(count, depth)
