"""The best candidates of a step."""

from collections.abc import Sequence

from amaranth.hdl import C, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.pipeline import SHALLOW, Registers
from ..arithmetic.common import delay

CANDIDATE = data.StructLayout({"value": 32, "id": 20})
"""A token id and its logit, a machine float."""


def candidates_layout(at_once: int) -> data.ArrayLayout:
    """One or two candidates with ascending ids, each with whether it is there; the first is if the second is."""
    return data.ArrayLayout(data.StructLayout({"there": 1, "value": 32, "id": 20}), at_once)


def top_k_latency(at_once: int, registers: Registers) -> int:
    """Cycles from candidates to where they stand in the order."""
    return at_once + registers.latency


class TopK(wiring.Component):
    """Keeps the K largest of a stream of values, sorted.

    One candidate or two a cycle, never refused; `candidates` shows them `latency` cycles later. Of equal values the one
    that came earlier stands first: candidates come in ascending order of their ids, so ties go to the lowest id. K
    registers of 52 bits, each with a comparator for every candidate of a cycle.

    Parameters
    ----------
    depth : int, 1 to 64
        K.
    at_once : int, 1 or 2
        Candidates a cycle.
    registers : Registers
        Where they stand: `arch.pipeline.INSERT`. With one more, ids stand in their places a cycle after the values.

    Members
    -------
    i : In(stream.Signature(candidates_layout(at_once), always_ready=True))
    restart : In(1), forgets all candidates, in the pipeline as well
    candidates : Out, K of CANDIDATE, best first; those from `count` on are 0
    count : Out, candidates held

    Attributes
    ----------
    latency : int

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(self, *, depth: int, at_once: int = 1, registers: Registers = SHALLOW.insert) -> None:
        if not 1 <= depth <= 64:
            raise ValueError(f"TopK: depth must be from 1 to 64, not {depth!r}")
        if at_once not in (1, 2):
            raise ValueError(f"TopK: at_once must be 1 or 2, not {at_once!r}")
        self.depth, self.at_once = depth, at_once
        self.registers = registers
        self.latency = top_k_latency(at_once, registers)
        super().__init__(
            {
                "i": In(stream.Signature(candidates_layout(at_once), always_ready=True)),
                "restart": In(1),
                "candidates": Out(data.ArrayLayout(CANDIDATE, depth)),
                "count": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # A key is as large as its value; that of no candidate is 0, below the key of every machine float.
        keys_in, ids_in, count = [], [], Signal(range(self.at_once + 1), name="count_in")
        there = [candidate.there & self.i.valid & ~self.restart for candidate in self.i.payload]
        m.d.sync += count.eq(sum(there[1:], start=there[0]))
        for number, candidate in enumerate(self.i.payload):
            key, identity = _place(f"{number}_in", reset_less=True)
            m.d.sync += [key.eq(Mux(there[number], _order(candidate.value), 0)), identity.eq(candidate.id)]
            keys_in.append(key)
            ids_in.append(identity)
        if self.at_once == 2:
            # The larger one first, of equal ones that with the lower id.
            swap, sorted_count = keys_in[1] > keys_in[0], Signal.like(count, name="count_sorted")
            m.d.sync += sorted_count.eq(Mux(self.restart, 0, count))
            places = [_place(f"{number}_sorted", reset_less=True) for number in range(2)]
            for number, (key, identity) in enumerate(places):
                m.d.sync += [
                    key.eq(Mux(self.restart, 0, Mux(swap, keys_in[1 - number], keys_in[number]))),
                    identity.eq(Mux(swap, ids_in[1 - number], ids_in[number])),
                ]
            (keys_in, ids_in), count = map(list, zip(*places, strict=True)), sorted_count

        keys, ids = map(list, zip(*(_place(str(i)) for i in range(self.depth)), strict=True))
        better = [Signal(self.depth, name=f"better_{number}") for number in range(self.at_once)]
        late, late_ids = better, ids_in
        if self.registers.latency > 1:
            # Not all that a comparison moves is near it: ids make the same moves, behind registers.
            late = [delay(m, one, 1, enable=C(1), name=f"late_{number}") for number, one in enumerate(better)]
            late_ids = [delay(m, one, 1, enable=C(1), name=f"late_id_{number}") for number, one in enumerate(ids_in)]
        with m.If(self.restart):
            m.d.sync += [self.count.eq(0), *(register.eq(0) for register in (*keys, *ids))]
        with m.Else():
            total = self.count + count
            m.d.sync += self.count.eq(Mux(total > self.depth, self.depth, total))
            for i in range(self.depth):
                m.d.comb += [one[i].eq(key > keys[i]) for one, key in zip(better, keys_in, strict=True)]
            for i in range(self.depth):
                self._insert(m, i, better, keys, keys_in)
                self._insert(m, i, late, ids, late_ids)
        for i in range(self.depth):
            value = Mux(keys[i][31], keys[i] & 0x7FFF_FFFF, ~keys[i])
            m.d.comb += [
                self.candidates[i].value.eq(Mux(keys[i] == 0, 0, value)),
                self.candidates[i].id.eq(ids[i]),
            ]
        return m

    def _insert(
        self, m: Module, i: int, better: Sequence[Value], places: Sequence[Signal], new: Sequence[Value]
    ) -> None:
        """A place keeps what it has, or takes what stands one place or two before it, or what is new."""
        first = better[0]
        with m.If(first[i]):
            m.d.sync += places[i].eq(new[0])
        if i > 0:
            with m.If(first[i - 1]):
                m.d.sync += places[i].eq(places[i - 1])
        if i > 0 and self.at_once == 2:
            # The second stands behind the first, which moved by one place what it was compared with.
            second = better[1]
            with m.If(second[i - 1]):
                m.d.sync += places[i].eq(new[1])
            if i > 1:
                with m.If(second[i - 2]):
                    m.d.sync += places[i].eq(places[i - 2])


def _place(name: str, *, reset_less: bool = False) -> tuple[Signal, Signal]:
    """A key and an id."""
    return (
        Signal(32, name=f"key_{name}", reset_less=reset_less),
        Signal(20, name=f"id_{name}", reset_less=reset_less),
    )


def _order(word: Value) -> Value:
    """The bits of a float as an unsigned integer in the same order as the floats."""
    return Mux(word[31], ~word, word | 0x8000_0000)
