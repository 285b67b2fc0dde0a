"""What every flow is told about a generated accelerator."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...arch.config import AcceleratorConfig
from ...hdl.control.registers import ADDRESS_BITS

Port = tuple[str, str, int]
"""Name, direction ("in", "out") and bits."""

VENDOR, LIBRARY = "celosia", "ip"
CLOCK, RESET, INTERRUPT = "clk", "rst", "irq"
REGISTER_PORT = "s_axil"
REGISTER_SPACE = 1 << ADDRESS_BITS
"""Bytes of the address space that the registers' port decodes."""
DESCRIPTION = "Accelerator for large language models"


@dataclass(frozen=True)
class Design:
    """A generated accelerator.

    Attributes:
        config: what it was generated from.
        ports: of the top module, all of them.
        top: name of the top module.
        verilog: name of the file, in the folder of all that is written about it.
        waivers: name of the file that says which warnings of Verilator are harmless.
        constraints: name of the file with the clock's period.
        version: of the generator, "1.2.3".
    """

    config: AcceleratorConfig
    ports: Sequence[Port]
    top: str
    verilog: str
    waivers: str
    constraints: str
    version: str

    def bits(self, name: str) -> int:
        """Width of a port."""
        return next(bits for port, _, bits in self.ports if port == name)

    @property
    def clock_hz(self) -> int:
        """Frequency that the config asks for."""
        return round(self.config.control.clock_mhz * 1e6)

    @property
    def ip_version(self) -> str:
        """Version as Vivado's IP catalog takes it: two numbers."""
        return ".".join(self.version.split(".")[:2])
