"""A model on the RTL and on the golden machine at once, and the two configs that the tests compile."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from celosia.arch.config import AcceleratorConfig, Array, Bus, Cache, Control, Stream, Vector
from celosia.arch.pipeline import FAMILIES
from celosia.compare import Comparison
from celosia.driver.compiler import CompiledModel, CompiledProgram, compile_model
from celosia.driver.device import AcceleratorError, Job, JobResult
from celosia.driver.golden_accelerator import GoldenAccelerator
from celosia.driver.registers import RegisterAccelerator
from celosia.golden.records import Retired
from celosia.sim.dram import LATENCY_CYCLES, MemoryModel, ideal_memory
from celosia.sim.rtl import RtlDevice, Writes, memory_bytes_for

from ..driver.models import random_config, random_model

POISON = 0xA5
"""What the memory of both machines holds where nobody wrote."""

MIXED = {"wq": "Q4_1", "wk": "Q4_0", "wv": "Q8_0", "w_up": "Q4_1", "w_down": "Q4_0", "layers.1.wo": "Q8_0"}
"""Formats by the end of a tensor's name; what is not named is quantized by the compiler."""

# Everything at its least: one row, one channel, one burst in flight, small FIFOs, a chunk that divides nothing.
NARROW = AcceleratorConfig(
    name="narrow",
    bus=Bus(data_bits=64, outstanding=1, burst_beats=16),
    array=Array(rows=1, channels=1),
    vector=Vector(lanes=2, chunk=5, scratchpad_words=8192, activation_words=512, parameter_words=256),
    cache=Cache(pages=9, sequences=2, pages_per_sequence=4, tail_words=256),
    stream=Stream(fifo_beats=64, scale_fifo_beats=16, attention_lag=1),
    control=Control(top_k=3),
)

# A beat is a tile of 4-bit weights, K runs three pages ahead of V, two chunks are in flight.
WIDE = AcceleratorConfig(
    name="wide",
    bus=Bus(data_bits=256, address_bits=40, outstanding=16, burst_beats=32),
    array=Array(rows=4, channels=2),
    vector=Vector(lanes=8, chunk=16, chunks=2, scratchpad_words=4096, activation_words=512, parameter_words=128),
    cache=Cache(pages=24, sequences=3, pages_per_sequence=6, tail_words=256),
    stream=Stream(fifo_beats=256, scale_fifo_beats=32, attention_lag=3),
    control=Control(program_words=128, top_k=3),
)

# The same with as many registers as there are: tiles of 4-bit weights come faster than an accumulator is free again.
DEEP = replace(WIDE, name="deep", control=replace(WIDE.control, family="ecp5", clock_mhz=FAMILIES["ecp5"].fastest_mhz))

# The widest bus, over four ports, a beat of which holds the exponents of four blocks or of the two that a head has; a
# block is a word.
WIDEST = AcceleratorConfig(
    name="widest",
    bus=Bus(data_bits=1024, address_bits=40, outstanding=8, burst_beats=8, ports=4, port_address_bits=24),
    array=Array(rows=1, channels=8),
    vector=Vector(lanes=32, chunk=8, scratchpad_words=1024, activation_words=512, parameter_words=64),
    cache=Cache(pages=9, sequences=1, pages_per_sequence=4, tail_words=64),
    stream=Stream(fifo_beats=64, scale_fifo_beats=16, attention_lag=2),
    control=Control(program_words=64, top_k=3),
)


def small_model(
    config: AcceleratorConfig, seed: int = 5, formats: dict[str, str] | None = None, **changes: Any
) -> CompiledModel:
    """A random model of 2 layers on a config; `changes` are those of `random_config`."""
    return compile_model(random_model(random_config(**changes), seed, MIXED if formats is None else formats), config)


def tokens(count: int, seed: int = 1) -> tuple[int, ...]:
    """Random tokens of the vocabulary of 100."""
    return tuple(np.random.default_rng(seed).integers(0, 100, count).tolist())


@dataclass(frozen=True)
class Recording:
    """One job as the RTL did it: what its instructions wrote, and where the golden machine says that rows stand."""

    retired: list[Retired]
    writes: list[Writes]


class Pair:
    """Both machines as one `Accelerator`: every job must be equal in every tensor and leave equal memories behind.

    Parameters
    ----------
    latency : cycles of the RTL's memory, which is ideal unless `memory` is given.

    Attributes
    ----------
    recordings : what the RTL did, job by job.
    """

    def __init__(
        self, compiled: CompiledProgram, *, latency: int = LATENCY_CYCLES, memory: MemoryModel | None = None
    ) -> None:
        self.compiled = compiled
        size = memory_bytes_for(compiled.config, compiled.memory.total_bytes)
        timing = memory or ideal_memory(latency)
        self.device = RtlDevice(compiled.config, size, memory=timing, record=memory is not None)
        self.rtl = RegisterAccelerator(self.device)
        self._retired: list[Retired] = []
        self.golden = GoldenAccelerator(self._retired.append)
        self.recordings: list[Recording] = []
        self.load(self.compiled)

    def load(self, compiled: CompiledProgram) -> None:
        """Load both, once; the cache of both is poison."""
        assert compiled is self.compiled
        self.rtl.load(compiled)
        self.golden.load(compiled)
        if not self.recordings:
            self.poison()

    def poison(self) -> None:
        """Forget what is in the cache of both."""
        self.golden.machine.memory[len(self.compiled.image) :] = POISON
        self.device.memory[len(self.compiled.image) :] = POISON

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
        """Run a job on both and compare all that they wrote."""
        result = self.rtl.run(job, on_token)
        self._retired.clear()
        expected = self.golden.run(job)
        recording = Recording(list(self._retired), list(self.device.writes()))
        self.recordings.append(recording)
        comparison = Comparison(self.compiled)
        comparison.compare(recording.retired, recording.writes)
        comparison.compare_results(expected, result)
        assert comparison.bit_exact, str(comparison.mismatch)
        self.compare_memory()
        return result

    def compare_memory(self) -> None:
        """Every byte: the image as it was, the cache as it should be, poison everywhere else."""
        memory = self.golden.machine.memory
        wrong = np.flatnonzero(memory != self.device.memory[: len(memory)])
        assert wrong.size == 0, f"{wrong.size} bytes differ, the first at {wrong[0]:#x}"
        assert (self.device.memory[len(memory) :] == POISON).all()

    def fails(self, job: Job) -> tuple[str, int]:
        """Run on the RTL a job that must end in an error; its status and address. What it did until then is dropped."""
        try:
            result = self.rtl.run(job)
        except AcceleratorError as error:
            list(self.device.writes())
            return error.status, error.address
        raise AssertionError(f"the job succeeded: {result.tokens}")


def find(compiled: CompiledModel, opcode: int, number: int = 0) -> int:
    """Index of the `number`-th instruction with an opcode."""
    return [i for i, instruction in enumerate(compiled.program) if instruction.opcode == opcode][number]
