"""Netlists for the benches: what Yosys makes of a design, as Verilog that Verilator simulates in the design's place."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from celosia.boards.families import TARGETS
from celosia.boards.tools import run_yosys, version, yosys_package
from celosia.hdl.verilog import ESCAPED, plain
from celosia.sim.cache import cached_build, content_key

from .ecp5_cells import BLOCK_RAM, MULTIPLIER

FAMILIES = ("generic", "ecp5")
"""Gates and flip-flops of no family in particular, memories beside them; the cells that an ECP5 consists of."""


def netlist(source: str, top: str, family: str, whole: Sequence[str] = ()) -> str:
    """The flat netlist of a design in Verilog, with the same top module, from the cache if it is there.

    Parameters
    ----------
    family : one of `FAMILIES`.
    whole : signals of the top module that a bench looks at; of others each bit is a wire of its own.

    Raises
    ------
    ValueError
        Another family.
    SynthesisError
        Yosys is missing or refuses the design.
    """
    if family not in FAMILIES:
        raise ValueError(f"netlist {family!r}: there are {', '.join(FAMILIES)}")
    synthesis = {
        # Without a family's cells all that is left is operators, which are no netlist: gates and flip-flops are. As
        # in a chip, memories are macros beside them.
        "generic": [
            f"synth -flatten -top {top} -run :fine",
            *("opt -fast -full", "techmap", "opt -fast", "abc -g AND,XOR,MUX", "opt_clean"),
        ],
        "ecp5": [f"{TARGETS['ecp5'].synthesis} -top {top}"],
    }[family]
    script = ["read_verilog design.v", *synthesis, "clean -purge", "check -assert", "write_json netlist.json"]
    # What nextpnr gets is what is simulated.
    placement = TARGETS[family].placement if family in TARGETS else None
    prepare, preparation = (placement.prepare, placement.preparation) if placement is not None else (None, "")
    named = plain(source)
    # Verilator takes many times the memory where bits of a vector depend on each other.
    bits = " ".join(["splitnets w:*", *(f"w:{name} %d" for name in whole)])
    again = ["read_json netlist.json", bits, "clean -purge", "check -assert", "write_verilog -noattr netlist.v"]
    key = content_key(named, "\n".join([*script, *again]), version(yosys_package()), preparation)

    def build(folder: Path) -> None:
        (folder / "design.v").write_text(named)
        run_yosys(script, folder, lambda line: None)
        file = folder / "netlist.json"
        if prepare is not None:
            design = json.loads(file.read_text())
            prepare(design["modules"][top])
            file.write_text(json.dumps(design))
        run_yosys(again, folder, lambda line: None)
        file.unlink()

    text = (cached_build("netlist", key, build) / "netlist.v").read_text()
    # Ports are called as before: the bench knows them by their names, such as `\data[0] `.
    for port in set(ESCAPED.findall(_module_head(source, top))):
        text = text.replace(plain(port), port)
    return text


def _module_head(source: str, top: str) -> str:
    """A module's name and ports."""
    start = source.index(f"module {top}(")
    return source[start : source.index(";", start)]


def cell_models(family: str) -> tuple[str, list[str]]:
    """Verilog of the family's cells, and where Verilator finds what that includes.

    Yosys brings models of LUTs, flip-flops, carry chains and distributed RAM, but none of block RAM and multipliers;
    those are ours.
    """
    if family != "ecp5":
        return "", []
    package = importlib.util.find_spec(yosys_package().replace("-", "_"))
    assert package is not None and package.submodule_search_locations is not None
    share = Path(next(iter(package.submodule_search_locations))) / "share" / "lattice"
    included = "".join(f'`include "{name}"\n' for name in ("common_sim.vh", "ccu2c_sim.vh"))
    return included + MULTIPLIER + BLOCK_RAM, [f"+incdir+{share}"]


def prove_equal(source: str, gates: str, top: str) -> None:
    """Prove that a generic netlist does what its source does in every cycle: induction over registers of equal names.

    Raises
    ------
    SynthesisError
        It does not, or five cycles of induction are too few to see it.
    """
    # Bits that synthesis found to be of no use have no driver there; as wires of their own they disappear. Wires
    # that only Amaranth named are parts of expressions, which the netlist need not have.
    prepare = ["proc", "flatten", "memory_map", "opt_clean", "splitnets", "rename -hide w:*.$*"]
    script = [
        *(
            "read_verilog gold.v",
            f"hierarchy -top {top}",
            *prepare,
            "clean",
            f"rename {top} gold",
            "design -stash gold",
        ),
        *("read_verilog gate.v", f"hierarchy -top {top}", *prepare, "clean -purge", f"rename {top} gate"),
        *("design -stash gate", "design -copy-from gold -as gold gold", "design -copy-from gate -as gate gate"),
        *("equiv_make gold gate both", "hierarchy -top both", "clean -purge"),
        *("equiv_simple -seq 5", "equiv_induct -seq 5", "equiv_status -assert"),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "gold.v").write_text(source)
        (folder / "gate.v").write_text(gates)
        run_yosys(script, folder, lambda line: None)
