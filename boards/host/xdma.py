"""An accelerator on a card in a PCI Express slot, behind AMD's XDMA.

Its Linux driver (github.com/Xilinx/dma_ip_drivers) makes a character device of each of its functions. `xdma0_user` is
the AXI4-Lite master, which has the registers from address 0 on; `xdma0_h2c_0` and `xdma0_c2h_0` copy to and
from the memory, whose addresses are those of the accelerator's bus; `xdma0_events_0` is the first user interrupt.
"""

import os

import numpy as np

from ...arch.config import AcceleratorConfig
from .device import BoardDevice, offset_of
from .files import KernelFiles
from .memory import MemoryFile
from .ports import beats, parts, regions

CARD = "dev/xdma0"
EVENTS = f"{CARD}_events_0"
LOAD = "load the bitstream and the driver xdma, and look with lspci whether the card is there"
REGISTERS = "the AXI4-Lite interface of XDMA must be enabled and lead to the accelerator"
ADDRESS = "there must be memory at this address in the design; look for xdma in the kernel's log"
WIRE = "irq must lead to the first bit of usr_irq_req, and the driver must have got its MSI or MSI-X interrupts"


class XdmaDevice(BoardDevice):
    """A `Device` over XDMA's character devices.

    A register access is a system call, in which the driver reads or writes 32 bits and says what went wrong. A write to
    memory returns when the card has the data: a doorbell after it is behind it.

    The interrupt is a message that the card sends when irq rises. What raises it again before it fell is not
    announced, so a wait looks at the level first.

    Parameters
    ----------
    config : AcceleratorConfig
        Says how the bytes of the bus are spread over the ports' memories.
    """

    def __init__(self, files: KernelFiles, config: AcceleratorConfig) -> None:
        super().__init__(files)
        self._bus, self.base = config.bus, 0
        self.memory_bytes = sum(size for _, size in regions(config.bus))
        self.memory_name = "2^bus.address_bits" if config.bus.ports == 1 else "bus.ports x 2^bus.port_address_bits"

    def _begin(self) -> None:
        self._registers = self._memory_file(f"{CARD}_user", os.O_RDWR, REGISTERS)
        self._to_card = self._memory_file(f"{CARD}_h2c_0", os.O_WRONLY, ADDRESS)
        self._from_card = self._memory_file(f"{CARD}_c2h_0", os.O_RDONLY, ADDRESS)
        self._events = self._open(EVENTS, os.O_RDONLY, LOAD)

    def _memory_file(self, path: str, flags: int, fix: str) -> MemoryFile:
        return MemoryFile(self._files, self._open(path, flags, LOAD), path, fix)

    def read_register(self, register: str | int) -> int:
        """Value of a register."""
        return int(self._registers.read(offset_of(register), 4).view("<u4")[0])

    def write_register(self, register: str | int, value: int) -> None:
        """Set a register."""
        self._registers.write(offset_of(register), np.array([value], "<u4").view(np.uint8))

    def read_memory(self, address: int, size: int) -> np.ndarray:
        """`size` bytes, uint8."""
        if self._bus.ports == 1:
            return self._from_card.read(address, size)
        whole, wanted = beats(self._bus, address, size)
        for part in parts(self._bus, address, size):
            column = np.zeros(whole.shape[0] * whole.shape[2], np.uint8)
            column[part.low : part.high] = self._from_card.read(part.address, part.high - part.low)
            whole[:, part.port, :] = column.reshape(whole.shape[0], whole.shape[2])
        return wanted

    def write_memory(self, address: int, data: np.ndarray) -> None:
        """Write uint8 bytes."""
        if self._bus.ports == 1:
            self._to_card.write(address, data)
            return
        whole, wanted = beats(self._bus, address, len(data))
        wanted[:] = data
        for part in parts(self._bus, address, len(data)):
            self._to_card.write(part.address, whole[:, part.port, :].reshape(-1)[part.low : part.high])

    def wait_interrupt(self, timeout: float) -> bool:
        """Wait for the interrupt, at most `timeout` seconds; whether it came.

        Raises
        ------
        BoardError
            It did not, and the accelerator asks for one.
        """
        return bool(self._pending()) or self._event(EVENTS, self._events, timeout, WIRE)
