"""Where the bytes of a bus of several ports stand in the memory that the ports share (docs/memory.md)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...arch.config import Bus


def regions(bus: Bus) -> list[tuple[int, int]]:
    """Address and bytes of each port's memory: one behind the other, or, of the only port, all that it can address."""
    if bus.ports == 1:
        return [(0, 1 << bus.address_bits)]
    size = 1 << bus.port_address_bits
    return [(port * size, size) for port in range(bus.ports)]


@dataclass(frozen=True)
class Part:
    """What one port has of some consecutive bytes: consecutive too, in its own region.

    Attributes:
        port: its number.
        address: in the memory.
        low, high: of the port's bytes in all beats that are touched, one behind the other, those that are meant.
    """

    port: int
    address: int
    low: int
    high: int


def parts(bus: Bus, address: int, size: int) -> Iterator[Part]:
    """The part of each port that has one, of `size` bytes at an address of the bus."""
    beat, share = bus.data_bits // 8, bus.data_bits // 8 // bus.ports
    first, last = address // beat, (address + size - 1) // beat
    for port in range(bus.ports):
        low = min(max(address - first * beat - port * share, 0), share)
        high = (last - first) * share + min(max(address + size - last * beat - port * share, 0), share)
        if low < high:
            yield Part(port, regions(bus)[port][0] + first * share + low, low, high)


def beats(bus: Bus, address: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Room for all beats that are touched, [beats, ports, bytes of a port], and a view of the `size` bytes in it."""
    beat = bus.data_bits // 8
    before = address % beat
    whole = np.zeros(-(-(before + size) // beat) * beat, np.uint8)
    return whole.reshape(-1, bus.ports, beat // bus.ports), whole[before : before + size]
