"""A component small enough to show a bench on, and versions of it that break one rule each."""

from __future__ import annotations

from amaranth.hdl import Module, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

PAIR = data.StructLayout({"a": signed(8), "b": signed(8), "last": 1})
TOTAL = data.StructLayout({"sum": signed(9), "last": 1})

FAULTS = ("none", "wrong sum", "drops valid", "changes payload", "hangs")


class PairAdder(wiring.Component):
    """Adds the two numbers of each pair. Latency one cycle, one pair a cycle; a stall holds the register.

    Parameters
    ----------
    fault : str
        Which rule to break, one of `FAULTS`, so that the harness is seen to notice.

    Members
    -------
    i : In(stream.Signature(PAIR))
    o : Out(stream.Signature(TOTAL))

    Raises
    ------
    ValueError
        If `fault` is not one of `FAULTS`.
    """

    def __init__(self, *, fault: str = "none") -> None:
        if fault not in FAULTS:
            raise ValueError(f"fault must be one of {FAULTS}, not {fault!r}")
        self.fault = fault
        super().__init__({"i": In(stream.Signature(PAIR)), "o": Out(stream.Signature(TOTAL))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid)
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [
                self.o.payload.sum.eq(self.i.payload.a + self.i.payload.b),
                self.o.payload.last.eq(self.i.payload.last),
            ]
            if self.fault == "wrong sum":
                m.d.sync += self.o.payload.sum.eq(self.i.payload.a | self.i.payload.b)
        with m.If(self.o.valid & ~self.o.ready):
            if self.fault == "drops valid":
                m.d.sync += self.o.valid.eq(0)
            if self.fault == "changes payload":
                m.d.sync += self.o.payload.sum.eq(~self.o.payload.sum)
        if self.fault == "hangs":
            m.d.comb += self.i.ready.eq(0)
        return m
