"""An accelerator with the golden machine beside it: every job runs on both, and what they did is compared."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .boards.host.board import board_accelerator
from .boards.host.files import KernelFiles
from .compare import Comparison
from .driver.compiler import CompiledProgram
from .driver.device import Job, JobResult
from .driver.golden_accelerator import GoldenAccelerator
from .driver.registers import RegisterAccelerator
from .golden.records import Retired
from .sim.dram import MemoryModel
from .sim.replay import DramStatistics
from .sim.rtl import RtlDevice, memory_bytes_for


class Pair(ABC):
    """Runs jobs on hardware and, after each, on the golden machine.

    Parameters
    ----------
    hardware : RegisterAccelerator
    golden : GoldenAccelerator

    Attributes
    ----------
    comparison : Comparison
        What was compared so far.
    jobs : list
        Every job with its result.
    cpu_seconds : float
        Processor time of the golden machine and of comparing.
    """

    def __init__(self, compiled: CompiledProgram, hardware: RegisterAccelerator, golden: GoldenAccelerator) -> None:
        self.hardware, self.golden = hardware, golden
        self.comparison = Comparison(compiled)
        self.jobs: list[tuple[Job, JobResult]] = []
        self.cpu_seconds = 0.0

    def load(self, compiled: CompiledProgram) -> None:
        """Load both."""
        self.hardware.load(compiled)
        self.golden.load(compiled)

    def write(self, offset: int, data: np.ndarray) -> None:
        """Write bytes to the memory of both."""
        self.hardware.write(offset, data)
        self.golden.write(offset, data)

    def read(self, offset: int, size: int) -> np.ndarray:
        """Bytes of the hardware's memory."""
        return self.hardware.read(offset, size)

    def open(self, sequence: int, pages: tuple[int, ...]) -> None:
        """Open a sequence on both."""
        self.hardware.open(sequence, pages)
        self.golden.open(sequence, pages)

    def close(self, sequence: int) -> None:
        """Close a sequence on both."""
        self.hardware.close(sequence)
        self.golden.close(sequence)

    def run(self, job: Job, on_token: Callable[[int], None] | None = None) -> JobResult:
        """Run a job on the hardware, then on the golden machine, and compare.

        Raises
        ------
        AcceleratorError
            One of them stopped with an error.
        """
        result = self.hardware.run(job, on_token)
        started = time.process_time()
        expected = self.golden.run(job)
        self._compare_writes()
        self.comparison.compare_results(expected, result)
        self.cpu_seconds += time.process_time() - started
        self.jobs.append((job, result))
        return result

    @abstractmethod
    def _compare_writes(self) -> None:
        """Compare what the job left behind, beside its results."""


class VerifiedAccelerator(Pair):
    """The RTL in simulation, every tensor compared.

    Parameters
    ----------
    report : Callable
        Told what is being done, a line at a time: it builds, it simulates.
    waves : Path or None
        Write a VCD there.
    memory : MemoryModel or None
        The timing of the memory; its requests are kept, for `decode_memory`. None is the ideal one.
    """

    def __init__(
        self,
        compiled: CompiledProgram,
        *,
        report: Callable[[str], None] | None = None,
        waves: Path | None = None,
        memory: MemoryModel | None = None,
    ) -> None:
        size = memory_bytes_for(compiled.config, compiled.memory.total_bytes)
        record = memory is not None
        self.device = RtlDevice(compiled.config, size, waves=waves, report=report, memory=memory, record=record)
        if report is not None:
            self.device.on_slice = lambda: report(f"simulating: {self.device.cycles:,} cycles")
        self._retired: list[Retired] = []
        self._decoding: tuple[int, int] | None = None
        super().__init__(compiled, RegisterAccelerator(self.device), GoldenAccelerator(self._retired.append))

    def __enter__(self) -> VerifiedAccelerator:
        return self

    def __exit__(self, *_: object) -> None:
        """Free the simulation, whose waves are then complete."""
        self.device.close()

    def run(self, job: Job, on_token: Callable[[int], None] | None = None) -> JobResult:
        """Run a job on both and compare."""
        self._retired.clear()
        result = super().run(job, on_token)
        if len(result.cycles) > 1:
            first = self.device.doorbell + result.cycles[0]
            self._decoding = first, first + sum(result.cycles[1:])
        return result

    def _compare_writes(self) -> None:
        """Every tensor."""
        self.comparison.compare(self._retired, self.device.writes(), self.hardware.read)

    def decode_memory(self) -> DramStatistics | None:
        """What the memory did from the first to the last token of the last job with two or more.

        None without such a job, or without a memory whose requests are kept.
        """
        if self._decoding is None or not len(self.device.requests()):
            return None
        return self.device.dram_statistics(*self._decoding)


class BoardAccelerator(Pair):
    """A board: tokens, candidates and every byte of the open sequences' pages of the cache are compared."""

    def __init__(self, compiled: CompiledProgram, hardware: RegisterAccelerator) -> None:
        super().__init__(compiled, hardware, GoldenAccelerator())
        self._pages: dict[int, tuple[int, ...]] = {}
        # As on the golden machine: then what nobody writes is equal. By pages, since the whole may be much.
        memory, pages = compiled.memory, compiled.config.cache.pages
        empty = np.zeros(memory.kv_bytes // pages, np.uint8)
        for page in range(pages):
            hardware.write(memory.kv_offset + page * len(empty), empty)

    def open(self, sequence: int, pages: tuple[int, ...]) -> None:
        """Open a sequence on both."""
        super().open(sequence, pages)
        self._pages[sequence] = pages

    def close(self, sequence: int) -> None:
        """Close a sequence on both."""
        super().close(sequence)
        del self._pages[sequence]

    def _compare_writes(self) -> None:
        """The pages of all open sequences."""
        for page in sorted(page for pages in self._pages.values() for page in pages):
            self.comparison.compare_page(page, self.golden.read, self.hardware.read)


@contextmanager
def verified(
    device: str,
    compiled: CompiledProgram,
    *,
    report: Callable[[str], None] | None = None,
    waves: Path | None = None,
    memory: MemoryModel | None = None,
) -> Iterator[Pair]:
    """The RTL in simulation ("rtl"), or one of `BOARD_DEVICES`; the last two arguments are for the simulation."""
    if device == "rtl":
        with VerifiedAccelerator(compiled, report=report, waves=waves, memory=memory) as accelerator:
            yield accelerator
    else:
        with board_accelerator(device, compiled, KernelFiles()) as hardware:
            yield BoardAccelerator(compiled, hardware)
