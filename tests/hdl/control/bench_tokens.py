"""Host, sampler and embedding at the token memory."""

from __future__ import annotations

from typing import Any

import cocotb

from tests.harness.bench import Bench, bench_parameters


@cocotb.test()
async def keeps_tokens(dut: Any) -> None:
    depth = bench_parameters()["depth"]
    bench = await Bench.start(dut, limit=50_000)
    random = bench.random
    tokens, cycles = {}, {}
    for _ in range(400):
        index, token, now = random.randrange(depth), random.getrandbits(32), random.getrandbits(32)
        sampled = random.random() < 0.5
        dut.index.value, dut.sample_index.value = (random.randrange(depth), index) if sampled else (index, 0)
        dut.host_write.value, dut.sample.value = int(not sampled), int(sampled)
        dut.host_token.value, dut.sampled.value, dut.now.value = token, token, now
        if sampled:
            cycles[index] = now
            dut.host_token.value = random.getrandbits(32)
        tokens[index] = token
        await bench.cycles(1)
    dut.host_write.value = dut.sample.value = 0
    for index, token in tokens.items():
        # An index past the end wraps.
        dut.index.value, dut.reader__address.value, dut.reader__en.value = index, index + depth, 1
        await bench.cycles(2)
        assert (int(dut.token.value), int(dut.reader__data.value)) == (token, token)
        if index in cycles:
            assert int(dut.cycle.value) == cycles[index]
