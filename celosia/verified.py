"""The RTL with the golden machine beside it: every job runs on both, every tensor is compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .compare import Comparison
from .driver.compiler import CompiledModel
from .driver.device import Job, JobResult
from .driver.golden_accelerator import GoldenAccelerator
from .driver.registers import RegisterAccelerator
from .golden.records import Retired
from .sim.rtl import RtlDevice, memory_bytes_for


class VerifiedAccelerator:
    """Runs jobs on the RTL and, after each, on the golden machine.

    Parameters
    ----------
    report : Callable
        Told what is being done, a line at a time: it builds, it simulates.
    waves : Path or None
        Write a VCD there.

    Attributes
    ----------
    comparison : Comparison
        What was compared so far.
    jobs : list
        Every job with its result.
    """

    def __init__(
        self, compiled: CompiledModel, *, report: Callable[[str], None] | None = None, waves: Path | None = None
    ) -> None:
        size = memory_bytes_for(compiled.config, compiled.memory.total_bytes)
        self.device = RtlDevice(compiled.config, size, waves=waves, report=report)
        if report is not None:
            self.device.on_slice = lambda: report(f"simulating: {self.device.cycles:,} cycles")
        self.rtl = RegisterAccelerator(self.device)
        self._retired: list[Retired] = []
        self.golden = GoldenAccelerator(self._retired.append)
        self.comparison = Comparison(compiled)
        self.jobs: list[tuple[Job, JobResult]] = []

    def load(self, compiled: CompiledModel) -> None:
        """Load both."""
        self.rtl.load(compiled)
        self.golden.load(compiled)

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
        self.comparison.compare(self._retired, self.device.writes())
        self.comparison.compare_results(expected, result)
        self.jobs.append((job, result))
        return result

    def close_device(self) -> None:
        """Free the simulation."""
        self.device.close()
