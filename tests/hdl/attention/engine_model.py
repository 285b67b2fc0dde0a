"""The matrix engine as the attention unit sees it, exact, one micro-op a cycle."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

import numpy as np
from amaranth.lib import data

from celosia.arch.formats import BLOCK
from celosia.hdl.interfaces import Interfaces

from ...harness.bench import Bench
from ...harness.layouts import unpack
from ..arithmetic.exact import add, decode, rne32


class EngineModel:
    """Takes micro-ops and tiles, reads activations here and probabilities in the design, returns results.

    Parameters
    ----------
    bench : Bench
    interfaces : Interfaces
    stall : float
        On all three streams, and of the model itself.
    latency : int
        Cycles from a `last` micro-op to its result.
    """

    def __init__(self, bench: Bench, interfaces: Interfaces, *, stall: float, latency: int) -> None:
        self.interfaces = interfaces
        self.rows, self.channels = interfaces.rows, interfaces.channels
        self.operations = bench.sink("o", shape=interfaces.micro_op, stall=stall)
        self.tiles = bench.sink("o_tile", shape=None, stall=stall)
        self.results = bench.source("i_result", shape=interfaces.result, stall=stall)
        self.activations: dict[tuple[int, int], tuple[np.ndarray, int]] = {}
        self.stall, self.latency = stall, latency
        self.random = Random(bench.random.getrandbits(32))
        self.dut: Any = bench.dut
        self.cycle = 0
        self.issued: dict[str, Any] | None = None
        self.reading: dict[str, Any] | None = None
        self.tile: dict[str, Any] = {}
        self.accumulators: dict[int, list[list[int]]] = {}
        self.leaving: deque[tuple[int, dict[str, Any]]] = deque()
        self.words = data.ArrayLayout(interfaces.am_word, self.rows)
        self.dut.probabilities__en.value = 0
        bench._streams.append(self)

    def drive(self) -> None:
        """Issue the next micro-op, if its tile is here."""
        while self.leaving and self.leaving[0][0] <= self.cycle:
            self.results.send([self.leaving.popleft()[1]])
        operations = self.operations.received
        ready = operations and (self.tiles.received or not operations[0]["take_tile"])
        self.issued = operations.pop(0) if ready and self.random.random() >= self.stall else None
        if self.issued is not None and self.issued["take_tile"]:
            self.issued["tile"] = unpack(self.interfaces.tile, self.tiles.received.pop(0))
        reads = self.issued is not None and self.issued["probabilities"]
        self.dut.probabilities__en.value = int(bool(reads))
        if reads:
            self.dut.probabilities__address.value = self.issued["address"]

    def sample(self) -> None:
        """At the edge after the issue the memory reads, at the next one its word is here."""
        self.cycle += 1
        if self.reading is not None:
            self._execute(self.reading)
        self.reading, self.issued = self.issued, None

    def _execute(self, op: dict[str, Any]) -> None:
        if op["take_tile"]:
            tile = op["tile"]
            assert tile["significand"] == [1] * self.channels
            assert not any(map(any, (tile["scale_negative"], tile["minimum_significand"])))
            self.tile = {"weights": np.array(tile["weights"], np.int64), "exponent": tile["exponent"]}
        words = unpack(self.words, int(self.dut.probabilities__data.value)) if op["probabilities"] else None
        old = self.accumulators.get(op["accumulator"])
        new = []
        for row in range(self.rows):
            if words is not None:
                q, exponent, shift = np.array(words[row]["q"], np.int64), words[row]["exponent"], words[row]["shift"]
            else:
                noise = (np.full(BLOCK, self.random.randint(-100, 100)), 3)
                (q, exponent), shift = self.activations.get((row, op["address"]), noise), 0
            dots = (self.tile["weights"] @ q).tolist()
            values = [rne32(dot, exponent + e)[0] for dot, e in zip(dots, self.tile["exponent"], strict=True)]
            base = [0] * self.channels if op["first"] else [scale2(a, -shift) for a in old[row]]
            new.append([add(a, b, 0)[0] for a, b in zip(base, values, strict=True)])
        self.accumulators[op["accumulator"]] = new
        if op["last"]:
            self.leaving.append((self.cycle + self.latency, {"tag": op["tag"], "values": new}))
            del self.accumulators[op["accumulator"]]


def scale2(word: int, exponent: int) -> int:
    """rne32(word x 2^exponent)."""
    n, e = decode(word)
    return rne32(n, e + exponent)[0]
