"""The golden machine as a device: same jobs, same program, same bytes of memory as the RTL."""

from collections.abc import Callable, Sequence

import numpy as np

from ..arch.isa import Opcode
from ..golden.errors import MachineError
from ..golden.machine import Machine, OnRetire
from ..golden.records import Retired
from .chunks import most_rows
from .compiler import CompiledModel, CompiledProgram
from .device import AcceleratorError, Job, JobResult


class GoldenAccelerator:
    """Runs jobs on `golden.machine`.

    Parameters
    ----------
    trace : called with every retired instruction and the tensors that it wrote.

    Attributes
    ----------
    machine : the loaded one.
    """

    def __init__(self, trace: OnRetire | None = None) -> None:
        self.trace = trace
        self.machine: Machine
        self._loaded: CompiledProgram | None = None

    def load(self, compiled: CompiledProgram) -> None:
        """A machine whose memory is the image, an empty cache and empty rows."""
        if compiled is self._loaded:
            return
        memory = np.zeros(compiled.memory.total_bytes, np.uint8)
        memory[: len(compiled.image)] = compiled.image
        program = b"".join(instruction.encode() for instruction in compiled.program)
        self.machine = Machine(compiled.config, memory, program=program, kv_base=compiled.memory.kv_offset)
        self._loaded = compiled

    def write(self, offset: int, data: np.ndarray) -> None:
        """Write uint8 bytes at an offset from the start of the image."""
        self.machine.write(offset, data)

    def read(self, offset: int, size: int) -> np.ndarray:
        """`size` bytes from there, uint8."""
        return self.machine.memory[offset : offset + size].copy()

    def open(self, sequence: int, pages: tuple[int, ...]) -> None:
        """Open a sequence, or extend an open one."""
        self.machine.open(sequence, pages)

    def close(self, sequence: int) -> None:
        """Close a sequence."""
        self.machine.close(sequence)

    def run(self, job: Job, on_token: Callable[[int], None] | None = None) -> JobResult:
        """Run a job to its end.

        Raises
        ------
        AcceleratorError
            The machine stopped with an error status.
        """

        def retire(retired: Retired) -> None:
            if self.trace:
                self.trace(retired)
            if on_token and retired.instruction.opcode == Opcode.SAMPLE:
                ids = retired.tensors[0].companion
                on_token(int(ids[0]) if ids is not None else -1)

        self.machine.chunk = most_rows(self.machine.config, job.chunk)
        self.machine.rows_base, self.machine.rows_bytes = job.rows_offset, job.rows_bytes
        try:
            result = self.machine.run(
                job.sequence,
                job.position,
                job.tokens,
                job.steps,
                end_of_text=job.end_id,
                on_retire=retire if on_token or self.trace else None,
            )
        except MachineError as error:
            raise AcceleratorError(error.status.name, error.address) from None
        candidates = zip(result.candidate_ids.tolist(), result.candidate_values.tolist(), strict=True)
        return JobResult(tuple(result.tokens), tuple(candidates), saturated=result.saturated)


class GoldenLogits:
    """Logits of whole windows on the golden machine, for `driver.evaluate`. Uses sequence 0 and pages from 0 on."""

    def __init__(self, compiled: CompiledModel) -> None:
        self._accelerator = GoldenAccelerator()
        self._accelerator.load(compiled)
        self._pages = tuple(range(min(compiled.config.cache.pages, compiled.config.cache.pages_per_sequence)))

    def window(self, tokens: Sequence[int]) -> np.ndarray:
        """Logits after each of `tokens`, float32 [tokens, vocabulary]."""
        self._accelerator.open(0, self._pages)
        result = self._accelerator.machine.run(0, 0, list(tokens), 0, all_logits=True)
        self._accelerator.close(0)
        if result.logits is None:
            raise AcceleratorError("NO_LOGITS", 0)
        return result.logits
