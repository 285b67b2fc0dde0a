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


def _cell(kind: str, **ports: int) -> dict[str, Any]:
    """A cell whose ports O, Q and Z are outputs, each with a bit."""
    directions = {port: "output" if port in "OQZ" else "input" for port in ports}
    return {"type": kind, "connections": {port: [bit] for port, bit in ports.items()}, "port_directions": directions}


DEEP = {
    "netnames": {
        "unit.sum": {"hide_name": 0, "bits": [6, 7]},
        "unit.carry_LUT4_Z": {"hide_name": 0, "bits": [9]},
        "$abc$1$n2": {"hide_name": 1, "bits": [8]},
        "\\$3": {"hide_name": 0, "bits": [10]},
        "parity_of__o": {"hide_name": 0, "bits": [5]},
        "$PACKER_VCC": {"hide_name": 1, "bits": [11]},
        "$1$product": {"hide_name": 1, "bits": [12]},
        "to_multiplier": {"hide_name": 0, "bits": [13]},
        "to_chain": {"hide_name": 0, "bits": [14]},
    },
    "cells": {
        "register": _cell("TRELLIS_FF", DI=8, Q=7),
        "logic": _cell("LUT4", A=7, Z=8),
        "vcc": _cell("VCC", O=11),
        "$1": _cell("MULT18X18D", A0=6, O=12),
        "unit.product": _cell("MULT18X18D", A0=13, O=15),
        "$auto$maccmap.cc:240$9.carry4": _cell("CARRY4", S=14, O=16),
        "first": _cell("LUT4", A=5, Z=6),
        "last": _cell("TRELLIS_FF", DI=10, Q=17),
    },
}


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        # To the register behind the last net; the net itself is nobody's.
        ("\\unit.sum [1]", "$abc$1$n2", ("sum[1]", "sum[1]")),
        ("\\unit.sum [1]", "\\$3", ("sum[1]", "last DI")),
        ("\\unit.sum [1]", "\\to_multiplier", ("sum[1]", "product A0")),
        ("\\unit.sum [1]", "\\to_chain", ("sum[1]", "CARRY4 S")),
        # A carry that nothing takes.
        ("\\unit.sum [1]", "\\unit.carry_LUT4_Z", ("sum[1]", "carry")),
        ("$1$product", "$abc$1$n2", ("MULT18X18D O", "sum[1]")),
        ("1'0", "$abc$1$n2", ("a constant", "sum[1]")),
        ("$PACKER_VCC", "$abc$1$n2", ("a constant", "sum[1]")),
        ("\\$3", "$abc$1$n2", ("$3", "sum[1]")),
        ("\\parity_of__o", "$abc$1$n2", None),
    ],
)
def test_deepest_path_by_our_names(first: str, last: str, expected: tuple[str, str] | None) -> None:
    """The longer of two that are in the log."""
    path = f"    0: {first}\n    1: \\unit.sum [0] (via first)\n    2: {last} (via logic)\n"
    other = "Longest topological path in top (length=0):\n    0: \\unit.other [0]\n\n"
    log = f"{other}Longest topological path in top (length=2):\n{path}\n4. Executing JSON backend.\n"
    assert read_depth(log, Netlist(DEEP)) == (expected and DeepestPath(*expected))


def test_no_path() -> None:
    assert read_depth("nothing", Netlist(DEEP)) is None


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
