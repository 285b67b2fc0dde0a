"""Netlists in the place of their designs, in the same benches: some of them, in seconds each.

Any other bench of a design of ours does it with ``pytest --netlist ecp5`` or ``--netlist generic``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from celosia.arch.config import load_config
from celosia.boards.errors import SynthesisError
from celosia.boards.units import find_unit
from celosia.hdl.verilog import component_verilog
from tests.harness import runner
from tests.harness.example import PairAdder
from tests.harness.netlist import FAMILIES, netlist, prove_equal
from tests.harness.runner import NETLIST_VARIABLE, TOP, BenchFailed, run_bench
from tests.hdl.control import test_memories as memories
from tests.hdl.matrix import test_dot as dot
from tests.hdl.matrix import test_top_k as top_k
from tests.hdl.rows import test_rows as rows
from tests.hdl.vector import test_gate as gate
from tests.hdl.vector import test_quantizer as quantizer

ADDER = "tests.harness.bench_example"
REGISTERS = ('REG_INPUTA_CLK("CLK0")', 'REG_OUTPUT_CLK("CLK0")')
"""Of a multiplier, in use: `boards/ecp5_dsp.py`."""

BENCHES: dict[str, tuple[str, Callable[[], None], tuple[str, ...]]] = {
    # Its block RAMs are tables.
    "gate": ("ecp5", partial(gate.test_gate, 80.0), ("MULT18X18D ", "DP16KD ", "CCU2C ")),
    "dot": ("ecp5", partial(dot.test_dot, "r1c1b9"), REGISTERS),
    "quantizer": ("ecp5", partial(quantizer.test_quantizer, 2, 9, 0.3), ("TRELLIS_DPR16X4 ", "LUT4 ")),
    # Its ports have indices in their names.
    "row reader": ("ecp5", partial(rows.test_row_reader, "cut", 0.4), ("CCU2C ",)),
    "token memory": ("ecp5", memories.test_token_memory, ("DP16KD ",)),
    "top-k": ("generic", partial(top_k.test_top_k, 3, 2, 0.0, 7.5), ()),
}
"""Family, bench, and what the netlist has, so that their models count."""


class Whole(wiring.Component):
    """A unit as the top of a design."""

    def __init__(self, unit: wiring.Component) -> None:
        self.unit = unit
        super().__init__(unit.signature)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unit = self.unit
        wiring.connect(m, wiring.flipped(self), self.unit)
        return m


@pytest.mark.parametrize("bench", BENCHES)
def test_bench_on_a_netlist(bench: str, monkeypatch: pytest.MonkeyPatch) -> None:
    family, run, cells = BENCHES[bench]
    seen: list[str] = []

    def watched(*arguments: Any) -> str:
        seen.append(netlist(*arguments))
        return seen[-1]

    monkeypatch.setattr(runner, "netlist", watched)
    monkeypatch.setenv(NETLIST_VARIABLE, family)
    run()
    assert [cell for cell in cells if cell not in seen[0]] == []


@pytest.mark.parametrize(
    ("family", "gate", "other"), [("ecp5", r"INIT0\(16'h96aa\)", "INIT0(16'h69aa)"), ("generic", r" \^ ", " & ")]
)
def test_a_wrong_gate_is_found(family: str, gate: str, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The netlist is what is simulated: one gate of the adder changed."""

    def broken(*arguments: Any) -> str:
        text, changes = re.subn(gate, other, netlist(*arguments), count=1)
        assert changes == 1
        return text

    run_bench(PairAdder(), ADDER, name="adder", parameters={"stall": 0.0}, family=family)
    monkeypatch.setattr(runner, "netlist", broken)
    with pytest.raises(BenchFailed, match="adds_pairs"):
        run_bench(PairAdder(), ADDER, name="adder", parameters={"stall": 0.0}, family=family)


def test_models_of_chips_are_not_synthesized(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a memory of megabytes would keep Yosys for hours."""
    monkeypatch.setenv(NETLIST_VARIABLE, "ecp5")
    monkeypatch.setattr(runner, "netlist", lambda *arguments: pytest.fail("a netlist was made"))
    run_bench(PairAdder(), ADDER, name="adder", parameters={"stall": 0.0}, ours=False)


COUNTERS = """module top(input clk, output odd);
  reg [3:0] seen = 0, hidden = 0;
  always @(posedge clk) {seen, hidden} <= {seen + hidden[3:1], hidden + 4'd3};
  assign odd = seen[3];
endmodule
"""


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_bench_looks_at_stays_whole(family: str) -> None:
    """Of other signals each bit is a wire, since Verilator takes bits of a vector that depend on each other badly."""
    text = netlist(COUNTERS, TOP, family, ["seen"])
    assert re.search(r"^  (reg|wire) \[3:0\] seen\b", text, re.MULTILINE)
    assert not re.search(r"\[3:0\] hidden\b", text)
    assert "\\hidden[3] " in text


def test_another_family_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^netlist 'asic': there are generic, ecp5$"):
        netlist("", TOP, "asic")


@pytest.mark.parametrize(
    "unit",
    ["float_add", "float_to_fixed", "saturation", "job_start", "block_table", "registers", "counters"],
)
def test_netlist_equals_the_design(unit: str) -> None:
    source = component_verilog(Whole(find_unit(unit).create(load_config("ecp5"))), name=TOP)
    prove_equal(source, netlist(source, TOP, "generic"), TOP)


def test_an_unequal_netlist_is_found() -> None:
    source = component_verilog(Whole(find_unit("float_to_fixed").create(load_config("ecp5"))), name=TOP)
    gates = netlist(source, TOP, "generic").replace(" ^ ", " & ", 1)
    with pytest.raises(SynthesisError, match="unproven"):
        prove_equal(source, gates, TOP)
