"""The order of K and V segments in an ATTEND, as docs/isa.md gives it."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..interfaces import Interfaces
from .shape import AttentionShape


class PageSchedule(wiring.Component):
    """Pages of all passes (of at most `groups_per_pass` row groups) of all virtual heads, in a row: K of one, then V of
    the one S before it.

    K runs ahead of V across passes and heads: only the first S pages of an instruction have no V beside them.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    launch : In(1), pulse: the operands below are there and stay
    heads : In(8), head_blocks : In(4), last_page : In(15), pages - 1
    groups : In(10), row groups of a virtual head; groups_per_pass : In(10)
    address : In(20), of the queries; head_words : In(20), words per virtual head
    pass_words : In(20), `groups_per_pass` x `head_blocks`
    o : Out(stream.Signature(page_job))
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.shape = shape = AttentionShape(interfaces)
        self.lag = interfaces.config.stream.attention_lag
        super().__init__(
            {
                "launch": In(1),
                "heads": In(8),
                "head_blocks": In(4),
                "last_page": In(15),
                "groups": In(10),
                "groups_per_pass": In(10),
                "address": In(20),
                "head_words": In(20),
                "pass_words": In(20),
                "o": Out(stream.Signature(shape.page_job)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, job = self.shape, self.o.payload
        keys, values = Signal(_cursor(shape), name="keys"), Signal(_cursor(shape), name="values")
        ahead = Signal(range(self.lag + 2))
        now = Signal(_cursor(shape))
        m.d.comb += [
            job.slot.eq(now.slot),
            job.first.eq(now.page == 0),
            job.last.eq(now.page == self.last_page),
            job.start.eq(self.groups - now.left),
            job.groups.eq(Mux(now.left < self.groups_per_pass, now.left, self.groups_per_pass)),
            job.address.eq(now.address),
            job.head_block.eq(now.head_block),
        ]
        # Of each cursor: its last page, its last pass. Registers, since much depends on them: a cursor never advances
        # twice in a row.
        ends = {}
        for name, cursor in (("keys", keys), ("values", values)):
            of_page, of_pass = (Signal(name=f"{name}_end_{which}") for which in ("pages", "passes"))
            m.d.sync += [
                of_page.eq(cursor.page == self.last_page),
                of_pass.eq(cursor.left <= self.groups_per_pass),
            ]
            ends[name] = of_page, of_pass
        with m.FSM(name="schedule"):
            with m.State("Idle"):
                for cursor in (keys, values):
                    m.d.sync += [
                        cursor.eq(0),
                        cursor.slot.eq(cursor.slot),
                        cursor.left.eq(self.groups),
                        cursor.address.eq(self.address),
                        cursor.head_address.eq(self.address),
                    ]
                m.d.sync += ahead.eq(0)
                with m.If(self.launch):
                    m.next = "Decide"
            with m.State("Keys"):
                m.d.comb += [now.eq(keys), self.o.valid.eq(1)]
                with m.If(self.o.ready):
                    self._advance(m, keys, *ends["keys"])
                    m.d.sync += ahead.eq(ahead + 1)
                    m.next = "Decide"
            with m.State("Decide"):
                with m.If((ahead > self.lag) | (keys.head == self.heads)):
                    m.next = "Values"
                with m.Else():
                    m.next = "Keys"
            with m.State("Values"):
                m.d.comb += [now.eq(values), job.value.eq(1), self.o.valid.eq(1)]
                with m.If(self.o.ready):
                    self._advance(m, values, *ends["values"])
                    m.d.sync += ahead.eq(ahead - 1)
                    m.next = "Keys"
                    with m.If(keys.head == self.heads):
                        m.next = "Decide"
                        with m.If(ahead == 1):
                            m.next = "Idle"
        return m

    def _advance(self, m: Module, cursor: Any, page_ends: Signal, pass_ends: Signal) -> None:
        """To the next page, of the next pass, of the next virtual head."""
        m.d.sync += [
            cursor.page.eq(cursor.page + 1),
            cursor.slot.eq(Mux(cursor.slot == self.shape.slots - 1, 0, cursor.slot + 1)),
        ]
        with m.If(page_ends):
            m.d.sync += [
                cursor.page.eq(0),
                cursor.left.eq(cursor.left - self.groups_per_pass),
                cursor.address.eq(cursor.address + self.pass_words),
            ]
            with m.If(pass_ends):
                start = cursor.head_address + self.head_words
                m.d.sync += [
                    cursor.head.eq(cursor.head + 1),
                    cursor.head_block.eq(cursor.head_block + self.head_blocks),
                    cursor.head_address.eq(start),
                    cursor.address.eq(start),
                    cursor.left.eq(self.groups),
                ]


def _cursor(shape: AttentionShape) -> data.StructLayout:
    """A place in the order of pages, passes and virtual heads. left: row groups of this pass and the following ones."""
    return data.StructLayout(
        {
            "head": 8,
            "left": 10,
            "page": 16,
            "slot": shape.slot_bits,
            "head_block": 12,
            "head_address": 20,
            "address": 20,
        }
    )
