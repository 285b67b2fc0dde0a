"""A CPU without insides for LiteX SoCs: its bus is pins, and so are its interrupts."""

from typing import Any, ClassVar

from litex.build.generic_platform import Pins
from litex.soc.cores.cpu import CPU, CPUS
from litex.soc.interconnect.axi import AXILiteInterface
from migen import Signal

INTERRUPTS = 32


class Host(CPU):
    """A 32-bit CPU as LiteX's own describe themselves; a bench does what software would."""

    category = "hardcore"
    family = name = human_name = "host"
    variants = ("standard",)
    data_width = 32
    endianness = "little"
    gcc_triple = gcc_flags = linker_output_format = ""
    nop = "nop"
    io_regions: ClassVar = {0x8000_0000: 0x8000_0000}
    mem_map: ClassVar = {"rom": 0x0000_0000, "sram": 0x1000_0000, "main_ram": 0x4000_0000, "csr": 0xF000_0000}
    reset_address_check = False

    def __init__(self, platform: Any, variant: str) -> None:
        self.reset = Signal()
        bus = AXILiteInterface()
        platform.add_extension([*bus.get_ios("host"), ("interrupts", 0, Pins(INTERRUPTS))])
        self.interrupt = platform.request("interrupts")
        # The bench masters the bus.
        self.comb += bus.connect_to_pads(platform.request("host"), mode="slave")
        self.periph_buses, self.memory_buses = [bus], []

    def set_reset_address(self, reset_address: int) -> None:
        """What LiteX asks of every CPU."""
        self.reset_address = reset_address


CPUS["host"] = Host
