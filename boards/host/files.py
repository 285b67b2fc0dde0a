"""What this package asks of the kernel: files of sysfs, and system calls on device files."""

import errno
import mmap
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Protocol

from ..errors import BoardError

PERMISSION = "run as root, or give your user the right to it with a udev rule"
FIXES = {
    errno.EACCES: PERMISSION,
    errno.EPERM: PERMISSION,
    errno.ENODEV: "the device is gone: load the design and its driver again",
    errno.ENXIO: "the device is gone: load the design and its driver again",
    errno.EBUSY: "another program has it: end that first",
}
"""What to do where it does not depend on the file."""


class Words(Protocol):
    """Registers of 32 bits, by index."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, value: int, /) -> None: ...


class KernelFiles:
    """The system calls themselves, and nothing else: a test has its own kernel in place of this class.

    Every call raises OSError where the kernel refuses it.

    Parameters
    ----------
    root : Path
        Folder that holds `sys` and `dev`.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def names(self, folder: str) -> list[str]:
        """Sorted names in a folder; none where there is no such folder."""
        place = self.root / folder
        return sorted(path.name for path in place.iterdir()) if place.is_dir() else []

    def text(self, path: str) -> str:
        """An attribute of sysfs, without the newline."""
        return (self.root / path).read_text().strip()

    def open(self, path: str, flags: int) -> int:
        """A descriptor."""
        return os.open(self.root / path, flags | os.O_CLOEXEC)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    def read(self, fd: int, size: int) -> bytes:
        """read(2)"""
        return os.read(fd, size)

    def write(self, fd: int, data: bytes) -> int:
        """write(2)"""
        return os.write(fd, data)

    def read_at(self, fd: int, buffer: memoryview, offset: int) -> int:
        """lseek(2) and read(2) into a buffer; the number of bytes.

        Not preadv(2), which asks a driver for its read_iter: that of XDMA is for asynchronous requests only, and the
        kernel stops there.
        """
        os.lseek(fd, offset, os.SEEK_SET)
        return FileIO(fd, "r", closefd=False).readinto(buffer) or 0

    def write_at(self, fd: int, data: memoryview, offset: int) -> int:
        """pwrite(2); the number of bytes."""
        return os.pwrite(fd, data, offset)

    def poll(self, fd: int, seconds: float) -> bool:
        """Whether poll(2) has something to say of a descriptor within that time."""
        waiting = select.poll()
        waiting.register(fd, select.POLLIN)
        return bool(waiting.poll(1000 * seconds))

    def words(self, fd: int, size: int, offset: int, inside: int) -> Words:
        """mmap(2) as words of 32 bits, from byte `inside` of it on; unmapped when nobody refers to it any more.

        A memoryview makes one access of 32 bits of a read and of a write. ctypes reads before it writes, and numpy
        leaves it to memcpy, which may read twice: either would advance a register such as TOKEN_DATA.
        """
        return memoryview(mmap.mmap(fd, size, offset=offset))[inside:].cast("I")


@contextmanager
def explained(path: str, doing: str, fix: str) -> Iterator[None]:
    """Turns what the kernel refuses into one line.

    Parameters
    ----------
    path : of the file, without the root.
    doing : such as "open" or "write 4096 bytes at 0x1000".
    fix : what to do unless `FIXES` knows better.
    """
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BoardError(f"/{path}: {doing}: {reason}: {FIXES.get(error.errno or 0, fix)}") from None
