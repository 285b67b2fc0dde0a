"""The RTL with the golden machine beside it: every job runs on both, every tensor is compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .compare import Comparison
from .driver.compiler import CompiledProgram
from .driver.device import Job, JobResult
from .driver.golden_accelerator import GoldenAccelerator
from .driver.registers import RegisterAccelerator
from .golden.records import Retired
from .sim.dram import MemoryModel
from .sim.replay import DramStatistics
from .sim.rtl import RtlDevice, memory_bytes_for


class VerifiedAccelerator:
    """Runs jobs on the RTL and, after each, on the golden machine.

    Parameters
    ----------
    report : Callable
        Told what is being done, a line at a time: it builds, it simulates.
    waves : Path or None
        Write a VCD there.
    memory : MemoryModel or None
        The timing of the memory; its requests are kept, for `decode_memory`. None is the ideal one.

    Attributes
    ----------
    comparison : Comparison
        What was compared so far.
    jobs : list
        Every job with its result.
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
        self.rtl = RegisterAccelerator(self.device)
        self._retired: list[Retired] = []
        self.golden = GoldenAccelerator(self._retired.append)
        self.comparison = Comparison(compiled)
        self.jobs: list[tuple[Job, JobResult]] = []
        self._decoding: tuple[int, int] | None = None

    def __enter__(self) -> VerifiedAccelerator:
        return self

    def __exit__(self, *_: object) -> None:
        """Free the simulation, whose waves are then complete."""
        self.device.close()

    def load(self, compiled: CompiledProgram) -> None:
        """Load both."""
        self.rtl.load(compiled)
        self.golden.load(compiled)

    def write(self, offset: int, data: np.ndarray) -> None:
        """Write bytes to the memory of both."""
        self.rtl.write(offset, data)
        self.golden.write(offset, data)

    def read(self, offset: int, size: int) -> np.ndarray:
        """Bytes of the RTL's memory."""
        return self.rtl.read(offset, size)

    def open(self, sequence: int, pages: tuple[int, ...]) -> None:
        """Open a sequence on both."""
        self.rtl.open(sequence, pages)
        self.golden.open(sequence, pages)

    def close(self, sequence: int) -> None:
        """Close a sequence on both."""
        self.rtl.close(sequence)
        self.golden.close(sequence)

    def run(self, job: Job, on_token: Callable[[int], None] | None = None) -> JobResult:
        """Run a job on the RTL, then on the golden machine, and compare.

        Raises
        ------
        AcceleratorError
            One of them stopped with an error.
        """
        result = self.rtl.run(job, on_token)
        self._retired.clear()
        expected = self.golden.run(job)
        self.comparison.compare(self._retired, self.device.writes(), self.rtl.read)
        self.comparison.compare_results(expected, result)
        self.jobs.append((job, result))
        if len(result.cycles) > 1:
            first = self.device.doorbell + result.cycles[0]
            self._decoding = first, first + sum(result.cycles[1:])
        return result

    def decode_memory(self) -> DramStatistics | None:
        """What the memory did from the first to the last token of the last job with two or more.

        None without such a job, or without a memory whose requests are kept.
        """
        if self._decoding is None or not len(self.device.requests()):
            return None
        return self.device.dram_statistics(*self._decoding)
