"""Both ends of an Amaranth stream at a bench: a source that stalls and a sink that pushes back, at random and by seed.

They hold no coroutine of their own: the bench's one loop calls `sample` just before each rising edge takes effect and
`drive` for what follows it, which is several times faster than a coroutine per stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from random import Random
from typing import Any

from amaranth.hdl import Shape, ShapeLike, unsigned

from .layouts import Fields, pack, unpack


class _End:
    """What both ends share: the three ports, the stall generator and the count of transfers.

    Parameters
    ----------
    dut : cocotb handle
    prefix : str
        Port prefix: ``i`` for ``i__payload``, ``i__valid``, ``i__ready``.
    shape : ShapeLike or None
        Payload shape, to give and get dicts and lists; None for plain unsigned integers.
    stall : float
        Probability, each cycle, of not offering (source) or not accepting (sink). 0 is full speed.
    random : Random
    """

    def __init__(self, dut: Any, prefix: str, *, shape: ShapeLike | None, stall: float, random: Random) -> None:
        if not 0 <= stall < 1:
            raise ValueError(f"stall of stream {prefix!r} must be in [0, 1), not {stall!r}")
        self.prefix = prefix
        self.stall = stall
        self.random = random
        self.transfers = 0
        self._valid = getattr(dut, f"{prefix}__valid")
        self._ready = getattr(dut, f"{prefix}__ready")
        # Amaranth leaves out ports of width 0: such a stream carries events only.
        empty = shape is not None and Shape.cast(shape).width == 0
        self._payload = None if empty else getattr(dut, f"{prefix}__payload")
        self.shape = unsigned(len(self._payload)) if shape is None else shape

    def _stalls(self) -> bool:
        return self.stall > 0 and self.random.random() < self.stall


class Source(_End):
    """Drives a stream into the design, in order. Valid never waits for ready; payload holds until transferred."""

    def __init__(self, dut: Any, prefix: str, *, shape: ShapeLike | None, stall: float, random: Random) -> None:
        super().__init__(dut, prefix, shape=shape, stall=stall, random=random)
        self._pending: deque[int] = deque()
        self._offering = False
        self._valid.value = 0

    def send(self, values: Iterable[Fields]) -> None:
        """Queue payloads; they leave as the design takes them."""
        self._pending.extend(pack(self.shape, value) for value in values)

    @property
    def idle(self) -> bool:
        """True once everything queued was transferred."""
        return not self._pending

    def sample(self) -> None:
        """Take note of a transfer at this edge."""
        if self._offering and int(self._ready.value):
            self._pending.popleft()
            self.transfers += 1
            self._offering = False

    def drive(self) -> None:
        """Offer the next payload, unless one is on offer or this cycle stalls."""
        if self._offering:
            return
        self._offering = bool(self._pending) and not self._stalls()
        self._valid.value = int(self._offering)
        if self._payload is not None:
            # While nothing is valid the payload is noise, so that a design that reads it anyway fails.
            self._payload.value = self._pending[0] if self._offering else self.random.getrandbits(len(self._payload))

    def __str__(self) -> str:
        return f"source {self.prefix}: {self.transfers} sent, {len(self._pending)} to go, valid {int(self._offering)}"


class Sink(_End):
    """Takes a stream from the design and checks its rules: once valid, valid and payload hold until transferred."""

    def __init__(self, dut: Any, prefix: str, *, shape: ShapeLike | None, stall: float, random: Random) -> None:
        super().__init__(dut, prefix, shape=shape, stall=stall, random=random)
        self.received: list[Fields] = []
        self._accepting = False
        self._held: int | None = None
        self._ready.value = 0

    def sample(self) -> None:
        """Record a transfer at this edge.

        Raises
        ------
        AssertionError
            If valid fell, or the payload changed, before the transfer.
        """
        if not int(self._valid.value):
            assert self._held is None, f"{self.prefix}: valid fell before ready, after {self.transfers} transfers"
            return
        payload = 0 if self._payload is None else int(self._payload.value)
        assert self._held in (None, payload), (
            f"{self.prefix}: payload changed from {self._held:#x} to {payload:#x} before ready, "
            f"after {self.transfers} transfers"
        )
        self._held = payload
        if self._accepting:
            self.received.append(unpack(self.shape, payload))
            self.transfers += 1
            self._held = None

    def drive(self) -> None:
        """Decide whether to accept in the coming cycle."""
        accepting = not self._stalls()
        if accepting != self._accepting:
            self._accepting = accepting
            self._ready.value = int(accepting)

    def __str__(self) -> str:
        return f"sink {self.prefix}: {self.transfers} received, ready {int(self._accepting)}"
