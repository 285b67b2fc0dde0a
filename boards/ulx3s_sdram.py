"""Radiona ULX3S with its SDRAM, filled from its flash."""

from amaranth.hdl import ClockDomain, ClockSignal, Module
from amaranth.lib import io
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from ..arch.config import AcceleratorConfig
from .gateware.flashed_memory import FlashedMemory
from .gateware.litedram_module import NAME
from .gateware.pll import Pll
from .gateware.sdram import Sdram
from .gateware.sdram_controller import controller_verilog
from .gateware.system import ConsoleSystem
from .pins import connect_flash
from .ulx3s import CLOCK_MHZ, Ulx3sConsole

SDRAM_LATE_DEGREES = 90.0
"""Of the chip's clock behind ours, so that both directions have room. At 50 MHz the chip looks 5 ns after the registers
at the pads have changed and 15 ns before they change again. It answers from 6 ns after its edge until 2.5 ns after its
next one: from 11 to 27.5 ns after the edge of ours before, and later by the way out through a pad and in, some 4 ns;
the registers take it at 20 ns. The opposite edge, 180 degrees, would leave no room for that way."""


class Ulx3sSdramTop(Ulx3sConsole):
    """With all memory in SDRAM.

    LED 0: it awaits a prompt; 1: it works on an answer; 2: the last answer ended with an error; 3: the flash has no
    model, or a damaged one.

    Parameters
    ----------
    config : AcceleratorConfig
    flash_offset : int
        Where the model's file begins in the flash.
    """

    def __init__(self, config: AcceleratorConfig, *, flash_offset: int) -> None:
        mhz = config.control.clock_mhz
        ports = {name: getattr(config.bus, name) for name in ("data_bits", "address_bits", "burst_beats")}
        sdram = Sdram(clock_hz=mhz * 1e6, **ports)
        self.memory = FlashedMemory(sdram, bus=config.bus, flash_offset=flash_offset)
        system = ConsoleSystem(config, memory=self.memory, boot_list=0)
        pll = Pll(input_mhz=CLOCK_MHZ, output_mhz=mhz, late_degrees=SDRAM_LATE_DEGREES)
        lights = (self.memory.ready & ~system.busy, system.busy, system.failed, self.memory.failed)
        super().__init__(pll, system, lights)

    def elaborate(self, platform: ULX3S_85F_Platform) -> Module:
        m = super().elaborate(platform)
        platform.add_file(f"{NAME}.v", controller_verilog(self.memory.sdram.clock_hz))
        m.domains.late = ClockDomain(reset_less=True)
        m.d.comb += [ClockSignal("late").eq(self.pll.late), self.memory.hold.eq(self.system.hold)]
        self._sdram(m, platform)
        connect_flash(m, platform.request("spi_flash", dir="-"), self.memory.flash)
        return m

    def _sdram(self, m: Module, platform: ULX3S_85F_Platform) -> None:
        """A register at each pad; the clock leaves through such a one too, and so takes as long."""
        pads, chip = self.memory.pads, platform.request("sdram", dir="-")
        for name in ("clk_en", "cs", "ras", "cas", "we", "ba", "a", "dqm"):
            m.submodules[f"sdram_{name}_pin"] = pin = io.FFBuffer("o", getattr(chip, name))
            m.d.comb += pin.o.eq(getattr(pads, name))
        m.submodules.sdram_dq_pin = data = io.FFBuffer("io", chip.dq)
        m.submodules.sdram_clk_pin = clock = io.DDRBuffer("o", chip.clk, o_domain="late")
        m.d.comb += [
            data.o.eq(pads.dq_o),
            data.oe.eq(pads.dq_oe),
            pads.dq_i.eq(data.i),
            clock.o[0].eq(1),
            clock.o[1].eq(0),
        ]
