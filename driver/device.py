"""What software needs of a device: registers, memory and an interrupt; and, one level up, jobs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from .compiler import CompiledProgram
from .sampling import Candidate


class Device(Protocol):
    """A memory-mapped accelerator: the RTL in simulation, or a board.

    Registers are 32 bits, addressed by name or by byte offset; memory is addressed as the accelerator's bus sees it.
    """

    def read_register(self, register: str | int) -> int:
        """Value of a register."""

    def write_register(self, register: str | int, value: int) -> None:
        """Set a register."""

    def read_memory(self, address: int, size: int) -> np.ndarray:
        """`size` bytes, uint8."""

    def write_memory(self, address: int, data: np.ndarray) -> None:
        """Write uint8 bytes."""

    def wait_interrupt(self, timeout: float) -> bool:
        """Wait for the interrupt, at most `timeout` seconds; whether it came."""


@dataclass(frozen=True)
class Job:
    """What the device does in one go, as `docs/isa.md` defines it.

    Attributes
    ----------
    sequence : which block table.
    position : of the first token; earlier positions are in the cache.
    tokens : fed first; one at least.
    steps : tokens to sample; 0 only fills the cache.
    end_id : end-of-text id at which it stops, or None.
    chunk : tokens of a chunk at most; 0 is `vector.chunk`. No result depends on it; driver/cycles/choice.py chooses.
    rows_offset, rows_bytes : where the rows of its tokens are, from the start of the image, and how many bytes of that
        LOAD_ROWS and STORE_ROWS may touch.
    """

    sequence: int
    position: int
    tokens: tuple[int, ...]
    steps: int
    end_id: int | None = None
    chunk: int = 0
    rows_offset: int = 0
    rows_bytes: int = 0


@dataclass(frozen=True)
class JobResult:
    """What a job gave.

    Attributes
    ----------
    tokens : sampled ones, in order.
    candidates : of the last step, best first.
    cycles : device clock up to the first sampled token, then from token to token; empty where there is no clock.
    counters : performance counters by name; empty where there are none.
    saturated : a number reached the end of float32's range; docs/numerics.md says which are looked at.
    """

    tokens: tuple[int, ...]
    candidates: tuple[Candidate, ...]
    cycles: tuple[int, ...] = ()
    counters: dict[str, int] = field(default_factory=dict)
    saturated: bool = False


class Accelerator(Protocol):
    """A device that runs jobs of a compiled model: the golden machine, the RTL in simulation, or a board."""

    def load(self, compiled: CompiledProgram) -> None:
        """Write the image and point the device to it. Loading what is loaded already does nothing."""

    def write(self, offset: int, data: np.ndarray) -> None:
        """Write uint8 bytes at an offset from the start of the image."""

    def read(self, offset: int, size: int) -> np.ndarray:
        """`size` bytes from there, uint8."""

    def open(self, sequence: int, pages: tuple[int, ...]) -> None:
        """Open a sequence, or extend an open one: its whole block table, page numbers in order of position."""

    def close(self, sequence: int) -> None:
        """Close a sequence; its pages may be given to another one."""

    def run(self, job: Job, on_token: Callable[[int], None] | None = None) -> JobResult:
        """Run a job to its end.

        Raises
        ------
        AcceleratorError
            The device stopped with an error status.
        """


class AcceleratorError(RuntimeError):
    """The device stopped with an error.

    Attributes
    ----------
    status : name of the cause.
    address : what the cause's address register holds.
    """

    def __init__(self, status: str, address: int) -> None:
        super().__init__(f"the device stopped: {status} at {address:#x}")
        self.status, self.address = status, address
