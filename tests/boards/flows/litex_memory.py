"""A LiteX SoC of an SDRAM and the pins of a memory port, bridged as an accelerator's is."""

from typing import Any

from litedram.phy.model import SDRAMPHYModel
from litex.build.io import CRG
from litex.soc.integration.soc_core import SoCCore
from litex.soc.interconnect.axi import AXIInterface

from celosia.arch.config import Bus
from celosia.boards.flows.litex import litedram_bridge

CLOCK_HZ = 100_000_000


class MemorySoC(SoCCore):
    """`module` is one of litedram.modules, a model of which has `bits` data pins."""

    def __init__(self, platform: Any, bus: Bus, module: Any, bits: int, **options: Any) -> None:
        super().__init__(platform, CLOCK_HZ, cpu_type=None, with_uart=False, with_timer=False, **options)
        self.crg = CRG(platform.request("sys_clk"), platform.request("sys_rst"))
        self.sdram_phy = SDRAMPHYModel(module, data_width=bits, clk_freq=CLOCK_HZ)
        self.add_sdram("sdram", phy=self.sdram_phy, module=module, l2_cache_size=0)
        memory = AXIInterface(data_width=bus.data_bits, address_width=bus.address_bits, id_width=1)
        platform.add_extension(memory.get_ios("m_axi"))
        # The bench is the master.
        self.comb += memory.connect_to_pads(platform.request("m_axi"), mode="slave")
        self.bridge = litedram_bridge(self, memory, bus)
