"""The best candidates of a step."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

CANDIDATE = data.StructLayout({"value": 32, "id": 20})
"""A token id and its logit, a machine float."""


def candidates_layout(at_once: int) -> data.ArrayLayout:
    """One or two candidates with ascending ids, each with whether it is there; the first is if the second is."""
    return data.ArrayLayout(data.StructLayout({"there": 1, "value": 32, "id": 20}), at_once)


def top_k_latency(at_once: int) -> int:
    """Cycles from candidates to where they stand in the order."""
    return 1 + at_once


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

    def __init__(self, *, depth: int, at_once: int = 1) -> None:
        if not 1 <= depth <= 64:
            raise ValueError(f"TopK: depth must be from 1 to 64, not {depth!r}")
        if at_once not in (1, 2):
            raise ValueError(f"TopK: at_once must be 1 or 2, not {at_once!r}")
        self.depth, self.at_once = depth, at_once
        self.latency = top_k_latency(at_once)
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
        keys, ids = map(list, zip(*(_place(str(i)) for i in range(self.depth)), strict=True))
        better = [Signal(self.depth, name=f"better_{number}") for number in range(self.at_once)]
        if self.at_once == 1:
            m.d.comb += better[0].eq(Cat(keys_in[0] > key for key in keys))
        else:
            keys_in, ids_in, count = self._sort(m, keys, keys_in, ids_in, count, better)
        moves = [_Moves(better, place) for place in range(self.depth)]
        with m.If(self.restart):
            m.d.sync += [self.count.eq(0), *(register.eq(0) for register in (*keys, *ids))]
        with m.Else():
            total = self.count + count
            m.d.sync += self.count.eq(Mux(total > self.depth, self.depth, total))
            for place, move in enumerate(moves):
                m.d.sync += [keys[place].eq(move.of(keys, keys_in)), ids[place].eq(move.of(ids, ids_in))]
        for i in range(self.depth):
            value = Mux(keys[i][31], keys[i] & 0x7FFF_FFFF, ~keys[i])
            m.d.comb += [
                self.candidates[i].value.eq(Mux(keys[i] == 0, 0, value)),
                self.candidates[i].id.eq(ids[i]),
            ]
        return m

    def _sort(
        self,
        m: Module,
        keys: list[Signal],
        keys_in: list[Signal],
        ids_in: list[Signal],
        count: Signal,
        better: list[Signal],
    ) -> tuple[list[Signal], list[Signal], Signal]:
        """Two candidates a cycle later, the larger one first, of equal ones that with the lower id.

        With them comes whether each is `better` than what stands at a place then: it is compared now, with all that may
        stand there. A comparison and what it moves do not fit a cycle.
        """
        swap, sorted_count = keys_in[1] > keys_in[0], Signal.like(count, name="count_sorted")
        m.d.sync += sorted_count.eq(Mux(self.restart, 0, count))
        places = [_place(f"{number}_sorted", reset_less=True) for number in range(2)]
        sorted_keys, sorted_ids = map(list, zip(*places, strict=True))
        wins = []
        for key in keys_in:
            stay, come = [key > other for other in keys], [key > other for other in sorted_keys]
            wins.append(Cat(_Moves(better, place).of(stay, come) for place in range(self.depth)))
        for number in range(2):
            this, other = number, 1 - number
            m.d.sync += [
                sorted_keys[number].eq(Mux(self.restart, 0, Mux(swap, keys_in[other], keys_in[this]))),
                sorted_ids[number].eq(Mux(swap, ids_in[other], ids_in[this])),
                better[number].eq(Mux(self.restart, 0, Mux(swap, wins[other], wins[this]))),
            ]
        return sorted_keys, sorted_ids, sorted_count


class _Moves:
    """What a place has next: what it has, a new candidate, or what stands one place or two before it.

    Parameters
    ----------
    better : of each candidate, the larger one first: whether it is larger than what stands at each place
    place : int
    """

    def __init__(self, better: list[Signal], place: int) -> None:
        self.better, self.place = better, place

    def of(self, have: Sequence[Value], come: Sequence[Value]) -> Value:
        """Of something that each place has and each candidate brings, that of this place in the next cycle."""
        place, first = self.place, self.better[0]
        result = Mux(first[place], come[0], have[place])
        if place > 0:
            result = Mux(first[place - 1], have[place - 1], result)
        if place > 0 and len(self.better) == 2:
            # The second stands behind the first, which moved by one place what it was compared with.
            second = self.better[1]
            result = Mux(second[place - 1], come[1], result)
            if place > 1:
                result = Mux(second[place - 2], have[place - 2], result)
        return result


def _place(name: str, *, reset_less: bool = False) -> tuple[Signal, Signal]:
    """A key and an id."""
    return (
        Signal(32, name=f"key_{name}", reset_less=reset_less),
        Signal(20, name=f"id_{name}", reset_less=reset_less),
    )


def _order(word: Value) -> Value:
    """The bits of a float as an unsigned integer in the same order as the floats."""
    return Mux(word[31], ~word, word | 0x8000_0000)
