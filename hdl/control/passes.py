"""The passes of a job, in order: chunks of the prompt, then decode steps."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.formats import BLOCK

JOB = data.StructLayout({"sequence": 6, "position": 20, "count": 20, "steps": 20})
"""A job: positions `position` .. are computed for `count` tokens, then `steps` tokens are sampled."""

PASS = data.StructLayout({"rows": 6, "position": 20, "token": 20, "head": 1, "final": 1})
"""A pass: `rows` tokens from index `token` of the token memory, at `position`.

head: it samples. final: it is the job's last one, unless the text ends earlier.
"""


class PassGenerator(wiring.Component):
    """Cut a job into passes (docs/numerics.md, 10): chunks of at most `chunk` tokens that never cross a page.

    One pass every three cycles at most. The generator knows nothing of an early end of text: whoever stops early
    resets it (`ResetInserter`).

    Parameters:
        chunk: most tokens of a pass, 1 to 32.

    Members:
        i : In(stream(JOB)), a job; ready while idle.
        o : Out(stream(PASS)), its passes; the last chunk of a job with steps > 0 and all decode steps have `head`.
    """

    def __init__(self, *, chunk: int) -> None:
        if not 1 <= chunk <= BLOCK:
            raise ValueError(f"chunk = {chunk!r}: must be from 1 to {BLOCK}")
        self.chunk = chunk
        super().__init__({"i": In(stream.Signature(JOB)), "o": Out(stream.Signature(PASS))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(20)
        steps = Signal(20)
        position = Signal(20)
        token = Signal(20)
        room = Signal(6)
        wanted = Signal(6)
        now = self.o.payload

        with m.FSM():
            with m.State("Idle"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += [
                        left.eq(self.i.payload.count),
                        steps.eq(self.i.payload.steps),
                        position.eq(self.i.payload.position),
                        token.eq(0),
                    ]
                    m.next = "Measure"
            with m.State("Measure"):
                m.d.sync += [
                    room.eq(BLOCK - position[:5]),
                    wanted.eq(Mux(left > self.chunk, self.chunk, left)),
                ]
                with m.If((left == 0) & (steps == 0)):
                    m.next = "Idle"
                with m.Else():
                    m.next = "Cut"
            with m.State("Cut"):
                rows = Signal(6)
                m.d.comb += rows.eq(Mux(left == 0, 1, Mux(wanted > room, room, wanted)))
                m.d.sync += [
                    now.rows.eq(rows),
                    now.position.eq(position),
                    now.token.eq(token),
                    now.head.eq((left <= rows) & (steps != 0)),
                    now.final.eq((left <= rows) & (steps <= 1)),
                ]
                m.next = "Send"
            with m.State("Send"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += [
                        left.eq(Mux(left > now.rows, left - now.rows, 0)),
                        position.eq(position + now.rows),
                        token.eq(token + now.rows),
                    ]
                    with m.If(now.head):
                        m.d.sync += steps.eq(steps - 1)
                    m.next = "Measure"
        return m
