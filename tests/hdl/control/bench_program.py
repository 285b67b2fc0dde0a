"""Programs of every length into the instruction memory."""

from __future__ import annotations

from typing import Any

import cocotb

from celosia.arch.config import derive
from celosia.arch.isa import INSTRUCTION_BYTES
from celosia.hdl.interfaces import AUXILIARY_READ
from tests.harness.bench import Bench, bench_parameters
from tests.hdl.stream.configs import CONFIGS

BASE = 0x1_0000_0040


@cocotb.test()
async def loads_programs(dut: Any) -> None:
    parameters = bench_parameters()
    config = CONFIGS[parameters["config"]]
    bus, words = derive(config).bus_bytes, config.control.program_words
    bench = await Bench.start(dut, limit=100_000)
    addresses = bench.sink("memory__o_address", shape=AUXILIARY_READ, stall=parameters["stall"])
    beats = bench.source("memory__i_beat", stall=parameters["stall"])
    dut.load.value = 0
    for length in (1, 2, 3, words - 1, words):
        program = bench.random.randbytes(length * INSTRUCTION_BYTES)
        padded = program + bench.random.randbytes(-len(program) % bus)
        dut.base.value, dut.length.value, dut.load.value = BASE, length, 1
        await bench.cycles(1)
        dut.load.value = 0
        asked = 0
        while not int(dut.done.value):
            for read in addresses.received:
                assert read == {"address": BASE + asked * bus, "beats": 1}
                beats.send([int.from_bytes(padded[asked * bus : (asked + 1) * bus], "little")])
                asked += 1
            addresses.received = []
            await bench.cycles(1)
        assert asked * bus == len(padded)
        await bench.cycles(3)
        assert beats.idle
        for index in range(length):
            other = bench.random.randrange(length)
            dut.sequencer__en.value = dut.stream__en.value = 1
            dut.sequencer__address.value, dut.stream__address.value = index, other
            await bench.cycles(2)
            for port, word in ((dut.sequencer__data, index), (dut.stream__data, other)):
                start = word * INSTRUCTION_BYTES
                assert int(port.value) == int.from_bytes(program[start : start + INSTRUCTION_BYTES], "little"), word
