"""What every cycle of a job was for: the two ledgers of docs/bench.md, as `ledger.hpp` counts them."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..hdl.control.trace import ARRAY_CLASSES, BUS_CLASSES

CLASSES, OWNERS, BUCKETS = 20, 256, 4096
"""As in `ledger.hpp`."""

NOBODY = OWNERS - 1
"""Owner of the cycles in which no instruction runs."""

UNITS = ("embedding", "vector", "matrix", "attention", "row_reader", "row_writer", "softmax", "writer")
"""Units of the intervals; those before the softmax execute instructions."""

BUS_USEFUL, ARRAY_USEFUL = ("stream", "auxiliary"), ("matmul", "attention")
"""Classes of cycles in which something was done; all others are stalls, and causes."""

COUNTS = np.dtype(
    [
        ("cycles", "<u8"),
        ("samples", "<u8"),
        ("dropped", "<u8"),
        ("bucket_cycles", "<u8"),
        ("bus", "<u8", (OWNERS, CLASSES)),
        ("array", "<u8", (OWNERS, CLASSES)),
        ("busy", "<u8", (len(UNITS), OWNERS)),
        ("bus_buckets", "<u4", (BUCKETS, CLASSES)),
        ("array_buckets", "<u4", (BUCKETS, CLASSES)),
    ]
)

INTERVALS = np.dtype(
    [("begin", "<u8"), ("end", "<u8"), ("unit", "<u4"), ("index", "<u4"), ("layer", "<u4"), ("chunk", "<u4")]
)


@dataclass(frozen=True, eq=False)
class Ledger:
    """Counts of the cycles that were watched.

    Attributes
    ----------
    cycles : all of them; each is in one class of `bus` and in one of `array`.
    bus, array : int64 [OWNERS, classes], by the instruction that ran (`NOBODY`: none) and by class, as in `BUS_CLASSES`
        and `ARRAY_CLASSES`.
    busy : int64 [units, OWNERS], cycles that a unit worked on an instruction.
    bucket_cycles : cycles of a bucket; the last one may be shorter.
    bus_buckets, array_buckets : int64 [buckets, classes], along the time.
    intervals : `INTERVALS` in order of their ends: when a unit worked on what; cycles count from 0.
    dropped : intervals that found no room.
    """

    cycles: int
    bus: NDArray[np.int64]
    array: NDArray[np.int64]
    busy: NDArray[np.int64]
    bucket_cycles: int
    bus_buckets: NDArray[np.int64]
    array_buckets: NDArray[np.int64]
    intervals: NDArray[np.void]
    dropped: int

    def bus_cycles(self, owner: int | None = None) -> dict[str, int]:
        """Cycles by class of the bus, of one instruction or of all."""
        return _by_name(self.bus, BUS_CLASSES, owner)

    def array_cycles(self, owner: int | None = None) -> dict[str, int]:
        """Cycles by class of the array, of one instruction or of all."""
        return _by_name(self.array, ARRAY_CLASSES, owner)


def _by_name(counts: NDArray[np.int64], names: tuple[str, ...], owner: int | None) -> dict[str, int]:
    row = counts.sum(axis=0) if owner is None else counts[owner]
    return {name: int(cycles) for name, cycles in zip(names, row, strict=True)}


def declare(library: ctypes.CDLL) -> None:
    """Signatures of the ledger's functions, where the library has them."""
    if hasattr(library, "celosia_watch"):
        library.celosia_watch.restype = None
        library.celosia_watch.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]
        library.celosia_ledger.restype = ctypes.c_uint64
        library.celosia_ledger.argtypes = [ctypes.c_void_p, *(ctypes.POINTER(ctypes.c_void_p),) * 2]


def read_ledger(library: ctypes.CDLL, handle: int) -> Ledger:
    """What a device counted since `celosia_watch`."""
    counts_at, intervals_at = ctypes.c_void_p(), ctypes.c_void_p()
    number = int(library.celosia_ledger(handle, ctypes.byref(counts_at), ctypes.byref(intervals_at)))
    counts = np.frombuffer(ctypes.string_at(counts_at.value or 0, COUNTS.itemsize), COUNTS)[0]
    raw = ctypes.string_at(intervals_at.value or 0, number * INTERVALS.itemsize) if number else b""
    cycles, bucket = int(counts["cycles"]), int(counts["bucket_cycles"])
    used = -(-cycles // bucket)
    return Ledger(
        cycles=cycles,
        bus=_classes(counts["bus"], len(BUS_CLASSES)),
        array=_classes(counts["array"], len(ARRAY_CLASSES)),
        busy=counts["busy"].astype(np.int64),
        bucket_cycles=bucket,
        bus_buckets=_classes(counts["bus_buckets"][:used], len(BUS_CLASSES)),
        array_buckets=_classes(counts["array_buckets"][:used], len(ARRAY_CLASSES)),
        intervals=np.frombuffer(raw, INTERVALS),
        dropped=int(counts["dropped"]),
    )


def _classes(counts: NDArray[np.unsignedinteger], names: int) -> NDArray[np.int64]:
    """The columns that have a name; where no condition holds the device counts in the last column."""
    wide = counts.astype(np.int64)
    return np.concatenate([wide[:, : names - 1], wide[:, -1:]], axis=1)
