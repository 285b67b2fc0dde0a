"""The emitted Verilog passes Verilator, Yosys, slang and Icarus; each of them sees what it is there to see."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from celosia.arch.config import AcceleratorConfig, load_config
from celosia.hdl.verilog import accelerator_verilog
from tests.harness.linters import LINTERS, IcarusMissing, icarus
from tests.harness.runner import TOP
from tests.system.support import WIDEST

CLEAN = """
module top(input clk, input [3:0] a, output reg [3:0] o);
  always @(posedge clk) o <= a;
endmodule
"""

BROKEN = {
    "verilator": ("WIDTHTRUNC", CLEAN.replace("o <= a", "o <= {a, a}")),
    "yosys-module": ("missing", CLEAN.replace("endmodule", "  missing missing_0(.a(a));\nendmodule")),
    "yosys-drivers": (
        "problems",
        CLEAN.replace("endmodule", "  wire x;\n  assign x = a[0];\n  assign x = a[1];\nendmodule"),
    ),
    "yosys-latch": ("dlatch", CLEAN.replace("@(posedge clk) o <= a", "@* if (clk) o = a")),
    "slang": ("error UndeclaredIdentifier", CLEAN.replace("o <= a", "o <= b")),
    "slang-warning": ("warning", CLEAN.replace("endmodule", "  wire [3:0] y = a[5:2];\nendmodule")),
    "icarus": ("b", CLEAN.replace("o <= a", "o <= b")),
}
"""Linter, then what is broken: what it must say, and the Verilog."""


UNNAMED = re.compile(r"\$signal\S*|\bU\$\d+")
"""What Amaranth calls a signal and a submodule without a name."""


@pytest.mark.parametrize("config", [load_config(), load_config("ecp5"), WIDEST], ids=lambda c: c.name)
@pytest.mark.filterwarnings("default::tests.harness.linters.IcarusMissing")
def test_accelerator_passes_all_linters(config: AcceleratorConfig, tmp_path: Path) -> None:
    """One test for all linters: writing the Verilog costs more than checking it."""
    source = tmp_path / f"{config.name}.v"
    verilog = accelerator_verilog(config, name=TOP)
    source.write_text(verilog)
    assert f"module {TOP}(" in verilog
    assert UNNAMED.findall(verilog) == []
    # Yosys takes minutes for a bus of 1024 bits, and nothing of what it looks for depends on widths.
    chosen = {name: check for name, check in LINTERS.items() if config is not WIDEST or name != "yosys"}
    complaints = {name: check(source)[:20] for name, check in chosen.items()}
    assert complaints == {name: [] for name in chosen}


@pytest.mark.filterwarnings("default::tests.harness.linters.IcarusMissing")
@pytest.mark.parametrize("linter", LINTERS)
def test_linter_accepts_clean_verilog(linter: str, tmp_path: Path) -> None:
    source = tmp_path / "clean.v"
    source.write_text(CLEAN)
    assert LINTERS[linter](source) == []


@pytest.mark.filterwarnings("default::tests.harness.linters.IcarusMissing")
@pytest.mark.parametrize("case", BROKEN)
def test_linter_refuses_broken_verilog(case: str, tmp_path: Path) -> None:
    if case == "icarus" and shutil.which("iverilog") is None:
        pytest.skip("there is no Icarus here: apt install iverilog")
    expected, text = BROKEN[case]
    source = tmp_path / "broken.v"
    source.write_text(text)
    complaints = LINTERS[case.split("-")[0]](source)
    assert expected in "\n".join(complaints)


def test_missing_icarus_is_said(tmp_path: Path) -> None:
    source = tmp_path / "clean.v"
    source.write_text(CLEAN)
    with pytest.warns(IcarusMissing, match=r"clean\.v was not checked with Icarus: install it"):
        assert icarus(source, "no-such-iverilog") == []
