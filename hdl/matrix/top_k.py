"""The best candidates of a step."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

CANDIDATE = data.StructLayout({"value": 32, "id": 20})
"""A token id and its logit, a machine float."""


class TopK(wiring.Component):
    """Keeps the K largest of a stream of values, sorted.

    One candidate a cycle, never refused; `candidates` shows it two cycles later. Of equal values the one that came
    earlier stands first: candidates come in ascending order of their ids, so ties go to the lowest id. K comparators
    and registers of 52 bits.

    Parameters
    ----------
    depth : int, 1 to 64
        K.

    Members
    -------
    i : In(stream.Signature(CANDIDATE, always_ready=True))
    restart : In(1), forgets all candidates, in the pipeline as well
    candidates : Out, K of CANDIDATE, best first; those from `count` on are 0
    count : Out, candidates held

    Raises
    ------
    ValueError
        If `depth` is out of range.
    """

    def __init__(self, *, depth: int) -> None:
        if not 1 <= depth <= 64:
            raise ValueError(f"TopK: depth must be from 1 to 64, not {depth!r}")
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(CANDIDATE, always_ready=True)),
                "restart": In(1),
                "candidates": Out(data.ArrayLayout(CANDIDATE, depth)),
                "count": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fresh = Signal()
        new_key = Signal(32, reset_less=True)
        new_id = Signal(20, reset_less=True)
        m.d.sync += [
            fresh.eq(self.i.valid & ~self.restart),
            new_key.eq(_order(self.i.payload.value)),
            new_id.eq(self.i.payload.id),
        ]

        keys = [Signal(32, name=f"key_{i}") for i in range(self.depth)]
        ids = [Signal(20, name=f"id_{i}") for i in range(self.depth)]
        with m.If(self.restart):
            m.d.sync += [self.count.eq(0), *(register.eq(0) for register in (*keys, *ids))]
        with m.Elif(fresh):
            m.d.sync += self.count.eq(self.count + (self.count != self.depth))
            better = Signal(self.depth)
            for i in range(self.depth):
                # An empty place has key 0, which is below the key of every machine float.
                m.d.comb += better[i].eq(new_key > keys[i])
                with m.If(better[i]):
                    m.d.sync += [keys[i].eq(new_key), ids[i].eq(new_id)]
                    if i > 0:
                        with m.If(better[i - 1]):
                            m.d.sync += [keys[i].eq(keys[i - 1]), ids[i].eq(ids[i - 1])]
        for i in range(self.depth):
            value = Mux(keys[i][31], keys[i] & 0x7FFF_FFFF, ~keys[i])
            m.d.comb += [
                self.candidates[i].value.eq(Mux(keys[i] == 0, 0, value)),
                self.candidates[i].id.eq(ids[i]),
            ]
        return m


def _order(word: Value) -> Value:
    """The bits of a float as an unsigned integer in the same order as the floats."""
    return Mux(word[31], ~word, word | 0x8000_0000)
