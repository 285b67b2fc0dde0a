"""The weight stream: when beats arrive and when their places in the FIFO are free again."""

from bisect import bisect_left
from dataclasses import dataclass
from math import ceil

from ...arch.config import AcceleratorConfig, derive

IN_TRANSIT = 5
MOST_REGIONS = 32
ASK = 7
"""Cycles from a free place to the address on the bus and, at the other end, from the bus into the FIFO."""

THROUGH = 7
"""Cycles from the bus to a unit at the FIFO's output."""

UNITS_AHEAD = 4
"""Units that left the FIFO ahead of the consumer."""

KEPT = 512
"""Points of the consumption that are remembered at least."""


class Line:
    """When how much was done: straight lines between points, of which the last ones are kept."""

    def __init__(self) -> None:
        self._amounts, self._times = [0.0], [0.0]

    def point(self, amount: float, time: float) -> None:
        """`amount` in all was done at `time`; both never less than at the point before."""
        self._amounts.append(amount)
        self._times.append(max(time, self._times[-1]))
        if len(self._amounts) > 2 * KEPT:
            del self._amounts[:KEPT], self._times[:KEPT]

    def at(self, amount: float) -> float:
        """When `amount` was done; before anything else if that is nothing."""
        index = bisect_left(self._amounts, amount)
        if amount <= 0 or index == 0:
            return float("-inf") if amount <= 0 else self._times[0]
        if index == len(self._amounts):
            return self._times[-1]
        low, high = self._amounts[index - 1], self._amounts[index]
        share = (amount - low) / (high - low)
        return self._times[index - 1] + share * (self._times[index] - self._times[index - 1])

    def shift(self, cycles: float) -> None:
        """Everything later by `cycles`."""
        self._times = [time + cycles for time in self._times]


@dataclass(frozen=True)
class Taken:
    """When a region's first unit could be taken, and its last one was."""

    first: float
    last: float


class Stream:
    """Beats in program order through a FIFO of `room` beats, at most one a cycle.

    Arrival and consumption are lines between points: a region is walked in pieces of a burst as long as the FIFO's
    level may still change, the rest of it in one.

    Parameters:
        latency: cycles from a read's address to its first beat.
    """

    def __init__(self, config: AcceleratorConfig, latency: int) -> None:
        derived, stream = derive(config), config.stream
        self.latency = latency
        self.burst = min(config.bus.burst_beats, stream.fifo_beats // 8, stream.scale_fifo_beats // 2)
        regions = max(2, min(MOST_REGIONS, stream.fifo_beats // (2 * derived.tile_beats)))
        self.depth, self.waste = stream.fifo_beats - IN_TRANSIT, derived.tile_beats - 1
        self.room = self.depth - self.waste * regions
        self.scale_room = stream.scale_fifo_beats - IN_TRANSIT
        self.round_trip = latency + ASK
        self.pace = max(1.0, (latency + 1 + self.burst) / (self.burst * config.bus.outstanding))
        self.payload = self.scales = 0.0
        self.arrived = 0.0
        self._payload_head = self._scale_head = 0.0
        self._payload, self._scales = Line(), Line()

    def take(
        self, beats: int, asked: float, start: float, cycles: float, *, unit: int = 1, scales: float = 0.0
    ) -> Taken:
        """A region: asked for at `asked`, taken from `start` on in `cycles` unless beats are late.

        unit: payload beats that leave the FIFO together. scales: share of scale beats, 1 for exponents, which do not
        pass through the payload FIFO.
        """
        # The head of a FIFO must be taken before what stands behind it.
        if scales < 1:
            start = max(start, self._payload_head)
        if scales:
            start = max(start, self._scale_head)
        room = self.room + UNITS_AHEAD * unit
        scale_room = self.scale_room + UNITS_AHEAD
        longest = self.burst if scales == 1 else ceil(self.burst * scales)
        each = cycles / beats
        now, first = start, -1.0
        left, walked = beats, 0
        earliest = asked + ASK + self.latency
        while left:
            step = min(self.burst, left)
            if walked > 3 * room and left > 2 * room:
                step = left - left % self.burst or left
            begin = max(self.arrived, earliest)
            if scales < 1:
                begin = max(begin, self._payload.at(self.payload + self.burst - room) + self.round_trip)
            if scales:
                begin = max(begin, self._scales.at(self.scales + longest - scale_room) + self.round_trip)
            if step > self.burst and each > self.pace:
                self.arrived = max(begin, now + (step - room) * each) + ASK
            else:
                self.arrived = begin + step * self.pace
            if first < 0:
                first = max(start, begin + min(step, unit) * self.pace + THROUGH)
            ended = max(now + step * each, self.arrived + THROUGH)
            if step > room:
                self._payload.point(self.payload + (step - room) * (1 - scales), ended - room * max(each, self.pace))
            now = ended
            self.payload += step * (1 - scales)
            self.scales += step * scales
            walked += step
            left -= step
            self._payload.point(self.payload, now)
            self._scales.point(self.scales, now)
        if scales < 1:
            self._payload_head = now
        if scales:
            self._scale_head = now
        return Taken(first, now)

    def hold(self, until: float) -> None:
        """What was taken last left the FIFOs no earlier."""
        self._payload_head = max(self._payload_head, until)
        self._scale_head = max(self._scale_head, until)

    def full(self, asked: float, scales: float, regions: list[int]) -> float:
        """When the FIFO is full, if nothing more is taken and what comes was asked for at `asked`.

        scales: share of scale beats in what comes. regions: beats of what comes.
        """
        room: float = self.depth - self.burst
        come = 0
        for beats in regions:
            come += beats
            if come >= room:
                break
            room -= self.waste
        room = min(room, (self.scale_room - ceil(self.burst * scales)) / scales)
        return max(self.arrived, asked + self.round_trip) + room * self.pace

    def shift(self, cycles: float) -> None:
        """Everything later by `cycles`."""
        self.arrived += cycles
        self._payload_head += cycles
        self._scale_head += cycles
        self._payload.shift(cycles)
        self._scales.shift(cycles)
