"""A kernel that is not there: its files in a folder, its drivers' file operations in Python, a device behind them.

Files of sysfs are real ones. Opening, reading, writing, polling and mapping a device file does what the driver's source
says (uio.c and uio_pdrv_genirq.c of Linux; u-dma-buf.c; cdev_*.c of dma_ip_drivers), with the checks that it makes.

What this cannot show: caches and the order of accesses on a bus, time, and whether a driver does what its source says.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from celosia.arch.config import Bus
from celosia.arch.registers import offsets
from celosia.boards.host.files import KernelFiles, Words
from celosia.driver.device import Device
from celosia.driver.registers import IDENTIFICATION


def refuse(code: int) -> OSError:
    return OSError(code, os.strerror(code))


class Node:
    """A device file; an operation that a driver does not have is refused, as the kernel does."""

    flags = 0

    def read(self, size: int) -> bytes:
        raise refuse(errno.EINVAL)

    def write(self, data: bytes) -> int:
        raise refuse(errno.EINVAL)

    def read_at(self, buffer: memoryview, offset: int) -> int:
        raise refuse(errno.EINVAL)

    def write_at(self, data: memoryview, offset: int) -> int:
        raise refuse(errno.EINVAL)

    def poll(self, seconds: float) -> bool:
        return True

    def words(self, size: int, offset: int, inside: int) -> Words:
        raise refuse(errno.ENODEV)


class FakeKernel(KernelFiles):
    """System calls on nodes. Attributes: opened: nodes by descriptor."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.nodes: dict[str, Node] = {}
        self.opened: dict[int, Node] = {}

    def attribute(self, path: str, text: str) -> None:
        """A file of sysfs."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(f"{text}\n")

    def device(self, path: str, node: Node) -> None:
        """A device file."""
        self.attribute(path, "")
        self.nodes[path] = node

    def open(self, path: str, flags: int) -> int:
        mode = (self.root / path).stat().st_mode
        if not mode & (0o400 if flags & os.O_ACCMODE == os.O_RDONLY else 0o200):  # a test may run as root
            raise refuse(errno.EACCES)
        node = self.nodes[path]
        node.flags = flags
        fd = 1000 + len(self.opened)
        self.opened[fd] = node
        return fd

    def close(self, fd: int) -> None:
        del self.opened[fd]

    def read(self, fd: int, size: int) -> bytes:
        return self.opened[fd].read(size)

    def write(self, fd: int, data: bytes) -> int:
        return self.opened[fd].write(data)

    def read_at(self, fd: int, buffer: memoryview, offset: int) -> int:
        if offset < 0:
            raise refuse(errno.EINVAL)
        return self.opened[fd].read_at(buffer, offset)

    def write_at(self, fd: int, data: memoryview, offset: int) -> int:
        if offset < 0:
            raise refuse(errno.EINVAL)
        return self.opened[fd].write_at(data, offset)

    def poll(self, fd: int, seconds: float) -> bool:
        return self.opened[fd].poll(seconds)

    def words(self, fd: int, size: int, offset: int, inside: int) -> Words:
        return self.opened[fd].words(size, offset, inside)


class Line:
    """The interrupt of a device, a level."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def high(self) -> bool:
        return bool(self.device.read_register("INTERRUPT_STATUS") & self.device.read_register("INTERRUPT_ENABLE"))

    def wait(self, seconds: float) -> bool:
        """Until it is high: on the RTL, its clock runs meanwhile."""
        return self.device.wait_interrupt(seconds)


class MappedRegisters:
    """The first `count` words from where the registers begin."""

    def __init__(self, device: Device, count: int) -> None:
        self.device, self.count = device, count

    def __getitem__(self, index: int, /) -> int:
        assert 0 <= index < self.count, "a segmentation fault"
        return self.device.read_register(4 * index)

    def __setitem__(self, index: int, value: int, /) -> None:
        assert 0 <= index < self.count and 0 <= value < 1 << 32
        self.device.write_register(4 * index, value)


class UioNode(Node):
    """`/dev/uioN` of uio_pdrv_genirq with one map.

    Parameters
    ----------
    size : of the map, bytes; offset : of the registers in its first page.
    wired : there is an interrupt.
    """

    def __init__(self, device: Device, size: int, offset: int = 0, *, wired: bool = True) -> None:
        self.device, self.size, self.offset, self.wired = device, size, offset, wired
        self.line = Line(device)
        self.enabled, self.events, self.seen = True, 0, 0

    def _handle(self) -> None:
        if self.enabled and self.wired and self.line.high():
            self.enabled = False
            self.events += 1

    def write(self, data: bytes) -> int:
        if not self.wired:
            raise refuse(errno.EIO)
        if len(data) != 4:
            raise refuse(errno.EINVAL)
        self.enabled = bool(int.from_bytes(data, "little"))
        self._handle()
        return 4

    def poll(self, seconds: float) -> bool:
        self._handle()
        if self.events == self.seen and self.enabled and self.line.wait(seconds):
            self._handle()
        return self.events != self.seen

    def read(self, size: int) -> bytes:
        if size != 4:
            raise refuse(errno.EINVAL)
        assert self.events != self.seen, "the reader sleeps for ever"
        self.seen = self.events
        return self.events.to_bytes(4, "little")

    def words(self, size: int, offset: int, inside: int) -> Words:
        pages = -(-self.size // mmap.PAGESIZE)
        if offset != 0 or size > pages * mmap.PAGESIZE:  # the offset is the number of the map, in pages
            raise refuse(errno.EINVAL)
        assert self.flags & os.O_ACCMODE == os.O_RDWR
        assert inside == self.offset, "something else is there"
        return MappedRegisters(self.device, (size - inside) // 4)


class DmaBufferNode(Node):
    """`/dev/NAME` of u-dma-buf: without O_SYNC, what is written stays in the processor's cache."""

    def __init__(self, device: Device, base: int, size: int) -> None:
        self.device, self.base, self.size = device, base, size
        self.cache: dict[int, bytes] = {}

    def write_at(self, data: memoryview, offset: int) -> int:
        if offset >= self.size:
            return 0
        count = min(len(data), self.size - offset)
        if self.flags & os.O_SYNC:
            self.device.write_memory(self.base + offset, np.frombuffer(data[:count], np.uint8))
        else:
            self.cache[offset] = bytes(data[:count])
        return count

    def read_at(self, buffer: memoryview, offset: int) -> int:
        if offset >= self.size:
            return 0
        count = min(len(buffer), self.size - offset)
        buffer[:count] = self.cache.get(offset, bytes(self.device.read_memory(self.base + offset, count)))[:count]
        return count


class XdmaUserNode(Node):
    """`/dev/xdma0_user`: whatever the count, a word; `changed` is told of every access."""

    def __init__(self, device: Device, changed: Callable[[], None]) -> None:
        self.device, self.changed = device, changed

    def read_at(self, buffer: memoryview, offset: int) -> int:
        if offset & 3:
            raise refuse(errno.EPROTO)
        buffer[:4] = self.device.read_register(offset).to_bytes(4, "little")
        self.changed()
        return 4

    def write_at(self, data: memoryview, offset: int) -> int:
        if offset & 3:
            raise refuse(errno.EPROTO)
        self.device.write_register(offset, int.from_bytes(data[:4], "little"))
        self.changed()
        return 4


class XdmaEventsNode(Node):
    """`/dev/xdma0_events_0`: a message comes when the level rises, not while it is high."""

    def __init__(self, device: Device) -> None:
        self.line = Line(device)
        self.was_high, self.event = False, False

    def changed(self) -> None:
        high = self.line.high()
        self.event |= high and not self.was_high
        self.was_high = high

    def poll(self, seconds: float) -> bool:
        if not self.event and not self.was_high and self.line.wait(seconds):
            self.changed()
        return self.event

    def read(self, size: int) -> bytes:
        if size != 4:
            raise refuse(errno.EPROTO)
        assert self.event, "the reader sleeps for ever"
        self.event = False
        return (1).to_bytes(4, "little")


class XdmaMemoryNode(Node):
    """`/dev/xdma0_h2c_0` and `/dev/xdma0_c2h_0`, with an engine whose addresses must be aligned as the buffer is."""

    ALIGNMENT = 64

    def __init__(self, device: Device, bus: Bus, size: int, direction: int) -> None:
        self.device, self.bus, self.size, self.direction = device, bus, size, direction

    def _addresses(self, view: memoryview, offset: int, direction: int) -> np.ndarray:
        """Where in the device's memory the bytes stand: docs/memory.md, byte by byte."""
        if direction != self.direction or self.flags & os.O_ACCMODE != direction:
            raise refuse(errno.EINVAL)
        if np.frombuffer(view, np.uint8).ctypes.data % self.ALIGNMENT != offset % self.ALIGNMENT:
            raise refuse(errno.EINVAL)
        if view.readonly:
            raise refuse(errno.EFAULT)
        at = offset + np.arange(len(view))
        if self.bus.ports > 1:
            share, region = self.bus.data_bits // 8 // self.bus.ports, 1 << self.bus.port_address_bits
            port, inside = at // region, at % region
            at = inside // share * (share * self.bus.ports) + port * share + inside % share
        if at.max() >= self.size:
            raise refuse(errno.EIO)
        return at

    def write_at(self, data: memoryview, offset: int) -> int:
        at = self._addresses(data, offset, os.O_WRONLY)
        memory = self.device.read_memory(0, self.size)
        memory[at] = np.frombuffer(data, np.uint8)
        self.device.write_memory(0, memory)
        return len(data)

    def read_at(self, buffer: memoryview, offset: int) -> int:
        at = self._addresses(buffer, offset, os.O_RDONLY)
        buffer[:] = self.device.read_memory(0, self.size)[at].tobytes()
        return len(buffer)


def zynq(kernel: FakeKernel, device: Device, base: int, size: int, *, map_size: int = 4096, offset: int = 0) -> UioNode:
    """The files of a Zynq: the accelerator is not the only UIO device."""
    kernel.attribute("sys/class/uio/uio0/name", "axi-pmon")
    for name, text in {
        "name": "celosia",
        "version": "devicetree",
        "event": "0",
        "maps/map0/name": "celosia@a0000000",
        "maps/map0/addr": "0x00000000a0000000",
        "maps/map0/size": f"{map_size:#018x}",
        "maps/map0/offset": f"{offset:#x}",
    }.items():
        kernel.attribute(f"sys/class/uio/uio4/{name}", text)
    kernel.attribute("sys/class/u-dma-buf/celosia-memory/phys_addr", f"{base:#018x}")
    kernel.attribute("sys/class/u-dma-buf/celosia-memory/size", f"{size}")
    node = UioNode(device, map_size, offset)
    kernel.device("dev/uio4", node)
    kernel.device("dev/celosia-memory", DmaBufferNode(device, base, size))
    return node


def card(kernel: FakeKernel, device: Device, bus: Bus, size: int) -> XdmaEventsNode:
    """The files of a card behind XDMA."""
    events = XdmaEventsNode(device)
    kernel.device("dev/xdma0_user", XdmaUserNode(device, events.changed))
    kernel.device("dev/xdma0_events_0", events)
    kernel.device("dev/xdma0_h2c_0", XdmaMemoryNode(device, bus, size, os.O_WRONLY))
    kernel.device("dev/xdma0_c2h_0", XdmaMemoryNode(device, bus, size, os.O_RDONLY))
    return events


class Registers:
    """A device that is registers and a memory; its interrupt never comes by itself."""

    def __init__(self, memory_bytes: int = 0) -> None:
        self.values = dict.fromkeys(offsets().values(), 0) | {offsets()["ID"]: IDENTIFICATION}
        self.memory = np.zeros(memory_bytes, np.uint8)
        self.written: list[tuple[int, int]] = []

    def _offset(self, register: str | int) -> int:
        return offsets()[register] if isinstance(register, str) else register

    def read_register(self, register: str | int) -> int:
        return self.values[self._offset(register)]

    def write_register(self, register: str | int, value: int) -> None:
        self.written.append((self._offset(register), value))
        offset = self._offset(register)
        self.values[offset] = self.values[offset] & ~value if offset == offsets()["INTERRUPT_STATUS"] else value

    def read_memory(self, address: int, size: int) -> np.ndarray:
        return self.memory[address : address + size].copy()

    def write_memory(self, address: int, data: np.ndarray) -> None:
        self.memory[address : address + len(data)] = data

    def wait_interrupt(self, timeout: float) -> bool:
        return Line(self).high()
