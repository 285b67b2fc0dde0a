"""Every small job against docs/numerics.md, 10."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import cocotb

from celosia.hdl.control.passes import JOB, PASS
from tests.harness.bench import Bench, bench_parameters
from tests.hdl.stream.plan import Job, passes


@cocotb.test()
async def cuts_every_job(dut: Any) -> None:
    parameters = bench_parameters()
    bench = await Bench.start(dut, limit=400_000)
    source, sink = bench.source("i", shape=JOB), bench.sink("o", shape=PASS, stall=parameters["stall"])
    jobs = [
        Job(
            sequence=0,
            position=position,
            count=count,
            steps=steps,
            chunk=bench.random.choice((0, 1, 5, 16, 32, 33, 63)),
        )
        for position in (0, 1, 5, 30, 31, 32, 63, (1 << 20) - 100)
        for count in (*range(1, 12), 31, 32, 33, 64, 65)
        for steps in (0, 1, 2, 5)
    ]
    source.send(asdict(job) for job in jobs)
    expected = [asdict(item) for job in jobs for item in passes(job, parameters["chunk"], parameters["chunks"])]
    assert await bench.receive(sink, len(expected)) == expected
    await bench.cycles(20)
    assert sink.received == []
