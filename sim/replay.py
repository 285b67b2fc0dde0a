"""What a memory delivers for a sequence of requests, without an accelerator, and how Python talks to the C++ model."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arch.config import AcceleratorConfig
from .build import build_memory
from .dram import MemoryModel

REQUEST = np.dtype([("address", "<u8"), ("cycle", "<u8"), ("beats", "<u4"), ("id", "<u2"), ("write", "<u2")])
"""One burst: address in bytes, cycle in which the address was taken, beats, AXI id, 1 for a write."""


@dataclass(frozen=True, eq=False)
class Replay:
    """What a memory made of a sequence of requests.

    Attributes
    ----------
    cycles : accelerator cycles until the last beat and response were taken.
    finished : uint64 per request, the cycle of its last beat, or of its response.
    counters : by the names of DRAM_COUNTERS in ``dram.hpp``.
    """

    cycles: int
    finished: NDArray[np.uint64]
    counters: dict[str, int]


@dataclass(frozen=True)
class DramStatistics:
    """What the memory of a device did in a stretch of time.

    Attributes
    ----------
    name : of the memory model.
    cycles : accelerator cycles of the stretch.
    bytes_read, bytes_written : whole beats of the bursts that were asked for in it.
    port_bytes_per_cycle : a beat of the AXI port, which reads and writes on channels of their own.
    peak_bytes_per_cycle : of all data buses of the DRAM; None for an ideal memory.
    deliverable_cycles : cycles that a fresh memory takes for the same bursts, for a consumer that is always ready.
    counters : of the device since its reset: row hits, misses (no row open), conflicts (another one open), refreshes,
        clocks of the data buses (`data_clocks`) and of waiting for refreshes (`refresh_clocks`), in memory clocks.
    """

    name: str
    cycles: int
    bytes_read: int
    bytes_written: int
    port_bytes_per_cycle: int
    peak_bytes_per_cycle: float | None
    deliverable_cycles: int
    counters: dict[str, int]

    @property
    def share_of_peak(self) -> float:
        """How busy the busiest is: the port's read channel, its write channel, or the data buses of the DRAM."""
        shares = [moved / self.port_bytes_per_cycle for moved in (self.bytes_read, self.bytes_written)]
        if self.peak_bytes_per_cycle is not None:
            shares.append((self.bytes_read + self.bytes_written) / self.peak_bytes_per_cycle)
        return max(shares) / self.cycles

    @property
    def share_of_deliverable(self) -> float:
        """How close the accelerator came to what the memory delivers: deliverable cycles over cycles."""
        return self.deliverable_cycles / self.cycles

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        shares = {"share_of_peak": self.share_of_peak, "share_of_deliverable": self.share_of_deliverable}
        return {**vars(self), **shares}


def replay(
    model: MemoryModel,
    config: AcceleratorConfig,
    requests: NDArray[np.void],
    *,
    outstanding: int | None = None,
    timed: bool = False,
) -> Replay:
    """Give requests to a fresh memory, in their order, one a cycle at most; beats and responses are taken at once.

    Parameters
    ----------
    requests : structured array of `REQUEST`.
    outstanding : reads in flight at most; None is as many as the memory takes.
    timed : ask for none of them before its `cycle`; otherwise as soon as the memory takes it.

    Raises
    ------
    ValueError
        A burst without beats, or `outstanding` below 1.
    BuildError, ToolMissing, CacheError
    """
    if outstanding is not None and outstanding < 1:
        raise ValueError(f"outstanding = {outstanding}: must be at least 1")
    if (requests["beats"] < 1).any():
        raise ValueError("requests: beats must be at least 1 everywhere")
    library = ctypes.CDLL(str(build_memory()))
    for name in ("celosia_dram_fields", "celosia_dram_counters"):
        getattr(library, name).restype = ctypes.c_char_p
    function = library.celosia_replay
    pointer, long = ctypes.c_void_p, ctypes.c_uint64
    function.restype, function.argtypes = long, [pointer, pointer, long, ctypes.c_int64, ctypes.c_int, pointer, pointer]
    parameters = to_struct(library, model.parameters(config))
    given = np.ascontiguousarray(requests, REQUEST)
    finished = np.zeros(len(given), np.uint64)
    names = _names(library.celosia_dram_counters())
    counters = (ctypes.c_int64 * len(names))()
    most = -1 if outstanding is None else outstanding
    cycles = function(parameters, given.ctypes.data, len(given), most, timed, finished.ctypes.data, counters)
    return Replay(int(cycles), finished, dict(zip(names, counters, strict=True)))


def to_struct(library: ctypes.CDLL, values: dict[str, int]) -> ctypes.Array[ctypes.c_int64]:
    """Parameters as the C++ struct that the library names the fields of; those that are not given are 0."""
    names = _names(library.celosia_dram_fields())
    if unknown := values.keys() - set(names):
        raise ValueError(f"the memory model has no parameters {sorted(unknown)}")
    return (ctypes.c_int64 * len(names))(*(values.get(name, 0) for name in names))


def read_counters(library: ctypes.CDLL, handle: int) -> dict[str, int]:
    """The counters of a device's memory since its reset."""
    names = _names(library.celosia_dram_counters())
    values = (ctypes.c_int64 * len(names))()
    library.celosia_counters(handle, values)
    return dict(zip(names, values, strict=True))


def _names(text: bytes) -> list[str]:
    return text.decode().split()
