"""The sequencer with units that take a random time, fail, and a program memory of the bench."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from celosia.arch.config import AcceleratorConfig
from celosia.arch.isa import Instruction, Opcode, Status
from celosia.hdl.control.passes import JOB
from celosia.hdl.control.sequencer import EXECUTED_BY, UNITS
from celosia.hdl.interfaces import COMMAND, FAULT
from tests.harness.bench import Bench, bench_parameters, bench_random
from tests.harness.layouts import pack, unpack
from tests.hdl.stream.configs import CONFIGS
from tests.hdl.stream.plan import Job, Pass, passes, walk
from tests.hdl.stream.programs import random_job, random_program

END_OF_TEXT = 77


class Machine:
    """Everything around a sequencer; records what it does."""

    def __init__(self, dut: Any, bench: Bench, config: AcceleratorConfig, stall: float) -> None:
        self.dut, self.bench, self.config, self.random = dut, bench, config, bench_random("machine")
        self.program: list[Instruction | int] = []
        self.sinks = {unit: bench.sink(f"o_{unit}", shape=COMMAND, stall=stall) for unit in UNITS}
        self.stream = bench.sink("o_stream", shape=JOB, stall=stall)
        self.draining = 0
        self.fault_at: tuple[int, dict[str, int]] | None = None
        self.ends_at: int | None = None
        for unit in UNITS:
            getattr(dut, f"{unit}_done").value = 0
        for port in ("start", "append_complete", "fault_valid", "halt", "drained", "end_enable", "best"):
            getattr(dut, port).value = 0
        dut.end_of_text.value = END_OF_TEXT
        self.reset()
        cocotb.start_soon(self._run())

    def reset(self) -> None:
        """Forget what was recorded."""
        self.commands: list[tuple[str, dict[str, int], dict[str, int]]] = []
        self.samples: list[tuple[int, int, int]] = []
        self.retired: list[tuple[int, int]] = []
        self.waits: dict[str, int] = {}
        self.writes: list[int] = []
        self.appended = 0
        self.pass_ends: list[int] = []
        self.finished = 0

    async def _run(self) -> None:
        dut, edge = self.dut, RisingEdge(self.dut.clk)
        last_pass = 0
        while True:
            await edge
            self._answer_program()
            if int(dut.sample.value):
                self.samples.append((int(dut.best.value), int(dut.sample_index.value), int(dut.sampled.value)))
            if int(dut.retired.value):
                self.retired.append((int(dut.retired_index.value), int(dut.retired_layer.value)))
            if int(dut.pass_index.value) == last_pass + 1:
                assert not self.writes, "a pass ended before its writes"
                self.pass_ends.append(len(self.commands))
            last_pass = int(dut.pass_index.value)
            self.finished += int(dut.finished.value)
            dut.best.value = self.random.choice([0, 1, 78, 1 << 20])
            if self.ends_at is not None and len(self.samples) == self.ends_at:
                dut.best.value = END_OF_TEXT
            self._drain()
            self._units()

    def _answer_program(self) -> None:
        dut, address = self.dut, int(self.dut.program__address.value)
        word: Instruction | int = self.random.getrandbits(256)
        if int(dut.program__en.value) and address < len(self.program):
            word = self.program[address]
        dut.program__data.value = word if isinstance(word, int) else int.from_bytes(word.encode(), "little")

    def _drain(self) -> None:
        clear = int(self.dut.clear.value)
        if clear:
            self.waits, self.writes = {}, []
        self.draining = self.draining + 1 if clear else 0
        self.dut.drained.value = int(self.random.random() < 0.1)

    def _units(self) -> None:
        dut, random = self.dut, self.random
        for unit, sink in self.sinks.items():
            for command in sink.received:
                assert not self.waits, f"{unit} gets a command while {sorted(self.waits)} runs"
                self.commands.append((unit, command.pop("instruction"), command))
                assert int(dut.busy.value) and not int(dut.clear.value)
                if unit == "cache":
                    self.writes.append(self.bench.cycle + random.randrange(300))
                else:
                    self.waits[unit] = self.bench.cycle + random.randrange(1, 20)
            sink.received = []
        for unit in UNITS:
            done = self.waits.get(unit, 1 << 60) <= self.bench.cycle
            getattr(dut, f"{unit}_done").value = int(done)
            if done:
                del self.waits[unit]
        complete = bool(self.writes) and min(self.writes) <= self.bench.cycle
        dut.append_complete.value = int(complete)
        if complete:
            self.writes.remove(min(self.writes))
            self.appended += 1
        fault = self.fault_at is not None and len(self.commands) >= self.fault_at[0]
        dut.fault_valid.value = int(fault)
        dut.fault.value = pack(FAULT, self.fault_at[1]) if fault else random.getrandbits(56)
        if fault:
            self.fault_at = None

    async def run(self, program: list[Instruction | int], job: Job, *, length: int | None = None) -> None:
        """Start a job and wait until it is finished."""
        self.reset()
        self.program = program
        dut = self.dut
        dut.job.value, dut.length.value = pack(JOB, asdict(job)), len(program) if length is None else length
        dut.start.value = 1
        await self.bench.cycles(1)
        dut.start.value = 0
        await self.bench.cycles(2)
        dut.job.value = self.random.getrandbits(60)  # the job is taken at its start
        await self.bench.until(lambda: self.finished > 0)
        await self.bench.cycles(3)
        assert self.finished == 1 and not int(dut.busy.value)

    def status(self) -> tuple[int, int]:
        """Status and address of the last job."""
        return int(self.dut.fault_status.value), int(self.dut.fault_address.value)

    def check(self, program: list[Instruction], job: Job, ran: list[Pass]) -> None:
        """Exactly the commands of these passes were issued, and all retired."""
        assert [unpack(JOB, pack(JOB, asdict(job)))] == self.stream.received
        self.stream.received = []
        expected, samples, ends, retired = [], 0, [], 0
        for now in ran:
            for instruction, layer in walk(program, now):
                retired += 1
                if instruction.opcode is Opcode.SAMPLE:
                    samples += 1
                    continue
                context = {"layer": layer, "rows": now.rows, "position": now.position}
                context |= {"sequence": job.sequence, "token": now.token}
                fields = {name: int(value) for name, value in vars(instruction).items()}
                expected += [(unit, fields, context) for unit in EXECUTED_BY[instruction.opcode]]
            ends.append(len(expected))
        assert self.commands == expected
        assert self.pass_ends == ends
        assert len(self.retired) == retired
        assert [index for _, index, _ in self.samples] == [job.count + i for i in range(samples)]
        assert [sampled for *_, sampled in self.samples] == list(range(samples))


async def machine(dut: Any, *, stall: float = 0.3) -> Machine:
    bench = await Bench.start(dut, limit=300_000)
    return Machine(dut, bench, CONFIGS[bench_parameters()["config"]], stall)


@cocotb.test()
async def runs_jobs(dut: Any) -> None:
    machine_ = await machine(dut)
    for _ in range(8):
        program, _ = random_program(machine_.config, machine_.bench.random)
        job = random_job(machine_.config, machine_.bench.random)
        await machine_.run(program, job)
        machine_.check(program, job, passes(job, machine_.config.vector.chunk))
        assert machine_.status() == (Status.OK, 0)
        assert all(best != END_OF_TEXT for best, *_ in machine_.samples)


@cocotb.test()
async def ends_with_the_text(dut: Any) -> None:
    machine_ = await machine(dut)
    program, _ = random_program(machine_.config, machine_.bench.random)
    for ends_at, enable in ((0, 1), (2, 1), (2, 0)):
        job = Job(sequence=0, position=3, count=2, steps=5)
        machine_.ends_at = ends_at
        dut.end_enable.value = enable
        await machine_.run(program, job)
        ran = passes(job, machine_.config.vector.chunk)
        machine_.check(program, job, ran[: ends_at + 1] if enable else ran)
        assert machine_.status() == (Status.OK, 0)


@cocotb.test()
async def stops_at_a_fault(dut: Any) -> None:
    machine_ = await machine(dut, stall=0.0)  # stopping withdraws a command, which a sink that waits does not forgive
    random = machine_.bench.random
    for _ in range(8):
        program, _ = random_program(machine_.config, random)
        fault = {"status": random.choice([1, 2, 4, 7]), "address": random.getrandbits(48)}
        at = random.randrange(1, 20)
        machine_.fault_at = (at, fault)
        await machine_.run(program, Job(sequence=0, position=0, count=30, steps=3))
        assert machine_.status() == (fault["status"], fault["address"])
        assert len(machine_.commands) <= at + 2
        machine_.stream.received = []
        job = Job(sequence=0, position=0, count=1, steps=1)
        await machine_.run(program, job)
        machine_.check(program, job, passes(job, machine_.config.vector.chunk))
        assert machine_.status() == (Status.OK, 0)


@cocotb.test()
async def halts(dut: Any) -> None:
    machine_ = await machine(dut, stall=0.0)  # stopping withdraws a command, which a sink that waits does not forgive
    program, _ = random_program(machine_.config, machine_.bench.random)

    async def press() -> None:
        await machine_.bench.cycles(100)
        dut.halt.value = 1
        await machine_.bench.cycles(1)
        dut.halt.value = 0

    cocotb.start_soon(press())
    start = machine_.bench.cycle
    await machine_.run(program, Job(sequence=0, position=0, count=1, steps=1000))
    assert machine_.status() == (Status.OK, 0)
    assert machine_.bench.cycle - start < 800


@cocotb.test()
async def refuses_illegal_instructions(dut: Any) -> None:
    machine_ = await machine(dut)
    vector = machine_.config.vector
    job = Job(sequence=0, position=0, count=1, steps=0)
    good = Instruction(Opcode.MATMUL, n=32, k=1)
    for bad in (
        13,
        replace(good, format=3),
        replace(good, n=0),
        replace(good, k=0),
        replace(good, src=vector.activation_words),
        replace(good, dst=vector.scratchpad_words),
        Instruction(Opcode.LOAD, n=32, dst=vector.parameter_words),
        Instruction(Opcode.ATTEND, k=0),
    ):
        await machine_.run([good, bad, Instruction(Opcode.END)], job)
        assert machine_.status() == (Status.ILLEGAL_INSTRUCTION, 1), bad
        assert len(machine_.commands) == 1
    await machine_.run([good, good, Instruction(Opcode.END)], job, length=1)
    assert machine_.status() == (Status.ILLEGAL_INSTRUCTION, 1)


@cocotb.test()
async def does_nothing_for_an_empty_job(dut: Any) -> None:
    machine_ = await machine(dut)
    await machine_.run([Instruction(Opcode.END)], Job(sequence=0, position=0, count=0, steps=0))
    assert machine_.status() == (Status.OK, 0)
    assert machine_.commands == []
