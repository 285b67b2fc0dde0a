"""Jobs through registers: what a board and the simulated RTL have in common."""

from collections.abc import Callable

import numpy as np

from ..arch.isa import Status
from ..arch.registers import offsets
from .compiler import CompiledModel, CompiledProgram
from .device import AcceleratorError, Device, Job, JobResult
from .sampling import Candidate

IDENTIFICATION = 0x43454C4F
"""What the ID register reads: ASCII CELO."""

START, ABORT = 1, 2
"""Bits of CONTROL."""

DONE, TOKEN = 1, 2
"""Bits of INTERRUPT_ENABLE and INTERRUPT_STATUS."""

BUSY, SATURATED = 1, 4
"""Bits of STATUS."""

FIRST_COUNTER = "CYCLES"
PATIENCE_SECONDS = 60.0
"""A device that moved nothing for that long hangs; one that did may take as long as it needs."""

ALIVE = ("STREAM_BYTES", "AUXILIARY_BYTES", "MACS")
"""Counters of which one at least changes while a job makes progress."""


def counter_names() -> list[str]:
    """Names of the 64-bit performance counters, in order of their registers."""
    pairs = [name.removesuffix("_LO") for name in offsets() if name.endswith("_LO")]
    return pairs[pairs.index(FIRST_COUNTER) :]


def end_of_text(token: int | None) -> int:
    """The register's value: the token that ends a text, with the bit that enables it; None: none does."""
    return 0 if token is None else 1 << 31 | token


class RegisterAccelerator:
    """An accelerator behind its registers and memory.

    Parameters
    ----------
    device : Device
        How to reach them.
    base : int
        Address of the image in the device's memory, on 4 KiB; the KV cache follows it as the memory map says.

    Raises
    ------
    AcceleratorError
        There is no accelerator at the device.
    """

    def __init__(self, device: Device, base: int = 0) -> None:
        self.device, self.base = device, base
        self._loaded: CompiledProgram | None = None
        identification = device.read_register("ID")
        if identification != IDENTIFICATION:
            raise AcceleratorError("no accelerator: ID reads", identification)

    def load(self, compiled: CompiledProgram) -> None:
        """Write the image and point the device to it."""
        if self._loaded is compiled:
            return
        self.device.write_memory(self.base, compiled.image)
        program = compiled.memory.region("program").offset
        self._write_pair("IMAGE_BASE", self.base)
        self._write_pair("PROGRAM_BASE", self.base + program)
        self._write_pair("KV_BASE", self.base + compiled.memory.kv_offset)
        self.device.write_register("PROGRAM_LENGTH", len(compiled.program))
        self._loaded = compiled

    def write(self, offset: int, data: np.ndarray) -> None:
        """Write uint8 bytes at an offset from the start of the image."""
        self.device.write_memory(self.base + offset, data)

    def read(self, offset: int, size: int) -> np.ndarray:
        """`size` bytes from there, uint8."""
        return self.device.read_memory(self.base + offset, size)

    def open(self, sequence: int, pages: tuple[int, ...]) -> None:
        """Open a sequence and write its block table."""
        self.device.write_register("TABLE_ENTRY", sequence << 16)
        self.device.write_register("TABLE_SEQUENCE", 1)
        for index, page in enumerate(pages):
            self.device.write_register("TABLE_ENTRY", sequence << 16 | index)
            self.device.write_register("TABLE_PAGE", page)

    def close(self, sequence: int) -> None:
        """Close a sequence."""
        self.device.write_register("TABLE_ENTRY", sequence << 16)
        self.device.write_register("TABLE_SEQUENCE", 0)

    def run(self, job: Job, on_token: Callable[[int], None] | None = None) -> JobResult:
        """Run a job to its end.

        Raises
        ------
        AcceleratorError
            The device stopped with an error, or moved nothing for `PATIENCE_SECONDS`.
        """
        self._start(job)
        tokens: list[int] = []
        stamps: list[int] = []
        over = False
        while not over:
            self._wait(job)
            causes = self.device.read_register("INTERRUPT_STATUS")
            self.device.write_register("INTERRUPT_STATUS", causes)
            over = bool(causes & DONE)
            for token, stamp in self._sampled(len(job.tokens), len(tokens)):
                tokens.append(token)
                stamps.append(stamp)
                if on_token is not None:
                    on_token(token)
        word = self.device.read_register("STATUS")
        status = word >> 8 & 0xFF
        if status != Status.OK:
            raise AcceleratorError(Status(status).name, self._read_pair("ERROR_ADDRESS"))
        cycles = tuple(int(c) for c in np.diff(np.array([0, *stamps], dtype=np.uint32)))
        counters = {name.lower(): self._read_pair(name) for name in counter_names()}
        candidates = self._candidates() if job.steps else ()
        return JobResult(tuple(tokens), candidates, cycles, counters, saturated=bool(word & SATURATED))

    def _wait(self, job: Job) -> None:
        """Wait for the interrupt as long as the device makes progress."""
        before = None
        while not self.device.wait_interrupt(PATIENCE_SECONDS):
            now = [self._read_pair(name) for name in ALIVE]
            if now == before:
                self.device.write_register("CONTROL", ABORT)
                raise AcceleratorError("no interrupt and no progress; position", job.position)
            before = now

    def _start(self, job: Job) -> None:
        write = self.device.write_register
        write("TOKEN_INDEX", 0)
        for token in job.tokens:
            write("TOKEN_DATA", token)
        write("SEQUENCE", job.sequence)
        write("POSITION", job.position)
        write("COUNT", len(job.tokens))
        write("STEPS", job.steps)
        write("CHUNK", job.chunk)
        self._write_pair("ROWS_BASE", self.base + job.rows_offset)
        self._write_pair("ROWS_BYTES", job.rows_bytes)
        write("END_OF_TEXT", end_of_text(job.end_id))
        write("INTERRUPT_STATUS", DONE | TOKEN)
        write("INTERRUPT_ENABLE", DONE | TOKEN)
        write("CONTROL", START)

    def _sampled(self, count: int, known: int) -> list[tuple[int, int]]:
        """Tokens sampled since the first `known`, each with the cycle at which it was."""
        total = self.device.read_register("SAMPLED")
        found = []
        if total > known:
            self.device.write_register("TOKEN_INDEX", count + known)
        for _ in range(known, total):
            stamp = self.device.read_register("TOKEN_CYCLE")
            found.append((self.device.read_register("TOKEN_DATA"), stamp))
        return found

    def _candidates(self) -> tuple[Candidate, ...]:
        assert isinstance(self._loaded, CompiledModel), "only a model samples"
        found = []
        for index in range(min(self._loaded.config.control.top_k, self._loaded.model.vocab_size)):
            self.device.write_register("CANDIDATE_INDEX", index)
            bits = np.uint32(self.device.read_register("CANDIDATE_VALUE"))
            found.append((self.device.read_register("CANDIDATE_ID"), float(bits.view(np.float32))))
        return tuple(found)

    def _write_pair(self, name: str, value: int) -> None:
        self.device.write_register(f"{name}_LO", value & 0xFFFFFFFF)
        self.device.write_register(f"{name}_HI", value >> 32)

    def _read_pair(self, name: str) -> int:
        return self.device.read_register(f"{name}_HI") << 32 | self.device.read_register(f"{name}_LO")
