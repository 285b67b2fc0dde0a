"""The passes of a job, in order: chunks of the prompt, then decode steps."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.formats import BLOCK

JOB = data.StructLayout({"sequence": 6, "position": 20, "count": 20, "steps": 20, "chunk": 6})
"""A job: positions `position` .. are computed for `count` tokens, then `steps` tokens are sampled.

chunk: tokens of a chunk, at most; 0 or more than there is room for: as many as there is room for.
"""

PASS = data.StructLayout({"rows": 6, "second": 6, "position": 20, "token": 20, "head": 1, "final": 1})
"""A pass: a chunk of `rows` tokens from index `token` of the token memory, at `position`, and right behind it another
one of `second` tokens, 0 if there is none.

head: it samples. final: it is the job's last one, unless the text ends earlier.
"""


class PassGenerator(wiring.Component):
    """Cut a job into passes (docs/numerics.md, 10): chunks of so many tokens at most that never cross a page.

    One pass every three cycles at most, every five with two chunks. The generator knows nothing of an early end of
    text: whoever stops early resets it (`ResetInserter`).

    Parameters:
        chunk: tokens of a chunk that there is room for, 1 to 32. chunks: most chunks of a pass, 1 or 2.

    Members:
        i : In(stream(JOB)), a job; ready while idle.
        o : Out(stream(PASS)), its passes; the last chunk of a job with steps > 0 and all decode steps have `head`.
    """

    def __init__(self, *, chunk: int, chunks: int = 1) -> None:
        if not 1 <= chunk <= BLOCK:
            raise ValueError(f"chunk = {chunk!r}: must be from 1 to {BLOCK}")
        if chunks not in (1, 2):
            raise ValueError(f"chunks = {chunks!r}: must be 1 or 2")
        self.chunk, self.chunks = chunk, chunks
        super().__init__({"i": In(stream.Signature(JOB)), "o": Out(stream.Signature(PASS))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(20)
        steps = Signal(20)
        position = Signal(20)
        token = Signal(20)
        most = Signal(6)
        room = Signal(6)
        wanted = Signal(6)
        rows = Signal(6)
        again = Signal()
        now = self.o.payload
        # Found out a state before the cut: no token of the prompt is left, or no more than a chunk takes.
        none = Signal()
        few = Signal()
        crosses = Signal()
        ends = Signal()
        m.d.comb += [
            crosses.eq(wanted > room),
            rows.eq(Mux(none, ~again, Mux(crosses, room, wanted))),
            ends.eq(none | (few & ~crosses)),
        ]

        with m.FSM():
            with m.State("Idle"):
                m.d.comb += self.i.ready.eq(1)
                asked = self.i.payload.chunk
                with m.If(self.i.valid):
                    m.d.sync += [
                        most.eq(Mux((asked == 0) | (asked > self.chunk), self.chunk, asked)),
                        left.eq(self.i.payload.count),
                        steps.eq(self.i.payload.steps),
                        position.eq(self.i.payload.position),
                        token.eq(0),
                    ]
                    m.next = "Measure"
            with m.State("Measure"):
                m.d.sync += [
                    room.eq(BLOCK - position[:5]),
                    wanted.eq(Mux(left > most, most, left)),
                    none.eq(left == 0),
                    few.eq(left <= most),
                ]
                m.next = "Cut"
                with m.If(~again & (left == 0) & (steps == 0)):
                    m.next = "Idle"
            with m.State("Cut"):
                m.d.sync += [
                    now.head.eq(ends & (steps != 0)),
                    now.final.eq(ends & (steps <= 1)),
                    left.eq(Mux(ends, 0, left - rows)),
                    position.eq(position + rows),
                    token.eq(token + rows),
                ]
                with m.If(again):
                    m.d.sync += now.second.eq(rows)
                with m.Else():
                    m.d.sync += [now.rows.eq(rows), now.second.eq(0), now.position.eq(position), now.token.eq(token)]
                m.next = "Send"
                # A second chunk if tokens of the prompt are left.
                with m.If((self.chunks > 1) & ~again & ~ends):
                    m.d.sync += again.eq(1)
                    m.next = "Measure"
            with m.State("Send"):
                m.d.comb += self.o.valid.eq(1)
                m.d.sync += again.eq(0)
                with m.If(self.o.ready):
                    with m.If(now.head):
                        m.d.sync += steps.eq(steps - 1)
                    m.next = "Measure"
        return m
