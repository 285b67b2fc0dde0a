"""Clocks that stand still while a unit sleeps, so that a simulator has nothing to do for it: for simulation only.

A unit's registers are in a clock domain of their own. It is awake while it has an instruction or is offered anything,
and `LINGER` cycles longer, in which its pipelines run empty; after that a clock edge would change nothing that anybody
sees. What is combinational in a sleeping unit goes on, so that it takes what it is offered in the cycle that wakes it.
"""

from typing import Any

from amaranth import Cat, ClockDomain, DomainRenamer, Elaboratable, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .decode import UNITS

SLEEPERS = ("vector", "attention", "embedding", "tail", "matrix")
"""Units with a clock of their own. The engine's rows have one each as well: in decode only one of them is used."""

LINGER = 64
"""Cycles; more than the latency of any unit."""


def row_domain(row: int) -> str:
    """The clock domain of a row of the engine."""
    return f"row_{row}"


def gate_names(rows: int) -> tuple[str, ...]:
    """The clock domains of an accelerator with gates, in the order of the bits of its ports."""
    return (*SLEEPERS, *map(row_domain, range(rows)))


def gate_ports(rows: int) -> dict[str, object]:
    """Ports of the top level: which clocks are to tick with `clk` at the end of this cycle, and these clocks."""
    count = len(gate_names(rows))
    return {"awake": Out(count), "unit_clk": In(count)}


def clocked(name: str, unit: Elaboratable, *, gated: bool) -> Elaboratable:
    """The unit, in its own domain if it has one."""
    return DomainRenamer(name)(unit) if gated and name in SLEEPERS else unit


def connect_gates(m: Module, top: wiring.Component, *, clear: Signal, sequencer: Any, matrix: Any, tail: Any) -> None:
    """Make the domains, and say which are awake: those that are wanted, and those that were a short time ago."""
    reset = ResetSignal("sync", allow_reset_less=True)
    rows = range(len(matrix.engine.row_domains))
    for index, (name, value) in enumerate(_wanted(rows, clear, sequencer, matrix, tail).items()):
        m.domains += (domain := ClockDomain(name))
        lingers = Signal(range(LINGER + 1), name=f"lingers_{name}")
        now = Signal(name=f"wanted_{name}")
        m.d.comb += [
            domain.clk.eq(top.unit_clk[index]),
            domain.rst.eq(reset),
            now.eq(value),
            top.awake[index].eq(reset | now | (lingers != 0)),
        ]
        with m.If(now):
            m.d.sync += lingers.eq(LINGER)
        with m.Elif(lingers != 0):
            m.d.sync += lingers.eq(lingers - 1)


def _wanted(rows: range, clear: Signal, sequencer: Any, matrix: Any, tail: Any) -> dict[str, Value]:
    """Domains, in the order of `gate_names`, and when there is something to do in them."""
    active = dict(zip(UNITS, sequencer.active, strict=True))
    engine = clear | active["attention"]
    readers = (tail.merger_words, tail.merger_exponents, tail.writer_words, tail.writer_exponents)
    wanted = {
        "vector": clear | active["vector"],
        "attention": engine,
        "embedding": clear | active["embedding"],
        "tail": tail.i.valid | Cat(reader.en for reader in readers).any(),
        "matrix": engine | active["matrix"],
    }
    return wanted | {row_domain(row): engine | (active["matrix"] & (matrix.rows > row)) for row in rows}
