"""Sipeed Tang Mega 138K Pro with a GW5AST-138C: its pins and its clock."""

from collections.abc import Sequence
from typing import ClassVar

from amaranth.build import Attrs
from amaranth.hdl import ClockDomain, ClockSignal, Const, Elaboratable, Module
from amaranth.lib.cdc import FFSynchronizer
from amaranth_boards.resources import UARTResource
from amaranth_boards.tang_mega_138k_pro_dock import TangMega138kProDockPlatform

from ..arch.config import AcceleratorConfig
from .block_ram_console import block_ram_console
from .pins import connect_console


class TangMegaPlatform(TangMega138kProDockPlatform):
    """As amaranth-boards has it, but for what is wrong there (0.0.21)."""

    family = "GW5AST-138C"

    # The two are each other's in amaranth-boards, and were in LiteX until it was tried on a board (litex-boards #547).
    resources: ClassVar = [
        *(resource for resource in TangMega138kProDockPlatform.resources if resource.name != "uart"),
        UARTResource(0, rx="N16", tx="P15", attrs=Attrs(PULL_MODE="UP", IO_TYPE="LVCMOS33")),
    ]

    def parse_part(self) -> None:
        """Amaranth 0.5 knows names of GW1 and GW2 only; of what it takes from them nothing else is used here."""
        self.series = "GW5AST"


class TangMegaTop(Elaboratable):
    """A console on the board's USB serial port, with all memory in block RAM. The clock is the board's.

    LED 0: it awaits a prompt; 1: it works on an answer; 2: the last answer ended with an error.

    Parameters
    ----------
    config : AcceleratorConfig
    contents : sequence of int
        Of the block RAM behind the accelerator's bus.
    """

    def __init__(self, config: AcceleratorConfig, *, contents: Sequence[int]) -> None:
        self.system = block_ram_console(config, contents)

    def elaborate(self, platform: TangMegaPlatform) -> Module:
        m = Module()
        # No reset: registers begin as the bitstream says.
        m.domains.sync = ClockDomain(reset_less=True)
        m.submodules.system = system = self.system
        # Registers begin to move when the chip lets them, whenever that is in a cycle.
        m.submodules.hold = FFSynchronizer(Const(0), system.hold, init=1)
        uart = platform.request("uart", dir="-")
        clock = (platform.request("clk50", dir="-"), ClockSignal())
        states = enumerate((~system.busy, system.busy, system.failed))
        lights = [(platform.request("led", number, dir="-"), state) for number, state in states]
        connect_console(m, uart, system, clock=clock, lights=lights, ones={})
        return m
