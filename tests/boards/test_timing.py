"""What is read from netlists and reports of nextpnr: cells by what they occupy, clocks and paths by our names."""

from __future__ import annotations

from typing import Any

import pytest

from celosia.boards.families import ECP5, GATEMATE, XILINX
from celosia.boards.netlist import Count, Netlist, area
from celosia.boards.nexus import prepare_nexus
from celosia.boards.timing import CriticalPath, DeepestPath, read_depth, read_timing


def test_cells_are_counted_by_what_they_occupy() -> None:
    ecp5 = {"LUT4": 10, "CCU2C": 3, "TRELLIS_DPR16X4": 2, "TRELLIS_FF": 7, "MULT18X18D": 4, "DP16KD": 5, "PFUMX": 9}
    assert area(ecp5, ECP5) == Count(lut=28, ff=7, dsp=4, block_ram=5, carry_lut=6, ram_lut=12)
    xcup = {"LUT6": 2, "LUT2": 3, "INV": 1, "FDRE": 5, "DSP48E2": 1, "RAMB18E2": 3, "SRL16E": 4, "CARRY8": 2}
    assert area(xcup, XILINX) == Count(lut=10, ff=5, dsp=1, block_ram=1.5, carry_lut=0, ram_lut=4)


def test_multipliers_of_gatemate_are_counted_in_cpes() -> None:
    """14 x 10 and 19 x 14 bits take 48 and 88 CPEs of two LUTs each: what nextpnr made of these two."""
    sizes = [("01110", "01010"), ("10011", "01110")]
    cells = {
        str(index): {"type": "CC_MULT", "connections": {}, "parameters": {"A_WIDTH": a, "B_WIDTH": b}}
        for index, (a, b) in enumerate(sizes)
    }
    count = area(Netlist({"cells": cells, "netnames": {}}).count(), GATEMATE)
    assert (count.lut, count.dsp) == (2 * (48 + 88), 0)


def test_paths_from_pins_do_not_count() -> None:
    def path(origin: str, delay: float) -> dict[str, object]:
        ends = {"from": {"cell": "x", "port": "Q"}, "to": {"cell": "y", "port": "D"}}
        return {"from": origin, "to": "posedge clk", "path": [{"type": "logic", "delay": delay, **ends}]}

    report = {
        "fmax": {"clk": {"achieved": 123.45, "constraint": 100}},
        "critical_paths": [path("<async>", 90.0), path("posedge clk", 8.1)],
    }
    clocks, slowest = read_timing(report, Netlist({"cells": {}, "netnames": {}}))
    assert clocks == {"clk": pytest.approx(123.45, abs=0.06)}
    assert slowest == CriticalPath(start="x Q", end="y D", delay_ns=8.1, routing_ns=0, levels=1, through=[])
    assert read_timing({"fmax": {}, "critical_paths": []}, Netlist({"cells": {}, "netnames": {}})) == ({}, None)


def test_path_is_of_the_clock_that_limits() -> None:
    """Not of a slow clock that has the time, nor between two."""

    def path(begin: str, end: str, delay: float) -> dict[str, object]:
        ends = {"from": {"cell": begin, "port": "Q"}, "to": {"cell": end, "port": "D"}}
        segment = {"type": "logic", "delay": delay, **ends}
        return {"from": f"posedge {begin}", "to": f"posedge {end}", "path": [segment]}

    report = {
        "fmax": {"slow": {"achieved": 33.3, "constraint": 22.5}, "fast": {"achieved": 95.2, "constraint": 90}},
        "critical_paths": [path("slow", "slow", 30.0), path("fast", "fast", 10.5), path("slow", "fast", 40.0)],
    }
    clocks, slowest = read_timing(report, Netlist({"cells": {}, "netnames": {}}))
    assert clocks == {"slow": 33.3, "fast": 95.2}
    assert slowest is not None and (slowest.start, slowest.delay_ns) == ("fast Q", 10.5)


def _depth(*nets: str, cells: dict[str, Any]) -> DeepestPath | None:
    """What is read of a log with two paths, the longer through these nets; bit 7 is `unit.sum[1]`, 8 Yosys's own."""
    lines = [f"{index:5}: {net}{' (via x)' * (index > 0)}\n" for index, net in enumerate(nets)]
    short = "Longest topological path in top (length=0):\n    0: \\unit.other [0]\n\n"
    log = f"{short}Longest topological path in top (length={len(nets) - 1}):\n{''.join(lines)}\n4. Executing JSON.\n"
    names = {"unit.sum": (0, [6, 7]), "unit.next_LUT4_Z": (0, [9]), "$abc$1$n2": (1, [8]), "parity_of__o": (0, [5])}
    nets_of = {name: {"hide_name": hidden, "bits": bits} for name, (hidden, bits) in names.items()}
    return read_depth(log, Netlist({"cells": cells, "netnames": nets_of}))


def _taking(kind: str, bit: int, names: tuple[str, str]) -> dict[str, Any]:
    """A cell `names[0]` whose port `names[1]` takes a bit, and the one that drives it."""
    output = "Q" if kind == "TRELLIS_FF" else "O"
    directions = {names[1]: "input", output: "output"}
    driver = {"type": "LUT4", "connections": {"Z": [bit]}, "port_directions": {"Z": "output"}}
    cell = {"type": kind, "connections": {names[1]: [bit], output: [7]}, "port_directions": directions}
    return {"driver": driver, names[0]: cell}


@pytest.mark.parametrize(
    ("nets", "cells", "expected"),
    [
        # From the first that we named to the register behind the last one.
        (("$abc$1$n2", "\\unit.sum [1]", "$abc$1$n2"), _taking("TRELLIS_FF", 8, ("r", "DI")), ("sum[1]", "sum[1]")),
        (("1'0", "\\unit.next_LUT4_Z"), _taking("MULT18X18D", 9, ("unit.product", "A0")), ("next", "product A0")),
        (
            ("\\unit.sum [1]", "$abc$1$n2"),
            _taking("CARRY4", 8, ("$auto$maccmap.cc:240$9.carry4", "S")),
            ("sum[1]", "CARRY4 S"),
        ),
        # A carry that nothing takes.
        (("\\unit.sum [1]", "\\unit.next_LUT4_Z"), _taking("TRELLIS_FF", 8, ("r", "DI")), ("sum[1]", "next")),
    ],
)
def test_deepest_path_by_our_names(nets: tuple[str, ...], cells: dict[str, Any], expected: tuple[str, str]) -> None:
    assert _depth(*nets, cells=cells) == DeepestPath(*expected)


def test_deepest_path_is_not_of_the_harness() -> None:
    assert _depth("\\parity_of__o", "$abc$1$n2", cells=_taking("TRELLIS_FF", 8, ("r", "DI"))) is None
    assert read_depth("no path at all", Netlist({"cells": {}, "netnames": {}})) is None


def test_registers_are_called_as_we_call_them() -> None:
    names = ["unit.port[3]", "unit.sum_LUT4_Z_D[1]", "unit.deep.sum[3]"]
    nets = {name.split("[")[0]: {"hide_name": 0, "bits": [0, 0, 0, 7]} for name in names}
    cell = {"type": "TRELLIS_FF", "connections": {"Q": [7], "DI": [9]}}
    nets["unit.hold_LUT4_C_D"] = {"hide_name": 0, "bits": [5, 6]}
    nameless = {"type": "TRELLIS_FF", "connections": {"Q": [5], "DI": [9]}}
    cells = {"unit.deep.sum_TRELLIS_FF_Q": cell, "unit.hold_LUT4_C_D_TRELLIS_FF_Q": nameless}
    netlist = Netlist({"cells": cells, "netnames": nets})
    assert netlist.register("unit.deep.sum_TRELLIS_FF_Q") == "unit.deep.sum[3]"
    assert netlist.register("unit.hold_LUT4_C_D_TRELLIS_FF_Q") == "unit.hold"
    assert netlist.register("no cell") is None


def test_ends_at_multipliers_are_called_as_their_signals() -> None:
    """A cell that Yosys named; a block RAM, which has the name of a memory, keeps that and the port."""
    nets = {
        "unit.product": {"hide_name": 0, "bits": [5, 7]},
        "unit.q_3_TRELLIS_FF_Q_2_DI": {"hide_name": 0, "bits": [8]},
        "unit.data": {"hide_name": 0, "bits": [9]},
    }
    multiplier = {"type": "MULT18X18D", "connections": {"P1": [7], "A0": [8], "A1": ["0"]}}
    memory = {"type": "DP16KD", "connections": {"DOA1": [9]}}
    netlist = Netlist({"cells": {"unit.$83_MULT18X18D_P9": multiplier, "unit.ring.0": memory}, "netnames": nets})
    assert netlist.unnamed_port("unit.$83_MULT18X18D_P9", "P1") == "unit.product[1]"
    assert netlist.unnamed_port("unit.$83_MULT18X18D_P9", "A0") == "unit.q_3"
    assert netlist.unnamed_port("unit.$83_MULT18X18D_P9", "A1") is None
    assert netlist.unnamed_port("unit.ring.0", "DOA1") is None
    assert netlist.unnamed_port("no cell", "P1") is None


def test_registers_in_logic_cells_of_ice40_are_found() -> None:
    """nextpnr-ice40 packs a flip-flop with the LUT before it and renames the pair after the LUT."""
    nets = {"unit.sum": {"hide_name": 0, "bits": [7]}, "unit.sum_SB_LUT4_O_I3": {"hide_name": 0, "bits": [9]}}
    lut = {"type": "SB_LUT4", "connections": {"O": [9], "I0": [3]}}
    netlist = Netlist(
        {
            "cells": {"unit.sum_SB_LUT4_O": lut, "x": {"type": "SB_DFF", "connections": {"Q": [7], "D": [9]}}},
            "netnames": nets,
        }
    )
    assert netlist.packed_register("unit.sum_SB_LUT4_O_LC") == "unit.sum"
    assert netlist.packed_register("x_DFFLC") == "unit.sum"


@pytest.mark.parametrize(
    "name",
    ["clk$SB_IO_IN_$glb_clk", "unit.clk", "unit.clk$glb_clk", "unit.beats.clk$glb_clk", "$glbnet$clk", "clk"],
)
def test_clocks_have_our_names(name: str) -> None:
    """As nextpnr calls them on ice40, gowin and gatemate, nexus, ecp5."""
    ends = {"from": {"cell": "x", "port": "Q"}, "to": {"cell": "y", "port": "D"}}
    path = {"from": f"posedge {name}", "to": f"posedge {name}", "path": [{"type": "logic", "delay": 2.0, **ends}]}
    report = {"fmax": {name: {"achieved": 500.0, "constraint": 100}}, "critical_paths": [path]}
    assert read_timing(report, Netlist({"cells": {}, "netnames": {}}))[0] == {"clk": 500.0}


def test_nexus_netlists_are_prepared() -> None:
    """Carry chains begin without a carry, and the clock comes from the oscillator, as nextpnr-nexus needs it."""
    chain = {"A1": [1], "CIN": [9], "COUT": [2]}
    cells = {
        "first": {"type": "CCU2", "parameters": {"INIT1": "0x00AA"}, "connections": dict(chain)},
        "second": {"type": "CCU2", "parameters": {"INIT1": "0x96AA"}, "connections": dict(chain)},
        "pad": {"type": "IB", "parameters": {}, "connections": {"I": [5], "O": [6]}},
        "one": {"type": "VHI", "parameters": {}, "connections": {"Z": [7]}},
    }
    module = {"cells": cells, "ports": {"clk": {"bits": [5]}, "rst": {"bits": [8]}}}
    prepare_nexus(module)
    assert "CIN" not in cells["first"]["connections"] and cells["second"]["connections"]["CIN"] == [9]
    assert "pad" not in cells and list(module["ports"]) == ["rst"]
    oscillator = next(cell for cell in cells.values() if cell["type"] == "OSCA")
    assert oscillator["connections"] == {"HFOUTEN": [7], "HFCLKOUT": [6]}
