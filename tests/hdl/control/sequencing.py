"""Units for a sequencer that take a random time and fail, and its program memory; records what it does."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cocotb
from amaranth.lib import data
from cocotb.triggers import RisingEdge

from celosia.arch.config import AcceleratorConfig
from celosia.arch.isa import Instruction
from celosia.hdl.control.decode import UNITS
from celosia.hdl.control.issue import PIPELINED
from celosia.hdl.control.passes import JOB
from celosia.hdl.control.sequencer import CHUNKS, QUEUES, RETIRED
from celosia.hdl.interfaces import COMMAND, FAULT
from tests.harness.bench import Bench, bench_random
from tests.harness.layouts import pack, unpack
from tests.hdl.stream.plan import Job

END_OF_TEXT = 77

QUEUE_OF = {unit: queue for queue, units in QUEUES.items() for unit in units}


@dataclass
class Command:
    """A command that a unit took.

    start, end: cycles; the page writer's has no end of its own. over: the unit has said that it is done. settled: when
    it was said of one of the engine's queue that all before it in its chunk are done.
    """

    unit: str
    fields: dict[str, int]
    context: dict[str, int]
    start: int
    end: int = 0
    over: bool = False
    settled: int | None = None

    @property
    def chunk(self) -> int:
        """Whose memories it uses."""
        return self.context["chunk"]


@dataclass(frozen=True)
class Sample:
    """A sampled token, and the cycle."""

    best: int
    index: int
    sampled: int
    cycle: int


@dataclass(frozen=True)
class Retirement:
    """An instruction that retired, and the cycle."""

    index: int
    layer: int
    number: int
    cycle: int


class Machine:
    """Everything around a sequencer.

    Attributes
    ----------
    commands : what the units took, by unit.
    running : what the units execute, the oldest first; of the page writer nothing.
    overlaps : cycles in which units of different chunks ran. joined : in which two products were in the matrix unit.
    writes : cycles in which the bytes of an APPEND will be in memory.
    left : units that ran when the sequencer began to stop.
    """

    def __init__(self, dut: Any, bench: Bench, config: AcceleratorConfig, stall: float) -> None:
        self.dut, self.bench, self.config, self.random = dut, bench, config, bench_random("machine")
        self.program: list[Instruction | int] = []
        self.sinks = {unit: bench.sink(f"o_{unit}", shape=COMMAND, stall=stall) for unit in UNITS}
        self.stream = bench.sink("o_stream", shape=JOB, stall=stall)
        self.ends_at: int | None = None
        for unit in UNITS:
            if unit != "cache":
                getattr(dut, f"{unit}_done").value = 0
        for port in ("start", "append_complete", "fault_valid", "halt", "drained", "end_enable", "best"):
            getattr(dut, port).value = 0
        dut.end_of_text.value = END_OF_TEXT
        self.reset()
        cocotb.start_soon(self._run())

    def reset(self) -> None:
        """Forget what was recorded."""
        self.commands: dict[str, list[Command]] = {unit: [] for unit in UNITS}
        self.running: list[Command] = []
        self.samples: list[Sample] = []
        self.retired: list[list[Retirement]] = [[] for _ in range(CHUNKS)]
        self.writes: list[int] = []
        self.completed: list[int] = []
        self.overlaps = self.joined = 0
        self.cleared: int | None = None
        self.left: list[str] = []
        self.finished: list[int] = []

    @property
    def taken(self) -> int:
        """Commands so far."""
        return sum(map(len, self.commands.values()))

    async def _run(self) -> None:
        edge = RisingEdge(self.dut.clk)
        while True:
            await edge
            self._answer_program()
            self._observe()
            self._stop()
            self._take()
            self._finish_units()

    def _answer_program(self) -> None:
        dut, address = self.dut, int(self.dut.program__address.value)
        word: Instruction | int = self.random.getrandbits(256)
        if int(dut.program__en.value) and address < len(self.program):
            word = self.program[address]
        dut.program__data.value = word if isinstance(word, int) else int.from_bytes(word.encode(), "little")

    def _observe(self) -> None:
        dut, cycle = self.dut, self.bench.cycle
        if int(dut.sample.value):
            sample = Sample(int(dut.best.value), int(dut.sample_index.value), int(dut.sampled.value), cycle)
            self.samples.append(sample)
        for retired in unpack(data.ArrayLayout(RETIRED, len(QUEUES)), int(dut.retired.value)):
            if retired["valid"]:
                retirement = Retirement(retired["index"], retired["layer"], retired["pass"], cycle)
                self.retired[retired["chunk"]].append(retirement)
        active = int(dut.active.value)
        oldest = {QUEUE_OF[command.unit]: command for command in reversed(self.running)}
        for queue, command in oldest.items():
            assert active >> UNITS.index(command.unit) & 1, f"{command.unit} runs and is not active"
            assert int(getattr(dut, f"chunk_{queue}").value) == command.chunk
        if "engine" in oldest and oldest["engine"].settled is None and int(dut.engine_settled.value):
            oldest["engine"].settled = cycle
        if int(dut.waits_for_write.value):
            assert not self.running, f"waits for writes while {self.running} run"
        self.overlaps += {command.chunk for command in oldest.values()} == set(range(CHUNKS))
        self.joined += len(self.running) > len(oldest)
        if int(dut.finished.value):
            self.finished.append(cycle)
        dut.best.value = self.random.choice([0, 1, 78, 1 << 20])
        if self.ends_at is not None and len(self.samples) == self.ends_at:
            dut.best.value = END_OF_TEXT

    def _stop(self) -> None:
        if int(self.dut.clear.value):
            if self.cleared is None:
                units = [command.unit for command in self.running if not command.over]
                self.cleared, self.left = self.bench.cycle, units + ["writer"] * len(self.writes)
            self.running, self.writes = [], []
        self.dut.drained.value = int(self.random.random() < 0.1)

    def _take(self) -> None:
        dut, cycle = self.dut, self.bench.cycle
        self.running = [command for command in self.running if not command.over]
        for unit, sink in self.sinks.items():
            # What comes while units are cleared is lost on them.
            for context in sink.received if not int(dut.clear.value) else []:
                assert int(dut.busy.value)
                command = Command(unit, context.pop("instruction"), context, cycle)
                for other in self.running:
                    products = unit == other.unit == PIPELINED
                    both = f"{unit} begins while {other.unit} runs, both of one queue"
                    assert products or QUEUE_OF[other.unit] != QUEUE_OF[unit], both
                self.commands[unit].append(command)
                if unit == "cache":
                    # In order, and so late that passes go by.
                    last = max(self.writes, default=cycle)
                    self.writes.append(last + 1 + self.random.choice([10, 100, 500]))
                else:
                    before = max((other.end for other in self.running if other.unit == unit), default=0)
                    command.end = max(cycle + self.random.choice([1, 2, 10, 50, 200]), before + 1)
                    self.running.append(command)
            sink.received = []

    def _finish_units(self) -> None:
        dut, cycle = self.dut, self.bench.cycle
        for unit in UNITS:
            if unit != "cache":
                command = next((c for c in self.running if c.unit == unit), None)
                done = command is not None and command.end <= cycle
                getattr(dut, f"{unit}_done").value = int(done)
                if command is not None and done:
                    # The sequencer sees it at the next edge.
                    command.end, command.over = cycle + 1, True
        complete = bool(self.writes) and self.writes[0] <= cycle
        dut.append_complete.value = int(complete)
        if complete:
            self.writes.pop(0)
            self.completed.append(cycle)

    async def fail(self, commands: int, delay: int, *faults: dict[str, int]) -> None:
        """Report faults, one a cycle, `delay` cycles after that many commands were taken."""
        await self.bench.until(lambda: self.taken >= commands)
        await self.bench.cycles(delay)
        for fault in faults:
            self.dut.fault_valid.value, self.dut.fault.value = 1, pack(FAULT, fault)
            await self.bench.cycles(1)
        self.dut.fault_valid.value, self.dut.fault.value = 0, self.random.getrandbits(56)

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
        await self.bench.until(lambda: bool(self.finished))
        await self.bench.cycles(3)
        assert len(self.finished) == 1 and not int(dut.busy.value)

    def status(self) -> tuple[int, int]:
        """Status and address of the last job."""
        return int(self.dut.fault_status.value), int(self.dut.fault_address.value)
