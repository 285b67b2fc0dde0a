"""How deep the arithmetic is pipelined: registers between its steps, from the clock that a family of FPGAs is to reach.

A unit is a row of stages, each ended by a register in every accelerator. A stage is a row of steps. Where all of a
stage's steps take longer than a cycle of the goal, registers stand before some of them: as few as will do, since each
step begins in the cycle of the one before while there is time. Results are the same with any registers.
"""

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Family:
    """Delays of a family of FPGAs, ns; docs/synthesis.md says how they were measured.

    Attributes:
        register: clock to output, setup, and the wire to the first level.
        level: a LUT and the wire to the next one.
        block_ram: from the clock to a register behind a LUT behind a block RAM.
    """

    register: float
    level: float
    block_ram: float

    def levels(self, clock_mhz: float) -> float:
        """Levels that a cycle holds."""
        return (1000 / clock_mhz - self.register) / self.level

    @property
    def fastest_mhz(self) -> float:
        """The clock at which the longest step takes a cycle, rounded down to a MHz."""
        longest = max(levels for unit in UNITS for stage in unit for levels in stage.values())
        return float(1000 // (self.register + longest * self.level))


FAMILIES = {"ecp5": Family(register=1.0, level=1.2, block_ram=8.6)}
"""Those whose delays are known, by the name that the config has for them."""

ANY = "any"
"""In the config: no family, no goal."""

Unit = tuple[dict[str, float], ...]
"""Stages of steps, each with its levels of logic; a carry chain counts as the LUTs that take as long."""

FLOAT_ADD: Unit = (
    {"compare": 3, "swap": 3},
    {"align_16": 3, "align_2": 3},
    {"add": 3.5, "normalise_16": 3},
    {"normalise_8": 3, "normalise_4": 2, "normalise_2": 3},
    {"round": 3.5, "flush": 3.5},
)
FIXED_TO_FLOAT: Unit = (
    {"magnitude": 3.7, "normalise_32": 4, "normalise_16": 1.8},
    {"normalise_8": 3, "normalise_4": 2, "normalise_2": 3},
    {"exponent": 2.5, "round": 3, "saturate": 3},
)
DOT: Unit = (
    {"operands": 2},
    {"multiply": 2},
    {"add_32": 3, "add_16": 3},
    {"add_8": 3, "add_4": 3},
    {"add_2": 3},
)
ACCUMULATE: Unit = (
    {"read": 3},
    {"around": 2},
    {"scale": 3, "select": 3},
)


def _two_steps(first: str, second: str) -> Unit:
    """What is found out, and what depends on it: in one cycle at a slow clock, in two at a faster one."""
    return ({first: 3, second: 4.7},)


ISSUE = _two_steps("choose", "compare")
FACTOR = _two_steps("distance", "shift")
INSERT = _two_steps("keys", "ids")
FINISH = _two_steps("choose", "finish")
BEGIN = _two_steps("read", "begin")
SETTLE = _two_steps("compare", "decide")
ASK = _two_steps("single", "ask")
UNITS = (FLOAT_ADD, FIXED_TO_FLOAT, DOT, ACCUMULATE, ISSUE, FACTOR, INSERT, FINISH, BEGIN, SETTLE, ASK)


@dataclass(frozen=True)
class Registers:
    """Where registers stand in a unit.

    Attributes:
        cycles: of each stage: one more than registers inside.
        before: the steps that a register inside a stage stands before.
    """

    cycles: tuple[int, ...]
    before: frozenset[str] = frozenset()

    @property
    def latency(self) -> int:
        """Cycles from operands to result."""
        return sum(self.cycles)

    def steps(self, name: str) -> list[int]:
        """Numbers n of the steps called `name`_n that a register stands before, largest first."""
        found = (step.removeprefix(f"{name}_") for step in self.before if step.startswith(f"{name}_"))
        return sorted(map(int, found), reverse=True)


@dataclass(frozen=True)
class Pipeline:
    """Registers of the matrix unit's parts, the vector unit's datapath, and where stream and sequencer decide; all else
    has those of `SHALLOW`.

    Attributes:
        add, to_float: of `FloatAdd` and `FixedToFloat`. dot: of `DotArray`. accumulate: of `AccumulatorArray`, before
            its addition. issue: of the engine, before a micro-op issues. factor: of `ActivationFactor`, before its
            table. insert: of `TopK`, before ids follow their keys. finish: of the products' writer, before it says that
            one is written.
        begin: of the sequencer's queues, before an instruction begins. settle: of the sequencer, before it knows that
            all are done. ask: of the stream's reader, before it asks: a skid buffer, which stands before `single`
            without it.
        block_ram: whether the accumulators are in block RAM, or in LUTs.
    """

    add: Registers
    to_float: Registers
    dot: Registers
    accumulate: Registers
    issue: Registers
    factor: Registers
    insert: Registers
    finish: Registers
    begin: Registers
    settle: Registers
    ask: Registers
    block_ram: bool

    @property
    def distance(self) -> int:
        """Cycles between two micro-ops on one accumulator."""
        return self.accumulate.latency + self.add.latency


def registers(unit: Unit, levels: float) -> Registers:
    """Of one unit."""
    cycles, before = [], []
    for stage in unit:
        used, count = 0.0, 1
        for step, own in stage.items():
            if used and used + own > levels:
                before.append(step)
                used, count = 0.0, count + 1
            used += own
        cycles.append(count)
    return Registers(tuple(cycles), frozenset(before))


def _pipeline(levels: float, *, block_ram: bool) -> Pipeline:
    """The fewest registers with which no stage has more levels, or one step alone."""
    return Pipeline(
        add=registers(FLOAT_ADD, levels),
        to_float=registers(FIXED_TO_FLOAT, levels),
        dot=registers(DOT, levels),
        accumulate=registers(ACCUMULATE, levels),
        issue=registers(ISSUE, levels),
        factor=registers(FACTOR, levels),
        insert=registers(INSERT, levels),
        finish=registers(FINISH, levels),
        begin=registers(BEGIN, levels),
        settle=registers(SETTLE, levels),
        ask=registers(ASK, levels),
        block_ram=block_ram,
    )


def pipeline(family: Family, clock_mhz: float) -> Pipeline:
    """The fewest registers with which every stage keeps within a cycle."""
    return _pipeline(family.levels(clock_mhz), block_ram=clock_mhz * family.block_ram <= 1000)


SHALLOW = _pipeline(inf, block_ram=True)
"""No registers inside stages."""
