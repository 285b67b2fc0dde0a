"""Where registers and memory of a board's accelerator are: what Vivado, the device tree and the host are told."""

from dataclasses import asdict, dataclass
from typing import Any

from ...arch.config import AcceleratorConfig
from ..flows.design import REGISTER_PORT, REGISTER_SPACE
from ..host.ports import regions
from ..host.uio import MEMORY_NAME, UIO_NAME

ZYNQ_REGISTERS = 0xA000_0000
"""Start of what the processor's first master port (M_AXI_HPM0_FPD) reaches."""

ZYNQ_MEMORY, ZYNQ_MEMORY_BYTES = 0x4000_0000, 512 << 20
"""In the middle of the lower 2 GiB of a Zynq's DDR, which all its masters reach."""

ZYNQ_INTERRUPT = 89
"""Shared peripheral interrupt of pl_ps_irq0[0], as a device tree counts them."""


@dataclass(frozen=True)
class Region:
    """Consecutive bytes.

    Attributes:
        port: of the accelerator, through which they are seen: its registers, or one of its masters.
        address: from where on; of the registers, as the processor or XDMA's AXI4-Lite master sees it, of the memory, as
            the accelerator does.
    """

    port: str
    address: int
    bytes: int


@dataclass(frozen=True)
class AddressMap:
    """All of a board.

    Attributes:
        device: how the host reaches it (`celosia run --device`).
        interrupt: a Zynq's number of it in the device tree, or the bit of XDMA's usr_irq_req.
        names: what a device tree calls the devices by which the host finds them.
    """

    device: str
    registers: Region
    interrupt: int
    memory: tuple[Region, ...]
    names: dict[str, str]

    @property
    def memory_bytes(self) -> int:
        """Of all regions."""
        return sum(region.bytes for region in self.memory)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def zynq_map(config: AcceleratorConfig) -> AddressMap:
    """A Zynq UltraScale+: registers on the first master port, memory reserved in the processor's DDR."""
    (master,) = config.bus.masters
    return AddressMap(
        device="uio",
        registers=Region(REGISTER_PORT, ZYNQ_REGISTERS, REGISTER_SPACE),
        interrupt=ZYNQ_INTERRUPT,
        memory=(Region(master, ZYNQ_MEMORY, ZYNQ_MEMORY_BYTES),),
        names={"registers": UIO_NAME, "memory": MEMORY_NAME},
    )


def card_map(config: AcceleratorConfig) -> AddressMap:
    """A card behind XDMA: registers from 0 on, and a pseudo channel of HBM for each port."""
    found = zip(config.bus.masters, regions(config.bus), strict=True)
    return AddressMap(
        device="xdma",
        registers=Region(REGISTER_PORT, 0, REGISTER_SPACE),
        interrupt=0,
        memory=tuple(Region(master, address, size) for master, (address, size) in found),
        names={},
    )
