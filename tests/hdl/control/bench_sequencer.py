"""The sequencer: which commands it issues, in which order, and how it stops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import cocotb

from celosia.arch.config import derive
from celosia.arch.isa import Flag, Instruction, Opcode, Status
from celosia.hdl.control.decode import EXECUTED_BY
from celosia.hdl.control.issue import PIPELINED
from celosia.hdl.control.passes import JOB
from celosia.hdl.control.sequencer import CHUNKS
from tests.harness.bench import Bench, bench_parameters
from tests.harness.layouts import pack, unpack
from tests.hdl.stream.configs import CONFIGS
from tests.hdl.stream.plan import Job, Pass, Step, passes, walk
from tests.hdl.stream.programs import random_job, random_program

from .sequencing import END_OF_TEXT, QUEUE_OF, Command, Machine

Issued = tuple[int, Step, list[Command]]
"""Number of a pass, an instruction in it, and its commands: one per unit, none of SAMPLE."""


async def machine(dut: Any, *, stall: float = 0.3) -> Machine:
    bench = await Bench.start(dut, limit=600_000)
    return Machine(dut, bench, CONFIGS[bench_parameters()["config"]], stall)


def all_passes(around: Machine, job: Job) -> list[Pass]:
    """The passes of a job that is not stopped."""
    return passes(job, around.config.vector.chunk, around.config.vector.chunks)


def check(around: Machine, program: Sequence[Instruction], job: Job, ran: list[Pass]) -> None:
    """Exactly these passes ran, in an order that is allowed."""
    assert [unpack(JOB, pack(JOB, asdict(job)))] == around.stream.received
    around.stream.received = []
    issued = check_commands(around, list(program), job, ran)
    check_order(issued)
    check_retired(around, issued)
    check_samples(around, issued, job)
    appends = [step for _, step, _ in issued if step.instruction.opcode is Opcode.APPEND]
    assert len(around.completed) == len(appends) == int(around.dut.appended.value), "APPENDs are missing in memory"
    assert around.left == [], "the job ended before its units"
    assert all(cycle < around.finished[0] for cycle in around.completed)


def check_commands(around: Machine, program: list[Instruction], job: Job, ran: list[Pass]) -> list[Issued]:
    """Every unit took its commands, in program order, each in the context of its chunk."""
    rest = {unit: list(commands) for unit, commands in around.commands.items()}
    issued = []
    for number, now in enumerate(ran):
        for step in walk(program, now):
            context = {"layer": step.layer, "sequence": job.sequence, "chunk": step.chunk}
            context |= now.context(step.chunk)
            fields = {name: int(value) for name, value in vars(step.instruction).items()}
            commands = []
            for unit in EXECUTED_BY.get(step.instruction.opcode, ()):
                command = rest[unit].pop(0)
                assert (command.fields, command.context) == (fields, context), f"{unit}, instruction {step.index}"
                commands.append(command)
            issued.append((number, step, commands))
    assert not any(rest.values()), f"commands too many: {rest}"
    return issued


def check_order(issued: list[Issued]) -> None:
    """One after the other: instructions of a chunk, where those with BESIDE may begin when all before them but one have
    ended, and of a queue, where a product may begin before the last ended.
    """
    latest: dict[str, Command] = {}
    ends: dict[int, list[int]] = {chunk: [] for chunk in range(CHUNKS)}
    for _, step, commands in issued:
        if not commands:
            continue
        first, last = commands[0], commands[-1]
        if len(commands) == 2:
            assert first.unit == "cache" and first.start < last.start, "the page writer gets an APPEND first"
        before = latest.get(QUEUE_OF[last.unit])
        if before is not None:
            assert before.end < last.end
            products = before.unit == last.unit == PIPELINED
            assert products or before.end < first.start, f"instruction {step.index} began too early for its queue"
        latest[QUEUE_OF[last.unit]] = last
        undone = sum(end >= first.start for end in ends[step.chunk])
        assert undone <= bool(step.instruction.flags & Flag.BESIDE), f"instruction {step.index} began too early"
        if QUEUE_OF[last.unit] == "engine" and last.unit != PIPELINED:
            known = max([last.start, *ends[step.chunk]])
            assert last.settled is None or last.settled >= known, f"instruction {step.index} was settled too early"
            assert last.settled is not None or last.end < known + 3, f"instruction {step.index} was not settled"
        ends[step.chunk].append(last.end)


def check_retired(around: Machine, issued: list[Issued]) -> None:
    """Each instruction retires in the cycle in which its unit is done."""
    for chunk in range(CHUNKS):
        expected = [
            (step.index, step.layer, number, commands[-1].end)
            for number, step, commands in issued
            if commands and step.chunk == chunk
        ]
        assert sorted((r.index, r.layer, r.number, r.cycle) for r in around.retired[chunk]) == sorted(expected)


def check_samples(around: Machine, issued: list[Issued], job: Job) -> None:
    """SAMPLE comes after all that stands before it, and before all that stands behind it."""
    samples = iter(around.samples)
    last = 0
    earlier = 0
    for _, _, commands in issued:
        if commands:
            assert last < commands[0].start
            earlier = max(earlier, commands[-1].end)
        else:
            last = next(samples).cycle
            assert earlier < last
    assert next(samples, None) is None
    count = len(around.samples)
    assert [(s.index, s.sampled) for s in around.samples] == [(job.count + i, i) for i in range(count)]


@cocotb.test()
async def runs_jobs(dut: Any) -> None:
    around = await machine(dut)
    overlaps = joined = 0
    for _ in range(10):
        program, _ = random_program(around.config, around.bench.random)
        job = random_job(around.config, around.bench.random)
        await around.run(program, job)
        check(around, program, job, all_passes(around, job))
        assert around.status() == (Status.OK, 0)
        assert all(sample.best != END_OF_TEXT for sample in around.samples)
        overlaps += around.overlaps
        joined += around.joined
    cocotb.log.info("%d cycles with units of both chunks, %d with two products", overlaps, joined)
    assert joined > 20
    assert (overlaps > 500) == (around.config.vector.chunks > 1)


@cocotb.test()
async def works_on_both_chunks_at_once(dut: Any) -> None:
    """Vector work of one chunk beside the products of the other, with no more than a few cycles between commands."""
    around = await machine(dut, stall=0.0)
    vector, product = Instruction(Opcode.NORM, n=32, k=1), Instruction(Opcode.MATMUL, n=32, k=1)
    second = [replace(instruction, flags=Flag.SECOND) for instruction in (vector, product)]
    program = [vector, second[0], *[product, vector, second[1], second[0]] * 6, Instruction(Opcode.END)]
    job = Job(sequence=0, position=0, count=2 * around.config.vector.chunk, steps=0)
    around.random.choice = lambda _: 100  # the time of every unit
    await around.run(program, job)
    check(around, program, job, all_passes(around, job))
    chunks = around.config.vector.chunks
    cycles = around.finished[0] - around.commands["vector"][0].start
    # Alone, all wait for each other; together the vector unit of one chunk works behind the products of the other.
    assert cycles < (14 * 100 + 14 * 8 if chunks == 2 else 26 * 100 + 26 * 8), cycles
    assert around.overlaps >= 1000 * (chunks - 1)


@cocotb.test()
async def takes_as_long_as_its_registers(dut: Any) -> None:
    """An instruction waits for a register of its empty queue, and for none when the one before is done; SAMPLE for one
    that says that all are done."""
    around = await machine(dut, stall=0.0)
    around.random.choice = lambda _: 100
    pipeline = derive(around.config).pipeline
    start, vector = around.bench.cycle, Instruction(Opcode.NORM, n=32, k=1)
    program = [*[vector] * 3, Instruction(Opcode.SAMPLE), Instruction(Opcode.END)]
    await around.run(program, Job(sequence=0, position=0, count=1, steps=1))
    first, second, third = around.commands["vector"]
    assert first.start - start == 11 + pipeline.begin.latency
    assert second.start - first.end == third.start - second.end == 2
    assert around.samples[0].cycle - third.end == pipeline.settle.latency


@cocotb.test()
async def ends_with_the_text(dut: Any) -> None:
    around = await machine(dut)
    program, _ = random_program(around.config, around.bench.random)
    for ends_at, enable in ((0, 1), (2, 1), (2, 0)):
        job = Job(sequence=0, position=3, count=2, steps=5)
        around.ends_at = ends_at
        dut.end_enable.value = enable
        await around.run(program, job)
        ran = all_passes(around, job)
        check(around, program, job, ran[: ends_at + 1] if enable else ran)
        assert around.status() == (Status.OK, 0)


async def check_restart(around: Machine, program: list[Instruction]) -> None:
    """The next job starts clean."""
    around.stream.received = []
    job = Job(sequence=1, position=9, count=around.config.vector.chunk + 1, steps=1)
    await around.run(program, job)
    check(around, program, job, all_passes(around, job))
    assert around.status() == (Status.OK, 0)


@cocotb.test()
async def stops_at_a_fault(dut: Any) -> None:
    """The first fault is reported, whatever the sequencer is at."""
    around = await machine(dut, stall=0.0)  # stopping withdraws a command, which a sink that waits does not forgive
    random = around.bench.random
    for index in range(12):
        program, _ = random_program(around.config, random)
        faults = [{"status": random.choice([1, 2, 4, 7]), "address": random.getrandbits(48)} for _ in range(2)]
        at = random.randrange(0 if index % 4 == 0 else 1, 40)
        failing = cocotb.start_soon(around.fail(at, random.randrange(3, 60), *faults))
        await around.run(program, Job(sequence=0, position=0, count=30, steps=1000))
        await failing
        assert around.status() == (faults[0]["status"], faults[0]["address"])
        await check_restart(around, program)


@cocotb.test()
async def halts(dut: Any) -> None:
    """At any time, soon, and without an error."""
    around = await machine(dut, stall=0.0)  # stopping withdraws a command, which a sink that waits does not forgive
    program, _ = random_program(around.config, around.bench.random)

    async def press(delay: int) -> None:
        await around.bench.cycles(delay)
        dut.halt.value = 1
        await around.bench.cycles(1)
        dut.halt.value = 0

    for index in range(16):
        delay = 4 + index if index < 10 else around.bench.random.randrange(16, 3000)
        start = around.bench.cycle
        cocotb.start_soon(press(delay))
        await around.run(program, Job(sequence=0, position=0, count=1, steps=1000))
        assert around.status() == (Status.OK, 0)
        assert around.cleared is not None and around.cleared - start - delay < 200
        await check_restart(around, program)


@cocotb.test()
async def refuses_illegal_instructions(dut: Any) -> None:
    """After everything before them is done, even where they would be skipped."""
    around = await machine(dut)
    vector = around.config.vector
    job = Job(sequence=0, position=0, count=vector.chunk + 1, steps=0)
    good, append = Instruction(Opcode.MATMUL, n=32, k=1), Instruction(Opcode.APPEND)
    before = [good, replace(append, flags=Flag.SECOND), replace(good, flags=Flag.SECOND), append]
    taken = 6 if vector.chunks == 2 else 3
    beat = derive(around.config).bus_bytes
    load, store = (Instruction(opcode, n=32) for opcode in (Opcode.LOAD_ROWS, Opcode.STORE_ROWS))
    for bad in (
        15,
        *(replace(rows, **wrong) for rows in (load, store) for wrong in ({"n": 0}, {"n": 33}, {"base": beat // 2})),
        replace(load, stride=3 * beat + 4),
        replace(load, dst=vector.scratchpad_words),
        replace(store, src=vector.scratchpad_words),
        replace(good, format=3),
        replace(good, n=0),
        replace(good, k=0),
        replace(good, k=0, flags=Flag.HEAD),
        replace(good, k=0, flags=Flag.SECOND),
        replace(good, src=vector.activation_words),
        replace(good, dst=vector.scratchpad_words),
        Instruction(Opcode.LOAD, n=32, dst=vector.parameter_words),
        Instruction(Opcode.ATTEND, k=0),
    ):
        await around.run([*before, bad, Instruction(Opcode.END)], job)
        assert around.status() == (Status.ILLEGAL_INSTRUCTION, len(before)), bad
        assert around.taken == taken
        assert not {"matrix", "vector"} & set(around.left), "refused while an instruction before ran"
    await around.run([good, good, Instruction(Opcode.END)], job, length=1)
    assert around.status() == (Status.ILLEGAL_INSTRUCTION, 1)


@cocotb.test()
async def reports_what_failed_before_an_illegal_instruction(dut: Any) -> None:
    around = await machine(dut, stall=0.0)
    around.random.choice = lambda _: 100  # the time of every unit
    fault = {"status": int(Status.BUS_READ), "address": 1 << 40}
    for delay in (0, 10, 90):
        cocotb.start_soon(around.fail(1, delay, fault))
        bad = Instruction(Opcode.MATMUL)
        await around.run([replace(bad, n=32, k=1), bad], Job(sequence=0, position=0, count=1, steps=0))
        assert around.status() == (fault["status"], fault["address"])


@cocotb.test()
async def does_nothing_for_an_empty_job(dut: Any) -> None:
    around = await machine(dut)
    await around.run([Instruction(Opcode.END)], Job(sequence=0, position=0, count=0, steps=0))
    assert around.status() == (Status.OK, 0)
    assert around.taken == 0
