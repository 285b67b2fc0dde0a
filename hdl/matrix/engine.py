"""The matrix engine: micro-ops and tiles in, accumulated results out."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..arithmetic.common import delay
from ..common import SkidBuffer
from ..interfaces import Interfaces, read_port
from .accumulator import AccumulatorArray
from .dot import DotArray
from .result_queue import ResultQueue
from .scaler import BlockScaler

ENGINE_STATE = data.StructLayout({"issue": 1, "tile": 1, "room": 1, "accumulator": 1})


class Engine(wiring.Component):
    """R x C accumulators over blocks of 32: docs/numerics.md, section 4, and 8 (6) for probabilities.

    One micro-op a cycle. It waits at the input, nowhere else: for its tile (`take_tile`), for its accumulator while
    that is in the adder (`hazard_distance` cycles after the last use; one that is `first` does not wait), and, if
    `last`, for room for its result. Behind that the pipeline never stalls. The result follows `latency` cycles after
    the issue, at the earliest. How deep it is says the config's clock (`arch.pipeline`).

    The decision to issue is late in a cycle, and so is `i_tile.ready`: tiles come from a `SkidBuffer`.

    The activation blocks are read in every cycle that the micro-op waits; it takes those of the cycle of its issue.
    Their `shift` counts for the probability memory; in the activation memory it must be 0.

    Parameters
    ----------
    interfaces : Interfaces
    row_domains : sequence of str or None
        Clock domain of what is there once per row; None is ``sync``.

    Members
    -------
    i : In(stream.Signature(micro_op))
    i_tile : In(stream.Signature(tile))
    am : Out(read_port), one word for each of the R banks; am_chunk : Out(1), whose words
    probabilities : Out(read_port), the same, 16 bits of address
    o : Out(stream.Signature(result)), in the order of the `last` micro-ops
    overflow : Out(1), a value or an accumulator was saturated
    clear : In(1), forgets everything in flight

    Attributes
    ----------
    latency : int
        Cycles from the issue of a micro-op to its accumulator's sum.
    hazard_distance : int
        Cycles between two micro-ops on one accumulator.
    looks_ahead : bool
        A micro-op waits in one more register before it can issue, where its conflicts are found.
    state : Signal
        A micro-op issues, or what of tile, room and accumulator the one at the input lacks; for the trace.
    """

    def __init__(self, interfaces: Interfaces, *, row_domains: Sequence[str] | None = None) -> None:
        self.interfaces = interfaces
        self.row_domains = row_domains or ("sync",) * interfaces.rows
        shape: Any = {"rows": interfaces.rows, "channels": interfaces.channels, "row_domains": self.row_domains}
        rows = interfaces.rows
        array = interfaces.config.array
        bits = array.activation_bits
        minimum = any(f.has_minimum for f in interfaces.derived.formats)
        pipeline = interfaces.derived.pipeline
        products = array.products_per_dsp
        self.dots = DotArray(**shape, activation_bits=bits, products_per_dsp=products, registers=pipeline.dot)
        self.scaler = BlockScaler(**shape, activation_bits=bits, minimum=minimum, pipeline=pipeline)
        self.accumulators = AccumulatorArray(**shape, depth=len(interfaces.accumulator), pipeline=pipeline)
        # One cycle for the activation memory, in front of the multipliers.
        self.value_cycle = 1 + self.dots.latency + self.scaler.latency
        # In this one its accumulator is scaled.
        self.scale_cycle = self.value_cycle - pipeline.accumulate.cycles[-1]
        self.latency = self.value_cycle + pipeline.add.latency
        self.hazard_distance = pipeline.distance
        self.looks_ahead = pipeline.issue.latency > 1
        self.state = Signal(ENGINE_STATE)
        words = data.ArrayLayout(interfaces.am_word, rows)
        super().__init__(
            {
                "i": In(stream.Signature(interfaces.micro_op)),
                "i_tile": In(stream.Signature(interfaces.tile)),
                "am": Out(read_port(interfaces.am_address, words)),
                "am_chunk": Out(1),
                "probabilities": Out(read_port(unsigned(interfaces.probability_address), words)),
                "o": Out(stream.Signature(interfaces.result)),
                "overflow": Out(1),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.operations = operations = SkidBuffer(self.interfaces.micro_op)
        m.submodules.dots = self.dots
        m.submodules.scaler = self.scaler
        m.submodules.accumulators = accumulators = self.accumulators
        m.submodules.results = results = ResultQueue(self.interfaces)
        connect(m, flipped(self.i), operations.i)
        connect(m, flipped(self.o), results.o)
        m.d.comb += [block.clear.eq(self.clear) for block in (operations, accumulators, results)]

        op = Signal(self.interfaces.micro_op, reset_less=True)
        issue = Signal()
        held = Signal()
        find = self._conflict_ahead if self.looks_ahead else self._conflict
        coming, conflict = find(m, operations.o, op, held, issue)
        m.d.comb += [
            issue.eq(
                held & ~conflict & (self.i_tile.valid | ~op.take_tile) & (results.room | ~op.last),
            ),
            coming.ready.eq(~held | issue),
            self.i_tile.ready.eq(issue & op.take_tile),
            self.state.issue.eq(issue),
            self.state.tile.eq(held & op.take_tile & ~self.i_tile.valid),
            self.state.room.eq(held & op.last & ~results.room),
            self.state.accumulator.eq(held & conflict),
            results.take.eq(issue & op.last),
            results.tag.eq(op.tag),
        ]
        with m.If(coming.ready):
            m.d.sync += [held.eq(coming.valid & ~self.clear), op.eq(coming.payload)]
        with m.Elif(self.clear):
            m.d.sync += held.eq(0)
        self._operands(m, op, held)
        self._accumulate(m, op, issue)

        last = _delayed(m, op.last, self.latency, name="last")
        overflow = Signal()
        m.d.comb += [
            results.fill.eq(accumulators.o_valid & last),
            results.values.eq(accumulators.o),
            self.overflow.eq(overflow),
        ]
        valid = Signal(self.latency)
        m.d.sync += [
            valid.eq(Mux(self.clear, 0, Cat(issue, valid))),
            overflow.eq(
                (accumulators.o_valid & accumulators.overflow) | (valid[self.value_cycle - 1] & self.scaler.overflow)
            ),
        ]
        return m

    def _conflict(self, m: Module, coming: Any, op: data.View, held: Signal, issue: Signal) -> tuple[Any, Signal]:
        """Whether the accumulator that `op` reads is not yet written by an earlier micro-op.

        Found out a cycle ahead, for the micro-op that will be there: nothing but a register decides whether one issues.
        """
        conflict = Signal()
        next_op = self.interfaces.micro_op(Mux(coming.ready, Value.cast(coming.payload), Value.cast(op)))
        index, first = next_op.accumulator, next_op.first
        matches = self._matches(m, op, issue, index)
        m.d.sync += conflict.eq(Cat(matches).any() & ~first)
        return coming, conflict

    def _conflict_ahead(
        self, m: Module, operations: Any, op: data.View, held: Signal, issue: Signal
    ) -> tuple[Any, Signal]:
        """The same with one more micro-op in a register, which is compared with those in flight as it comes in.

        From then on its matches age with them, a bit a cycle, and the one that issues now is all that is compared.
        """
        coming = stream.Signature(self.interfaces.micro_op).create(path=("coming",))
        conflict = Signal()
        taken = Signal()
        same = Signal()
        found = Signal(self.hazard_distance - 1)
        waiting = Signal(self.hazard_distance - 1)
        m.d.comb += [
            taken.eq(~coming.valid | coming.ready),
            operations.ready.eq(taken),
            same.eq(op.accumulator == coming.payload.accumulator),
        ]
        matches = self._matches(m, op, issue, operations.payload.accumulator)
        m.d.sync += found.eq(Mux(taken, Cat(matches), Cat(issue & same, found)))
        with m.If(taken):
            m.d.sync += [coming.valid.eq(operations.valid), coming.payload.eq(operations.payload)]
        with m.If(self.clear):
            m.d.sync += coming.valid.eq(0)
        with m.If(issue):
            m.d.sync += conflict.eq((found[:-1].any() | same) & ~coming.payload.first)
        with m.Elif(held):
            m.d.sync += conflict.eq(waiting[:-1].any() & ~op.first)
        with m.Else():
            m.d.sync += conflict.eq(found[:-1].any() & ~coming.payload.first)
        m.d.sync += waiting.eq(Mux(coming.ready, Cat(issue & same, found), Cat(C(0, 1), waiting)))
        return coming, conflict

    def _matches(self, m: Module, op: data.View, issue: Signal, index: Value) -> list[Value]:
        """Whether an accumulator is that of the micro-op that issues now, one cycle ago, two ..."""
        used, recent = issue, op.accumulator
        matches = [used & (recent == index)]
        for age in range(1, self.hazard_distance - 1):
            next_used = Signal(name=f"recent_{age}")
            next_recent = Signal(self.interfaces.accumulator, name=f"recent_index_{age}", reset_less=True)
            m.d.sync += [next_used.eq(used & ~self.clear), next_recent.eq(recent)]
            used, recent = next_used, next_recent
            matches.append(used & (recent == index))
        return matches

    def _operands(self, m: Module, op: data.View, held: Signal) -> None:
        """Reads activations and holds the tile; feeds multipliers and, later, the scaler."""
        channels = self.interfaces.channels
        tile = Signal(self.interfaces.tile, reset_less=True)
        # Nothing as wide as a tile waits for the decision to issue: what is read too early is read again.
        with m.If(held & op.take_tile):
            m.d.sync += tile.eq(self.i_tile.payload)
        from_probabilities = _delayed(m, op.probabilities, 1, name="from_probabilities")
        words = Signal.like(self.am.data, name="words")
        m.d.comb += [
            self.am.en.eq(held & ~op.probabilities),
            self.am.address.eq(op.address),
            self.am_chunk.eq(op.chunk),
            self.probabilities.en.eq(held & op.probabilities),
            self.probabilities.address.eq(op.address),
            words.eq(Mux(from_probabilities, self.probabilities.data, self.am.data)),
            self.dots.weights.eq(tile.weights),
            self.scaler.dots.eq(self.dots.o),
        ]
        wait = self.dots.latency
        for row, domain in enumerate(self.row_domains):
            word = words[row]
            m.d.comb += [
                self.dots.q[row].eq(word.q),
                self.scaler.row_exponent[row].eq(
                    _delayed(m, word.exponent, wait, name=f"exponent_{row}", domain=domain)
                ),
                self.scaler.row_total[row].eq(_delayed(m, word.total, wait, name=f"total_{row}", domain=domain)),
                # The word is there in cycle 1 of the engine.
                self.accumulators.shift[row].eq(
                    _delayed(m, word.shift, self.scale_cycle - 1, name=f"shift_{row}", domain=domain),
                ),
            ]
        scaler = self.scaler
        for c in range(channels):
            scale = _signed_significand(tile.significand[c], tile.scale_negative[c])
            minimum = _signed_significand(tile.minimum_significand[c], tile.minimum_negative[c])
            m.d.comb += [
                scaler.scale[c].eq(_delayed(m, scale, wait, name=f"scale_{c}")),
                scaler.scale_exponent[c].eq(_delayed(m, tile.exponent[c], wait, name=f"scale_exponent_{c}")),
                scaler.minimum[c].eq(_delayed(m, minimum, wait, name=f"minimum_{c}")),
                scaler.minimum_exponent[c].eq(
                    _delayed(m, tile.minimum_exponent[c], wait, name=f"minimum_exponent_{c}")
                ),
            ]

    def _accumulate(self, m: Module, op: data.View, issue: Signal) -> None:
        """Presents index and controls to the accumulators when the value arrives."""
        accumulators = self.accumulators
        start = self.value_cycle - accumulators.value_cycle
        issued = Signal(start)
        m.d.sync += issued.eq(Mux(self.clear, 0, Cat(issue, issued)))
        m.d.comb += [
            accumulators.en.eq(issued[-1]),
            accumulators.index.eq(_delayed(m, op.accumulator, start, name="accumulator")),
            accumulators.first.eq(_delayed(m, op.first, self.scale_cycle, name="first")),
            accumulators.value.eq(self.scaler.o),
        ]


def _delayed(m: Module, value: Value, cycles: int, *, name: str, domain: str = "sync") -> Signal:
    return delay(m, value, cycles, enable=C(1), name=name, domain=domain)


def _signed_significand(significand: Value, negative: Value) -> Value:
    """Sign and magnitude to two's complement, 12 bits."""
    return Mux(negative, -significand, significand).as_signed()
