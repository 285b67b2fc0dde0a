"""What both kinds of boards have in common: registers by name, and what a missing interrupt means."""

from abc import ABC, abstractmethod
from contextlib import ExitStack
from typing import Self

import numpy as np

from ...arch.registers import offsets
from ..errors import BoardError
from .files import KernelFiles, explained

REGISTER_BYTES = max(offsets().values()) + 4
"""From the first to the last register."""

WAIT = "wait for the interrupt"


class BoardDevice(ABC):
    """A `Device` over device files; a context manager that opens and closes them.

    Parameters
    ----------
    files : KernelFiles

    Attributes
    ----------
    base : int
        Address of the first byte of memory that the accelerator may use, as its bus sees it.
    memory_bytes : int
        How many there are.
    memory_name : str
        What said so, for messages.
    """

    base: int
    memory_bytes: int
    memory_name: str

    def __init__(self, files: KernelFiles) -> None:
        self._files, self._stack = files, ExitStack()

    def __enter__(self) -> Self:
        """Open all files.

        Raises
        ------
        BoardError
            One is not there or not as it must be; none stays open.
        """
        with self._stack:
            self._begin()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Close all files."""
        self._stack.close()

    @abstractmethod
    def _begin(self) -> None:
        """Open the files."""

    def _open(self, path: str, flags: int, fix: str) -> int:
        with explained(path, "open", fix):
            fd = self._files.open(path, flags)
        self._stack.callback(self._files.close, fd)
        return fd

    @abstractmethod
    def read_register(self, register: str | int) -> int:
        """Value of a register."""

    @abstractmethod
    def write_register(self, register: str | int, value: int) -> None:
        """Set a register."""

    @abstractmethod
    def read_memory(self, address: int, size: int) -> np.ndarray:
        """`size` bytes, uint8."""

    @abstractmethod
    def write_memory(self, address: int, data: np.ndarray) -> None:
        """Write uint8 bytes."""

    @abstractmethod
    def wait_interrupt(self, timeout: float) -> bool:
        """Wait for the interrupt, at most `timeout` seconds; whether it came."""

    def _pending(self) -> int:
        """Bits of INTERRUPT_STATUS that ask for an interrupt."""
        return self.read_register("INTERRUPT_STATUS") & self.read_register("INTERRUPT_ENABLE")

    def _event(self, path: str, fd: int, seconds: float, fix: str) -> bool:
        """Wait at most `seconds` for a file of interrupts to have a count, and take it; whether it came.

        Raises
        ------
        BoardError
            It did not, and the accelerator asks for one; or the file refuses.
        """
        with explained(path, WAIT, fix):
            if self._files.poll(fd, seconds):
                self._files.read(fd, 4)
                return True
        if pending := self._pending():
            raise BoardError(
                f"/{path}: no interrupt within {seconds:g} s, although INTERRUPT_STATUS is {pending:#x}: {fix}"
            )
        return False


def offset_of(register: str | int) -> int:
    """Byte offset of a register."""
    return offsets()[register] if isinstance(register, str) else register
