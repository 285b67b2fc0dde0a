"""The sticky bit against every write that came before."""

from __future__ import annotations

from typing import Any

import cocotb

from tests.harness.bench import Bench, bench_parameters

LARGEST = 0x7F7FFFFF
NEAR = (LARGEST, LARGEST | 1 << 31, LARGEST - 1, LARGEST ^ 1 << 23, 0x7F800000, LARGEST >> 1, 0, 1 << 31)


@cocotb.test()
async def remembers_what_is_written(dut: Any) -> None:
    lanes, words = bench_parameters()["lanes"], bench_parameters()["words"]
    bench = await Bench.start(dut, limit=60_000)
    random = bench.random
    hits: list[bool] = []
    cleared, seen = 0, set()
    for _ in range(4000):
        data = [random.choice([*NEAR, random.getrandbits(32)]) for _ in range(lanes)]
        if random.random() < 0.9:
            data = [LARGEST ^ (1 << random.randrange(31)) | random.getrandbits(1) << 31 for _ in range(lanes)]
        mask, enable, clear = random.getrandbits(lanes), random.getrandbits(1), random.random() < 0.02
        dut.write__en.value, dut.write__mask.value, dut.clear.value = enable, mask, int(clear)
        dut.write__address.value = random.randrange(words)
        dut.write__data.value = sum(value << 32 * lane for lane, value in enumerate(data))
        await bench.cycles(1)
        # Three cycles from a write to the bit; what is on its way when it is cleared is forgotten with it.
        hits.append(bool(enable) and any(mask >> i & 1 and data[i] & 0x7FFFFFFF == LARGEST for i in range(lanes)))
        assert int(dut.saturated.value) == any(hits[cleared : len(hits) - 3]), len(hits)
        seen.add(int(dut.saturated.value))
        if clear:
            cleared = len(hits)
    assert seen == {0, 1}
