"""Verilog of LiteDRAM's parts, made when a design is, the same every time; nothing of it is in this repository."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from litedram.common import LiteDRAMNativePort, PhySettings
from litedram.core.controller import ControllerSettings, LiteDRAMController
from litedram.core.crossbar import LiteDRAMCrossbar
from litedram.frontend.axi import LiteDRAMAXI2Native
from litedram.modules import SDRAMModule
from litex.gen import LiteXModule
from litex.gen.fhdl.verilog import convert
from litex.soc.interconnect.axi import AXIInterface
from litex.soc.interconnect.stream import Buffer
from migen import ClockDomain, Signal
from migen.fhdl import tracer

NAME = "litedram"
"""Of the module with the controller."""

CHANNELS = {
    "aw": ("valid", "ready", "addr", "len", "size", "burst", "id"),
    "w": ("valid", "ready", "data", "strb", "last"),
    "b": ("valid", "ready", "resp", "id"),
    "ar": ("valid", "ready", "addr", "len", "size", "burst", "id"),
    "r": ("valid", "ready", "data", "resp", "last", "id"),
}
"""Signals of the AXI4 port, by channel."""

REMARK = re.compile(r"^//.*\n", re.MULTILINE)
"""Among them the date, which would have every build differ."""


class LiteDramModule(LiteXModule):
    """A module whose ports are plain signals."""

    def __init__(self) -> None:
        self.cd_sys = ClockDomain("sys")
        self.ports = {self.cd_sys.clk, self.cd_sys.rst}

    def add_port(self, name: str, inner: Signal, *, comes: bool) -> None:
        """A port called `name` that drives `inner`, or that it drives."""
        outer = Signal(len(inner), name=name)
        self.ports.add(outer)
        self.comb += inner.eq(outer) if comes else outer.eq(inner)

    def add_controller(
        self,
        settings: PhySettings,
        chip: SDRAMModule,
        clock_hz: float,
        *,
        data_bits: int,
        address_bits: int,
        buffers: tuple[int, int],
    ) -> None:
        """The controller for a chip, and an AXI4 slave of `data_bits`, its ports called as in `CHANNELS`.

        Args:
            buffers: of the slave, for beats that are read, and to write.
        """
        # Rounded down: LiteDRAM rounds up, and would be late in the long run.
        chip.timing_settings.tREFI = int(chip.get("tREFI").ns * clock_hz / 1e9)
        self.controller = LiteDRAMController(
            settings, chip.geom_settings, chip.timing_settings, clock_hz, ControllerSettings()
        )
        self.crossbar = LiteDRAMCrossbar(self.controller.interface)
        axi = AXIInterface(data_width=data_bits, address_width=address_bits, id_width=1)
        read_buffer, write_buffer = buffers
        self.bridge = LiteDRAMAXI2Native(
            axi, self._with_registers(self.crossbar.get_port()), w_buffer_depth=write_buffer, r_buffer_depth=read_buffer
        )
        for channel, members in CHANNELS.items():
            for member in members:
                comes = (member == "ready") == (channel in ("b", "r"))
                self.add_port(f"{channel}{member}", getattr(getattr(axi, channel), member), comes=comes)

    def _with_registers(self, port: LiteDRAMNativePort) -> LiteDRAMNativePort:
        """The port behind registers on the way of its commands, which go a cycle later.

        An address chooses the bank that says whether it takes a command, and by that the slave counts.
        """
        outer = LiteDRAMNativePort(port.mode, port.address_width, port.data_width)
        self.commands = commands = Buffer(port.cmd.description, pipe_valid=True, pipe_ready=True)
        self.comb += [
            outer.cmd.connect(commands.sink),
            commands.source.connect(port.cmd),
            outer.wdata.connect(port.wdata),
            port.rdata.connect(outer.rdata),
        ]
        return outer


def module_verilog(make: Callable[[], LiteDramModule], name: str, overrides: Mapping[Any, Any]) -> str:
    """Verilog of a module.

    Args:
        make: makes it.
        overrides: of migen's specials, by class.
    """
    # Names are numbered through all that a process makes: begin again, or the text would depend on what was before.
    tracer.name_to_idx.clear()
    tracer.classname_to_objs.clear()
    core = make()
    text: str = convert(core, core.ports, name=name, special_overrides=dict(overrides)).main_source
    return REMARK.sub("", text)
