"""The RTL in simulation as a `Device`, and what it wrote, instruction by instruction."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..arch.config import AcceleratorConfig, derive
from ..arch.registers import offsets
from .build import build_device
from .dram import MemoryModel, ideal_memory
from .ledger import Ledger, declare, read_ledger
from .replay import REQUEST, DramStatistics, read_counters, replay, to_struct

SLICE_CYCLES = 100_000
"""Cycles of one call into the library: short enough for Ctrl-C and progress, long enough to cost nothing."""


class SimulationError(RuntimeError):
    """The simulated hardware does not answer."""


@dataclass(frozen=True, eq=False)
class Writes:
    """What was written between two retirements.

    Attributes:
        index, layer, pass_index: the instruction that retired at the end. cycle: when.
        scratchpad, activation, cache: structured arrays of the writes, in order; see `RtlDevice.trace_types`.
    """

    index: int
    layer: int
    pass_index: int
    cycle: int
    scratchpad: NDArray[np.void]
    activation: NDArray[np.void]
    cache: NDArray[np.void]


class RtlDevice:
    """The compiled accelerator with a memory behind it.

    Parameters
    ----------
    memory_bytes : int
        Size of the memory; it starts as 0xA5 throughout, so that reading what nobody wrote shows.
    trace : bool
        Keep what every instruction writes, for `writes`.
    waves : Path or None
        Write a VCD there.
    memory : MemoryModel or None
        The timing of the memory; None is the ideal one.
    record : bool
        Keep the requests to the memory (24 bytes each), for `dram_statistics`.
    gated : bool
        Faster; the same in every cycle.

    Raises
    ------
    BuildError, ToolMissing, CacheError, MemoryError
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        memory_bytes: int,
        *,
        trace: bool = True,
        waves: Path | None = None,
        memory: MemoryModel | None = None,
        record: bool = False,
        gated: bool = True,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.config = config
        library = ctypes.CDLL(
            str(build_device(config, trace=trace, waves=waves is not None, gated=gated, report=report))
        )
        _declare(library)
        declare(library)
        self._library = library
        self.model = ideal_memory() if memory is None else memory
        self._handle = library.celosia_create(memory_bytes, to_struct(library, self.model.parameters(config)))
        if not self._handle:
            raise MemoryError(f"no {memory_bytes:,} bytes for the simulated memory")
        pointer = library.celosia_memory(self._handle)
        self.memory = np.ctypeslib.as_array(pointer, shape=(memory_bytes,))
        self.memory[:] = 0xA5
        self.seconds = self.cpu_seconds = 0.0
        self.on_slice: Callable[[], None] | None = None
        self.doorbell = 0
        library.celosia_record(self._handle, record)
        if trace:
            library.celosia_trace(self._handle, 1)
        if waves is not None and library.celosia_open_waves(self._handle, str(waves).encode()):
            raise OSError(f"{waves}: cannot be written")

    def close(self) -> None:
        """Free the simulation; finishes the waves."""
        if self._handle:
            self._library.celosia_destroy(self._handle)
            self._handle = None

    @property
    def cycles(self) -> int:
        """Clock cycles since the reset."""
        return int(self._library.celosia_cycles(self._handle))

    def read_register(self, register: str | int) -> int:
        """Value of a register."""
        value = ctypes.c_uint32()
        self._check(self._library.celosia_read(self._handle, _offset(register), ctypes.byref(value)), register)
        return value.value

    def write_register(self, register: str | int, value: int) -> None:
        """Set a register."""
        if register == "CONTROL":
            self.doorbell = self.cycles
        self._check(self._library.celosia_write(self._handle, _offset(register), value), register)

    def read_memory(self, address: int, size: int) -> np.ndarray:
        """`size` bytes, uint8."""
        return self.memory[address : address + size].copy()

    def write_memory(self, address: int, data: np.ndarray) -> None:
        """Write uint8 bytes.

        Raises
        ------
        ValueError
            Outside the memory.
        """
        if not 0 <= address <= len(self.memory) - len(data):
            raise ValueError(f"address {address:#x} + {len(data)} bytes: the memory has {len(self.memory)} bytes")
        self.memory[address : address + len(data)] = data

    def dram_statistics(self, start: int = 0, end: int | None = None, outstanding: int | None = None) -> DramStatistics:
        """What the memory did, and what it would have delivered to a consumer that is always ready.

        Parameters
        ----------
        start, end : int
            Cycles since the reset: the requests whose address was taken in [start, end); None is now.
        outstanding : int or None
            Reads in flight of that consumer; None is as many as the memory takes.

        Raises
        ------
        ValueError
            The requests were not recorded, or there are none in that time.
        """
        end = self.cycles if end is None else end
        taken = self.requests()
        taken = taken[(taken["cycle"] >= start) & (taken["cycle"] < end)]
        if not len(taken):
            raise ValueError(f"no request was recorded in cycles {start} to {end}: make the device with record=True")
        best = replay(self.model, self.config, taken, outstanding=outstanding)
        bus = derive(self.config).bus_bytes
        return DramStatistics(
            name=self.model.name,
            cycles=end - start,
            bytes_read=bus * int(taken["beats"][taken["write"] == 0].sum()),
            bytes_written=bus * int(taken["beats"][taken["write"] == 1].sum()),
            port_bytes_per_cycle=bus,
            peak_bytes_per_cycle=self.model.peak_bytes_per_cycle(self.config),
            deliverable_cycles=best.cycles,
            counters=read_counters(self._library, self._handle),
        )

    def requests(self) -> NDArray[np.void]:
        """The requests that were recorded since the reset, in the order in which they were taken; see `REQUEST`."""
        data = ctypes.c_void_p()
        count = int(self._library.celosia_requests(self._handle, ctypes.byref(data)))
        if not count:
            return np.zeros(0, REQUEST)
        buffer = (ctypes.c_uint8 * (count * REQUEST.itemsize)).from_address(int(data.value or 0))
        return np.frombuffer(bytes(buffer), REQUEST)

    def fail_range(self, low: int, high: int) -> None:
        """Answer bursts in [low, high) with an error, until called with an empty range."""
        self._library.celosia_fail(self._handle, low, high)

    def wait_interrupt(self, timeout: float) -> bool:
        """Run the clock until the interrupt, at most `timeout` seconds of this machine's time."""
        start, cpu = time.perf_counter(), time.thread_time()
        while True:
            done = self._library.celosia_run(self._handle, SLICE_CYCLES) < SLICE_CYCLES
            elapsed = time.perf_counter() - start
            if self.on_slice is not None:
                self.on_slice()
            if done or elapsed > timeout:
                self.seconds += elapsed
                self.cpu_seconds += time.thread_time() - cpu
                return bool(done)

    def keep_writes(self, keep: bool) -> None:
        """Whether the writes of every instruction are kept, for `writes`; a long job has many."""
        self._library.celosia_trace(self._handle, keep)

    def watch(self, first: int = 0, last: int = 0) -> None:
        """Count from now on, in a new ledger, the cycles of a job from its sample `first` to its sample `last`.

        0 is the job's start as `first` and its end as `last`; needs `trace`.
        """
        self._library.celosia_watch(self._handle, first, last)

    def ledger(self) -> Ledger:
        """What was counted since `watch`."""
        return read_ledger(self._library, self._handle)

    def trace_types(self) -> tuple[np.dtype, np.dtype, np.dtype, np.dtype]:
        """Record types of the lists: scratchpad, activation, cache, retired. `data` is a port, little endian."""
        sizes = [self._list(0, which)[1] for which in range(4)]
        return (
            np.dtype([("address", "<u4"), ("mask", "<u4"), ("data", "u1", (sizes[0] - 8,))]),
            np.dtype([("address", "<u4"), ("banks", "<u4"), ("data", "u1", (sizes[1] - 8,))]),
            np.dtype([("data", "u1", (sizes[2],))]),
            np.dtype(
                [(name, "<u4") for name in ("index", "layer", "pass", "scratchpad", "activation", "cache")]
                + [("cycle", "<u8")]
            ),
        )

    def writes(self) -> Iterator[Writes]:
        """What was written since the last call, one item per retired instruction, chunk by chunk; then forget it.

        Call it when the device is idle: what follows the last retirement is forgotten too.
        """
        chunks = range(self.config.vector.chunks)
        types = self.trace_types()
        logs = [[self._records(chunk, which, dtype) for which, dtype in enumerate(types)] for chunk in chunks]
        self._library.celosia_trace_clear(self._handle)
        for scratchpad, activation, cache, retired in logs:
            start = (0, 0, 0)
            for record in retired:
                end = (int(record["scratchpad"]), int(record["activation"]), int(record["cache"]))
                parts = [part[a:b] for part, a, b in zip((scratchpad, activation, cache), start, end, strict=True)]
                index, layer, pass_index = int(record["index"]), int(record["layer"]), int(record["pass"])
                yield Writes(index, layer, pass_index, int(record["cycle"]), *parts)
                start = end

    def _list(self, chunk: int, which: int) -> tuple[int, int, int]:
        data, size = ctypes.c_void_p(), ctypes.c_uint32()
        count = self._library.celosia_trace_list(self._handle, chunk, which, ctypes.byref(data), ctypes.byref(size))
        return int(count), int(size.value), int(data.value or 0)

    def _records(self, chunk: int, which: int, dtype: np.dtype) -> NDArray[np.void]:
        count, size, address = self._list(chunk, which)
        if count == 0:
            return np.zeros(0, dtype)
        buffer = (ctypes.c_uint8 * (count * size)).from_address(address)
        return np.frombuffer(bytes(buffer), dtype)

    def _check(self, code: int, register: str | int) -> None:
        if code:
            problem = "does not answer" if code == -1 else "answers with an error"
            raise SimulationError(f"register {register}: the device {problem}")


def memory_bytes_for(config: AcceleratorConfig, total: int) -> int:
    """Simulated memory for a map of `total` bytes: whole beats and a guard page of poison behind it."""
    bus = derive(config).bus_bytes
    return -(-total // bus) * bus + 4096


def _offset(register: str | int) -> int:
    return offsets()[register] if isinstance(register, str) else register


def _declare(library: ctypes.CDLL) -> None:
    handle, word, long = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
    signatures = {
        "celosia_create": (handle, [long, handle]),
        "celosia_destroy": (None, [handle]),
        "celosia_memory": (ctypes.POINTER(ctypes.c_uint8), [handle]),
        "celosia_cycles": (long, [handle]),
        "celosia_write": (ctypes.c_int, [handle, word, word]),
        "celosia_read": (ctypes.c_int, [handle, word, ctypes.POINTER(word)]),
        "celosia_run": (long, [handle, long]),
        "celosia_fail": (None, [handle, long, long]),
        "celosia_record": (None, [handle, ctypes.c_int]),
        "celosia_requests": (long, [handle, ctypes.POINTER(ctypes.c_void_p)]),
        "celosia_counters": (None, [handle, handle]),
        "celosia_dram_fields": (ctypes.c_char_p, []),
        "celosia_dram_counters": (ctypes.c_char_p, []),
        "celosia_open_waves": (ctypes.c_int, [handle, ctypes.c_char_p]),
        "celosia_trace": (None, [handle, ctypes.c_int]),
        "celosia_trace_clear": (None, [handle]),
        "celosia_trace_list": (
            long,
            [handle, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(word)],
        ),
    }
    for name, (result, arguments) in signatures.items():
        if hasattr(library, name):
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
