"""LiteDRAM's controller for a chip of DDR3, and its PHY for the ECP5: two Verilog modules, made when a design is.

No processor starts the chip: `ddr3_start.py` does.
"""

from types import SimpleNamespace
from typing import ClassVar

from litedram.common import PhySettings
from litedram.modules import MT41K256M16, _SpeedgradeTimings
from litedram.phy import ECP5DDRPHY
from litex.gen import LiteXModule
from migen import Cat, ClockDomain, Instance, Signal
from migen.fhdl.specials import Tristate

from .ddr3_chip import (
    ACTIVATE_NS,
    ADDRESS_BITS,
    BANK_BITS,
    DATA_BITS,
    FOUR_ROWS_NS,
    LANES,
    LATENCY,
    PHASES,
    PRECHARGE_NS,
    REFRESH_NS,
    ROW_BITS,
    ROW_NS,
    WRITTEN_NS,
)
from .litedram_module import NAME, LiteDramModule, module_verilog

PHY_NAME = "ddr3_phy"
"""Of the module with the PHY."""

PORT_BITS = DATA_BITS * 2 * PHASES * 2
"""Of the AXI4 port: what a burst of the chip has."""

READ_BUFFER, WRITE_BUFFER = 32, 16
"""Beats of the port's buffers: more than a read takes in pairs of cycles, so that one comes in every pair."""

COMMANDS = ("address", "bank", "ras_n", "cas_n", "we_n", "wrdata", "wrdata_mask", "wrdata_en", "rddata_en")
"""Signals of DFI to the PHY, those of phase 0 in the low bits."""

PULSES = {
    "delay_reset": "_rdly_dq_rst",
    "delay_next": "_rdly_dq_inc",
    "slip_reset": "_rdly_dq_bitslip_rst",
    "slip_next": "_rdly_dq_bitslip",
    "burst_clear": "_burstdet_clr",
}
"""Ports of the PHY, and what they are there: registers for a processor, of which only the strobe counts."""

PADS = {
    "clk_p": 1,
    "cke": 1,
    "odt": 1,
    "ras_n": 1,
    "cas_n": 1,
    "we_n": 1,
    "a": ROW_BITS,
    "ba": BANK_BITS,
    "dm": LANES,
    "dq": DATA_BITS,
    "dqs_p": LANES,
}
"""Of the PHY, with their widths. The other halves of the differential ones follow from their kind."""


class Chip(MT41K256M16):
    """With the times of `ddr3_chip`."""

    speedgrade_timings: ClassVar = {
        "default": _SpeedgradeTimings(
            tRP=PRECHARGE_NS,
            tRCD=ACTIVATE_NS,
            tWR=WRITTEN_NS,
            tRFC=(None, REFRESH_NS),
            tFAW=(None, FOUR_ROWS_NS),
            tRAS=ROW_NS,
        )
    }


class _BothWays:
    """A pad that is driven at times, as a cell of the ECP5."""

    @staticmethod
    def lower(pad: Tristate) -> LiteXModule:
        module = LiteXModule()
        module.specials += Instance("BB", i_I=pad.o, i_T=~pad.oe, o_O=pad.i, io_B=pad.target)
        return module


def _make_phy(pads: SimpleNamespace, clock_hz: float) -> ECP5DDRPHY:
    return ECP5DDRPHY(pads, sys_clk_freq=clock_hz, cl=LATENCY, cwl=LATENCY)


def _pads() -> SimpleNamespace:
    pads = SimpleNamespace()
    # Not a comprehension: migen writes into names what function a signal was made in.
    for name, bits in PADS.items():
        setattr(pads, name, Signal(bits, name=f"pad_{name}"))
    return pads


class _Phy(LiteDramModule):
    """The PHY; its ports are called as in `COMMANDS`, `PULSES` and, behind `pad_`, `PADS`."""

    def __init__(self, clock_hz: float) -> None:
        super().__init__()
        self.cd_sys2x = ClockDomain("sys2x", reset_less=True)
        self.cd_init = ClockDomain("init")
        self.ports |= {self.cd_sys2x.clk, self.cd_init.clk, self.cd_init.rst}
        pads, outside = _pads(), _pads()
        both_ways = ("dq", "dqs_p")
        for name, bits in PADS.items():
            if name in both_ways:
                setattr(pads, name, getattr(outside, name))
            else:
                for bit in range(bits):
                    self.specials += Instance("OB", i_I=getattr(pads, name)[bit], o_O=getattr(outside, name)[bit])
        self.ports |= set(vars(outside).values())
        self.phy = phy = _make_phy(pads, clock_hz)
        phases = phy.dfi.phases
        for name in COMMANDS:
            self.add_port(name, Cat(*(getattr(phase, name) for phase in phases)), comes=True)
        cke = Signal()
        self.comb += [phase.cke.eq(cke) for phase in phases]
        self.add_port("cke", cke, comes=True)
        self.add_port("rddata", Cat(*(phase.rddata for phase in phases)), comes=False)
        self.add_port("rddata_valid", phases[0].rddata_valid, comes=False)
        self.add_port("select", phy._dly_sel.storage, comes=True)
        for port, register in PULSES.items():
            self.add_port(port, getattr(phy, register).re, comes=True)
        self.add_port("burst_seen", phy._burstdet_seen.status, comes=False)
        self.add_port("stop", phy.init.stop, comes=False)
        self.add_port("restart", phy.init.reset, comes=False)


class _Controller(LiteDramModule):
    """Controller and AXI4 port; its further ports are called as in `COMMANDS`."""

    def __init__(self, clock_hz: float) -> None:
        super().__init__()
        settings: PhySettings = _make_phy(_pads(), clock_hz).settings
        # Reads begin in the phase that is found when the chip is started. LiteDRAM has signals for both, or for none.
        settings.rdphase, settings.wrphase = Signal(name="phase_of_reads"), Signal(name="phase_of_writes")
        chip = Chip(clock_hz, f"1:{PHASES}")
        # LiteDRAM counts it from the read that closes a row, and reads may begin late in a cycle.
        chip.timing_settings.tRP += 1
        buffers = (READ_BUFFER, WRITE_BUFFER)
        self.add_controller(settings, chip, clock_hz, data_bits=PORT_BITS, address_bits=ADDRESS_BITS, buffers=buffers)
        phases = self.controller.dfi.phases
        for name in COMMANDS:
            self.add_port(name, Cat(*(getattr(phase, name) for phase in phases)), comes=False)
        self.add_port("rddata", Cat(*(phase.rddata for phase in phases)), comes=True)
        valid = Signal()
        self.comb += [phase.rddata_valid.eq(valid) for phase in phases]
        self.add_port("rddata_valid", valid, comes=True)
        self.add_port("read_phase", settings.rdphase, comes=True)


def controller_verilog(clock_hz: float) -> str:
    """Module `litedram`: an AXI4 slave of 128 bits, and DFI to the PHY."""
    return module_verilog(lambda: _Controller(clock_hz), NAME, {})


def phy_verilog(clock_hz: float) -> str:
    """Module `ddr3_phy`: from DFI to the pads, with the buffers at them.

    Its clocks are `sys_clk`, `sys2x_clk`, of twice its frequency, and `init_clk`, slow, which runs always. `stop` and
    `restart` are for who makes the first two.
    """
    return module_verilog(lambda: _Phy(clock_hz), PHY_NAME, {Tristate: _BothWays})
