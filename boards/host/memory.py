"""A memory behind a character device, in pieces through a buffer that every driver can use."""

import mmap

import numpy as np
from numpy.typing import NDArray

from ..errors import BoardError
from .files import KernelFiles, explained

PIECE = 1 << 22
"""Bytes of one system call at most: a DMA of XDMA must end within its driver's 10 s."""


class MemoryFile:
    """Reads and writes at offsets of an open character device.

    Data goes through a buffer of its own: writable, and as far behind the start of a page as the offset is. XDMA pins
    pages for writing whichever way it copies, and refuses a buffer that is aligned otherwise than the address.

    Parameters
    ----------
    path : str
        Without the root.
    fix : str
        What to do when the device refuses.
    """

    def __init__(self, files: KernelFiles, fd: int, path: str, fix: str) -> None:
        self._files, self._fd, self._path, self._fix = files, fd, path, fix
        self._buffer = memoryview(mmap.mmap(-1, PIECE + mmap.PAGESIZE))

    def write(self, offset: int, data: NDArray[np.uint8]) -> None:
        """Write bytes.

        Raises
        ------
        BoardError
            The device refuses, or takes fewer.
        """
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            place = self._place(offset + start, len(piece))
            place[:] = piece.data
            doing = f"write {len(piece)} bytes at {offset + start:#x}"
            with explained(self._path, doing, self._fix):
                done = self._files.write_at(self._fd, place, offset + start)
            self._check(doing, done, len(piece))

    def read(self, offset: int, size: int) -> NDArray[np.uint8]:
        """Bytes.

        Raises
        ------
        BoardError
            The device refuses, or gives fewer.
        """
        result = np.empty(size, np.uint8)
        for start in range(0, size, PIECE):
            count = min(PIECE, size - start)
            place = self._place(offset + start, count)
            doing = f"read {count} bytes at {offset + start:#x}"
            with explained(self._path, doing, self._fix):
                done = self._files.read_at(self._fd, place, offset + start)
            self._check(doing, done, count)
            result[start : start + count] = np.frombuffer(place, np.uint8)
        return result

    def _place(self, offset: int, size: int) -> memoryview:
        start = offset % mmap.PAGESIZE
        return self._buffer[start : start + size]

    def _check(self, doing: str, done: int, size: int) -> None:
        if done != size:
            raise BoardError(f"/{self._path}: {doing}: only {done} of {size} were transferred: {self._fix}")
