"""An accelerator on the same chip as the processor: a Zynq under Linux.

Registers and interrupt are a device of the kernel's userspace I/O (UIO, driver uio_pdrv_genirq): `/dev/uioN`, found by
the name that the device tree gives it. The memory is a buffer of the driver u-dma-buf over memory that the device tree
reserves.
"""

import mmap
import os
import struct

import numpy as np

from ..errors import BoardError
from .device import REGISTER_BYTES, WAIT, BoardDevice, offset_of
from .files import Words, explained
from .memory import MemoryFile

UIO_NAME, MEMORY_NAME = "celosia", "celosia-memory"
"""What the device tree calls them: `linux,uio-name` of the one, `device-name` of the other."""

MAP = 0
"""Of the device's maps, the one with the registers."""

UIO_CLASS, MEMORY_CLASS = "sys/class/uio", "sys/class/u-dma-buf"
LOAD = "load the bitstream and its device tree overlay"
WIRE = "the node needs `interrupts`, with the number and the level that irq has in the design"
MEMORY = "look for u-dma-buf in the kernel's log"


class UioDevice(BoardDevice):
    """A `Device` over UIO and u-dma-buf.

    A register access is one load or store of 32 bits to memory that is mapped uncached. The kernel masks the interrupt
    when it comes; a wait unmasks it first. irq is a level, so nothing is lost in between.

    The memory file is opened with O_SYNC: every read and write then does what the processor's caches need, whether the
    accelerator's port is coherent or not. It is not mapped: mapped uncached through UIO, it would be device memory to
    an ARM, where a copy that is not aligned is a bus error.
    """

    def _begin(self) -> None:
        node = self._find()
        self._path = f"dev/{node}"
        self._fd = self._open(self._path, os.O_RDWR, LOAD)
        self._registers = self._map(f"{UIO_CLASS}/{node}/maps/map{MAP}")
        place = f"{MEMORY_CLASS}/{MEMORY_NAME}"
        self.memory_name = f"/{place}/size"
        self.base, self.memory_bytes = self._attribute(place, "phys_addr"), self._attribute(place, "size")
        path = f"dev/{MEMORY_NAME}"
        self._memory = MemoryFile(self._files, self._open(path, os.O_RDWR | os.O_SYNC, LOAD), path, MEMORY)

    def _find(self) -> str:
        """Name of the device file."""
        found = {}
        for node in self._files.names(UIO_CLASS):
            with explained(f"{UIO_CLASS}/{node}/name", "read", LOAD):
                found[self._files.text(f"{UIO_CLASS}/{node}/name")] = node
        if UIO_NAME not in found:
            others = f"only {', '.join(found)}" if found else "no device at all"
            raise BoardError(f"/{UIO_CLASS}: no device is called {UIO_NAME!r}, there is {others}: {LOAD}")
        return found[UIO_NAME]

    def _map(self, place: str) -> Words:
        """The registers: the first map. They may begin within a page; maps do not."""
        size, inside = self._attribute(place, "size"), self._attribute(place, "offset")
        pages = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        if size < REGISTER_BYTES or pages < inside + REGISTER_BYTES:
            raise BoardError(
                f"/{place}/size is {size:#x}: the registers take {REGISTER_BYTES:#x} bytes; set `reg` of the device "
                "tree's node to 4 KiB"
            )
        # The offset says which map, in pages, and not where in it.
        with explained(self._path, "map registers", LOAD):
            return self._files.words(self._fd, pages, MAP * mmap.PAGESIZE, inside)

    def _attribute(self, place: str, name: str) -> int:
        with explained(f"{place}/{name}", "read", LOAD):
            text = self._files.text(f"{place}/{name}")
        return int(text, 0)

    def read_register(self, register: str | int) -> int:
        """Value of a register."""
        return self._registers[offset_of(register) // 4]

    def write_register(self, register: str | int, value: int) -> None:
        """Set a register."""
        self._registers[offset_of(register) // 4] = value

    def read_memory(self, address: int, size: int) -> np.ndarray:
        """`size` bytes, uint8."""
        return self._memory.read(address - self.base, size)

    def write_memory(self, address: int, data: np.ndarray) -> None:
        """Write uint8 bytes."""
        self._memory.write(address - self.base, data)

    def wait_interrupt(self, timeout: float) -> bool:
        """Wait for the interrupt, at most `timeout` seconds; whether it came.

        Raises
        ------
        BoardError
            It did not, and the accelerator asks for one; or the device has none.
        """
        with explained(self._path, WAIT, WIRE):
            self._files.write(self._fd, struct.pack("=i", 1))
        return self._event(self._path, self._fd, timeout, WIRE)
