"""LambdaConcept ECPIX-5 with an LFE5UM5G-85F: all memory in its DDR3, filled from its flash."""

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Instance, Module, Signal
from amaranth.lib.cdc import AsyncFFSynchronizer
from amaranth_boards.ecpix5 import ECPIX585Platform

from ..arch.config import AcceleratorConfig
from .gateware.ddr3 import PHY, Ddr3
from .gateware.ddr3_chip import PHASES
from .gateware.ddr3_controller import PHY_NAME, controller_verilog, phy_verilog
from .gateware.flashed_memory import FlashedMemory
from .gateware.litedram_module import NAME
from .gateware.pll import Pll
from .gateware.system import ConsoleSystem
from .pins import connect_console, connect_flash

CLOCK_MHZ = 100.0
"""Of the oscillator on the board."""
SLOW_RATIO = 4
"""Periods of the DDR3's clock in one of that which its PHY is started with."""

CHIP_PINS = {
    "clk_p": "clk",
    "cke": "clk_en",
    "odt": "odt",
    "ras_n": "ras",
    "cas_n": "cas",
    "we_n": "we",
    "a": "a",
    "ba": "ba",
    "dm": "dm",
    "dq": "dq",
    "dqs_p": "dqs",
}
"""The PHY's pads (`ddr3_controller.PADS`), by the names that they have on the board."""


class Ecpix5Top(Elaboratable):
    """A console on the board's USB serial port.

    LEDs: 0 green, it awaits a prompt; 1 blue, it works on an answer; 2 red, the last answer ended with an error; 3 red,
    the flash has no model, or a damaged one, or the DDR3 could not be read.

    Parameters
    ----------
    config : AcceleratorConfig
    flash_offset : int
        Where the model's file begins in the flash.
    """

    def __init__(self, config: AcceleratorConfig, *, flash_offset: int) -> None:
        mhz, bus = config.control.clock_mhz, config.bus
        self.sdram = Ddr3(clock_hz=mhz * 1e6, address_bits=bus.address_bits)
        self.memory = FlashedMemory(self.sdram, bus=bus, flash_offset=flash_offset)
        self.system = ConsoleSystem(config, memory=self.memory, boot_list=0)
        self.pll = Pll(input_mhz=CLOCK_MHZ, output_mhz=PHASES * mhz, slow_ratio=SLOW_RATIO)

    def elaborate(self, platform: ECPIX585Platform) -> Module:
        m = Module()
        # No reset: registers begin as the bitstream says, and a wire to half of them would limit the clock.
        m.domains.sync = ClockDomain(reset_less=True)
        m.submodules.pll, m.submodules.system = self.pll, self.system
        system, memory = self.system, self.memory
        m.d.comb += memory.hold.eq(system.hold)
        self._phy(m, platform)
        connect_flash(m, platform.request("spi_flash_1x", dir="-"), memory.flash)
        uart = platform.request("uart", dir="-")
        clock = (platform.request("clk100", dir="-"), self.pll.i)
        states = (
            ("g", memory.ready & ~system.busy),
            ("b", system.busy),
            ("r", system.failed),
            ("r", memory.failed),
        )
        lights = [
            (getattr(platform.request("rgb_led", number, dir="-"), colour), state)
            for number, (colour, state) in enumerate(states)
        ]
        connect_console(m, uart, system, clock=clock, lights=lights, ones={})
        return m

    def _phy(self, m: Module, platform: ECPIX585Platform) -> None:
        """The PHY, and our clock, which is half of the DDR3's: the PHY stops both once, to align what divides them.

        Everything is held while it does so; what is not held does not move before.
        """
        pll, pads, chip = self.pll, self.memory.pads, platform.request("ddr3", dir="-")
        platform.add_file(f"{NAME}.v", controller_verilog(self.sdram.clock_hz))
        platform.add_file(f"{PHY_NAME}.v", phy_verilog(self.sdram.clock_hz))
        fast, stop, restart = Signal(), Signal(), Signal()
        m.submodules.edge_clock = Instance("ECLKSYNCB", i_ECLKI=pll.o, i_STOP=stop, o_ECLKO=fast)
        m.submodules.divider = Instance(
            "CLKDIVF", p_DIV="2.0", i_CLKI=fast, i_RST=restart, i_ALIGNWD=0, o_CDIVX=ClockSignal()
        )
        m.submodules.hold = AsyncFFSynchronizer(~pll.locked | restart, self.system.hold)
        pins = {name: getattr(chip, theirs) for name, theirs in CHIP_PINS.items()}
        m.submodules.phy = Instance(
            PHY_NAME,
            i_sys_clk=ClockSignal(),
            i_sys_rst=self.system.hold,
            i_sys2x_clk=fast,
            i_init_clk=pll.slow,
            i_init_rst=~pll.locked,
            o_stop=stop,
            o_restart=restart,
            **{
                f"{'i' if member.flow.name == 'Out' else 'o'}_{name}": getattr(pads, name)
                for name, member in PHY.items()
            },
            **{f"io_pad_{name}": getattr(pin, "p", None) or pin.io for name, pin in pins.items()},
        )
