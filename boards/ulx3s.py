"""Radiona ULX3S with an LFE5U-85F: its pins and its clock."""

from collections.abc import Sequence

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Module, Value
from amaranth.lib.cdc import FFSynchronizer
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from ..arch.config import AcceleratorConfig
from .block_ram_console import block_ram_console
from .gateware.pll import Pll
from .gateware.system import ConsoleSystem
from .pins import connect_console

CLOCK_MHZ = 25.0
"""Of the oscillator on the board."""


class Ulx3sConsole(Elaboratable):
    """A console on the board's USB serial port; what kind of memory is behind it, say `Ulx3sTop` and `Ulx3sSdramTop`.

    Parameters
    ----------
    pll : Pll
    system : ConsoleSystem
    lights : sequence of Value
        From LED 0 on.
    """

    def __init__(self, pll: Pll, system: ConsoleSystem, lights: Sequence[Value]) -> None:
        self.pll, self.system, self.lights = pll, system, lights

    def elaborate(self, platform: ULX3S_85F_Platform) -> Module:
        m = Module()
        # No reset: registers begin as the bitstream says, and a wire to half of them would limit the clock.
        m.domains.sync = ClockDomain(reset_less=True)
        m.submodules.pll, m.submodules.system = self.pll, self.system
        m.submodules.hold = FFSynchronizer(~self.pll.locked, self.system.hold, init=1)
        m.d.comb += ClockSignal().eq(self.pll.o)
        system, uart, esp32 = self.system, platform.request("uart", dir="-"), platform.request("esp32", dir="-")
        clock = (platform.request("clk25", dir="-"), self.pll.i)
        lights = [(platform.request("led", number, dir="-"), light) for number, light in enumerate(self.lights)]
        # A low GPIO0 makes the ESP32 wait for a program when it starts, and it starts with the board.
        connect_console(m, uart, system, clock=clock, lights=lights, ones={"gpio0": esp32.gpio0})
        return m


class Ulx3sTop(Ulx3sConsole):
    """With all memory in block RAM.

    LED 0: it awaits a prompt; 1: it works on an answer; 2: the last answer ended with an error.

    Parameters
    ----------
    config : AcceleratorConfig
    contents : sequence of int
        Of the block RAM behind the accelerator's bus.
    """

    def __init__(self, config: AcceleratorConfig, *, contents: Sequence[int]) -> None:
        system = block_ram_console(config, contents)
        pll = Pll(input_mhz=CLOCK_MHZ, output_mhz=config.control.clock_mhz)
        super().__init__(pll, system, (~system.busy, system.busy, system.failed))
