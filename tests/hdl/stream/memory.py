"""A memory behind an AXI4 read port that checks the master and answers as unpleasantly as AXI allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from celosia.hdl.interfaces import AUXILIARY_BURST

PAGE = 4096
SLAVE_ERROR = 2


@dataclass
class Burst:
    """A burst on its way: next address, beats left, and the cycle before which it does not answer."""

    id: int
    address: int
    left: int
    due: int


class ReadMemory:
    """Answers bursts in order per ID, beats of different IDs mixed at random.

    Checks that AR is stable until taken, that bursts are of whole aligned beats, no longer than `burst_beats`, do not
    cross 4 KiB, that no more than `outstanding` of ID 0 are in flight, and that R is always taken.

    Parameters
    ----------
    data, origin : contents, and the bus address of their first byte; what is read elsewhere fails the test.
    stall : probability per cycle that AR is not ready, and that R pauses.
    latency : cycles from AR to the first beat, at least; up to twice that if there are stalls.
    on_burst : called with (id, address, beats) of every burst.
    errors : addresses of beats that answer with SLVERR.
    """

    def __init__(
        self,
        dut: Any,
        *,
        data: bytes,
        origin: int,
        bus_bytes: int,
        burst_beats: int,
        outstanding: int,
        random: Random,
        stall: float = 0.0,
        latency: int = 1,
        on_burst: Callable[[int, int, int], None] = lambda *_: None,
        errors: frozenset[int] = frozenset(),
    ) -> None:
        self.data, self.origin, self.bus_bytes, self.burst_beats = data, origin, bus_bytes, burst_beats
        self.outstanding, self.random, self.stall, self.latency = outstanding, random, stall, latency
        self.on_burst, self.errors = on_burst, errors
        self.queues: dict[int, deque[Burst]] = {0: deque(), 1: deque()}
        self.cycle = 0
        self.beats: list[int] = []
        self.enabled = True
        self._offered: Burst | None = None
        self._held: tuple[int, ...] | None = None
        self._ready = False
        self._port = {
            name: getattr(dut, f"axi__{name}")
            for name in (
                *("arid", "araddr", "arlen", "arsize", "arburst", "arvalid", "arready"),
                *("rid", "rdata", "rresp", "rlast", "rvalid", "rready"),
            )
        }
        self._port["rvalid"].value = 0
        self._port["arready"].value = 0
        cocotb.start_soon(self._run(dut.clk))

    @property
    def in_flight(self) -> int:
        """Bursts that are not answered completely."""
        return len(self.queues[0]) + len(self.queues[1])

    def word(self, address: int) -> int:
        """The beat at a bus address."""
        start = address - self.origin
        assert 0 <= start <= len(self.data) - self.bus_bytes, f"read of {address:#x}, outside of the memory"
        return int.from_bytes(self.data[start : start + self.bus_bytes], "little")

    async def _run(self, clock: Any) -> None:
        edge = RisingEdge(clock)
        while True:
            await edge
            self.cycle += 1
            self._sample()
            self._drive()

    def _sample(self) -> None:
        port = self._port
        if int(port["arvalid"].value):
            values = tuple(int(port[name].value) for name in ("arid", "araddr", "arlen", "arsize", "arburst"))
            assert self._held in (None, values), f"AR changed from {self._held} to {values} before it was taken"
            self._held = values
            if self._ready:
                self._held = None
                self._take(*values)
        else:
            assert self._held is None, "arvalid fell before arready"
        if self._offered is not None:
            assert int(port["rready"].value), "the reader must always take data"
            if self._offered.id == 0:
                self.beats.append(self.cycle)
            self._offered.address += self.bus_bytes
            self._offered.left -= 1
            if not self._offered.left:
                self.queues[self._offered.id].popleft()
            self._offered = None

    def _take(self, id_: int, address: int, length: int, size: int, kind: int) -> None:
        beats = length + 1
        assert 1 << size == self.bus_bytes and kind == 1, f"size {size}, burst type {kind}"
        assert address % self.bus_bytes == 0, f"burst at {address:#x} is not aligned"
        assert beats <= (self.burst_beats if id_ == 0 else AUXILIARY_BURST), f"burst of {beats} beats for ID {id_}"
        assert address // PAGE == (address + beats * self.bus_bytes - 1) // PAGE, f"{address:#x}+{beats} crosses 4 KiB"
        due = self.cycle + self.latency + (self.random.randrange(self.latency + 1) if self.stall else 0)
        self.queues[id_].append(Burst(id_, address, beats, due))
        assert len(self.queues[0]) <= self.outstanding, f"{len(self.queues[0])} bursts in flight"
        self.on_burst(id_, address, beats)

    def _drive(self) -> None:
        port, random = self._port, self.random
        self._ready = self.enabled and not (self.stall and random.random() < self.stall)
        port["arready"].value = int(self._ready)
        ripe = [queue[0] for queue in self.queues.values() if queue and queue[0].due <= self.cycle]
        if ripe and self.enabled and not (self.stall and random.random() < self.stall):
            burst = self._offered = random.choice(ripe)
            port["rid"].value = burst.id
            port["rdata"].value = self.word(burst.address)
            port["rresp"].value = SLAVE_ERROR if burst.address in self.errors else 0
            port["rlast"].value = int(burst.left == 1)
        else:
            port["rdata"].value = random.getrandbits(8 * self.bus_bytes)
        port["rvalid"].value = int(self._offered is not None)
