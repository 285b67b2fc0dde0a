"""Every register of the map over AXI4-Lite: reset values, what sticks, what pulses, what hardware says."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from celosia.arch.registers import registers
from celosia.hdl.control.registers import member
from tests.harness.bench import Bench


async def start(dut: Any) -> tuple[Bench, AxiLiteMaster, dict[str, int]]:
    """Clock, master, and a count of the cycles in which each 1-bit output was high."""
    for register in registers():
        for field in register.fields:
            for suffix in ("", "_set", "_load", "_value"):
                name = member(register, field) + suffix
                driven = suffix or not field.stored
                if driven and hasattr(dut, name):
                    getattr(dut, name).value = 0
    bench = await Bench.start(dut, limit=50_000)
    pulses: dict[str, int] = {}

    async def count() -> None:
        outputs = [member(r, f) for r in registers() for f in r.fields if f.pulse] + ["write", "read"]
        while True:
            await RisingEdge(dut.clk)
            for name in outputs:
                pulses[name] = pulses.get(name, 0) + int(getattr(dut, name).value)

    cocotb.start_soon(count())
    return bench, AxiLiteMaster(AxiLiteBus.from_prefix(dut, "bus_"), dut.clk, reset=None), pulses


@cocotb.test()
async def registers_hold_what_they_should(dut: Any) -> None:
    bench, master, pulses = await start(dut)
    random = bench.random
    inputs: dict[str, int] = {}
    for register in registers():
        reset = sum(f.reset << f.low for f in register.fields if f.stored and not f.pulse)
        assert await master.read_dword(register.offset) == reset, f"{register.name} after reset"
    for register in registers():
        written = random.getrandbits(32)
        expected = 0
        for field in register.fields:
            bits, name = (written >> field.low) & ((1 << field.width) - 1), member(register, field)
            if field.pulse:
                continue
            if not field.stored:
                inputs[name] = bits = random.getrandbits(field.width)
                getattr(dut, name).value = bits
            elif field.write_one_clears or not field.writable:
                bits = field.reset
            expected |= bits << field.low
        before = dict(pulses)
        response = await master.write(register.offset, written.to_bytes(4, "little"))
        assert response.resp == 0
        assert pulses["write"] == before["write"] + 1
        for field in register.fields:
            name = member(register, field)
            if field.pulse:
                assert pulses[name] == before[name] + (written >> field.low & 1), f"{name} pulses once"
            elif field.stored and name != "sequence":  # a word of SystemVerilog, which the simulator renames
                value = expected >> field.low & ((1 << field.width) - 1)
                assert int(getattr(dut, name).value) == value, name
        assert await master.read_dword(register.offset) == expected, register.name
    assert len(inputs) > 20


@cocotb.test()
async def hardware_sets_and_loads(dut: Any) -> None:
    bench, master, _ = await start(dut)
    offsets = {register.name: register.offset for register in registers()}
    dut.interrupt_status_token_set.value = 1
    await bench.cycles(1)
    dut.interrupt_status_token_set.value = 0
    assert await master.read_dword(offsets["INTERRUPT_STATUS"]) == 2
    await master.write_dword(offsets["INTERRUPT_STATUS"], 1)
    assert await master.read_dword(offsets["INTERRUPT_STATUS"]) == 2
    await master.write_dword(offsets["INTERRUPT_STATUS"], 2)
    assert await master.read_dword(offsets["INTERRUPT_STATUS"]) == 0
    dut.token_index_value.value, dut.token_index_load.value = 77, 1
    await bench.cycles(1)
    dut.token_index_load.value = 0
    assert await master.read_dword(offsets["TOKEN_INDEX"]) == 77


@cocotb.test()
async def refuses_partial_writes(dut: Any) -> None:
    bench, master, pulses = await start(dut)
    offsets = {register.name: register.offset for register in registers()}
    await bench.cycles(2)
    response = await master.write(offsets["COUNT"], b"\x05\x06")
    assert response.resp == 2
    assert pulses["write"] == 0
    assert await master.read_dword(offsets["COUNT"]) == 0
    assert await master.read_dword(0xFF0) == 0
