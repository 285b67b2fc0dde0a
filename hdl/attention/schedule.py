"""The order of K and V segments in an ATTEND, as docs/isa.md gives it."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..interfaces import Interfaces
from .shape import AttentionShape


class PageSchedule(wiring.Component):
    """For each virtual head, each pass of at most `groups_per_pass` row groups: K of page i, V of page i - S.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    launch : In(1), pulse: the operands below are there and stay
    heads : In(8), head_blocks : In(4), pages : In(16)
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
                "pages": In(16),
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
        head = Signal(8)
        head_block = Signal(12)
        head_address = Signal(20)
        address = Signal(20)
        left = Signal(10)
        key_page = Signal(16)
        value_page = Signal(16)
        key_slot = Signal(shape.slot_bits)
        value_slot = Signal(shape.slot_bits)
        m.d.comb += [
            job.groups.eq(Mux(left < self.groups_per_pass, left, self.groups_per_pass)),
            job.address.eq(address),
            job.head_block.eq(head_block),
        ]

        def start_head(start: object) -> None:
            m.d.sync += [head_address.eq(start), address.eq(start), left.eq(self.groups)]

        def next_slot(slot: Signal) -> None:
            m.d.sync += slot.eq(Mux(slot == shape.slots - 1, 0, slot + 1))

        with m.FSM(name="schedule"):
            with m.State("Idle"):
                m.d.sync += [head.eq(0), head_block.eq(0), key_page.eq(0), value_page.eq(0)]
                start_head(self.address)
                with m.If(self.launch):
                    m.next = "Keys"
            with m.State("Keys"):
                m.d.comb += [
                    self.o.valid.eq(key_page < self.pages),
                    job.slot.eq(key_slot),
                    job.first.eq(key_page == 0),
                    job.last.eq(key_page + 1 == self.pages),
                ]
                with m.If(self.o.ready | ~self.o.valid):
                    m.d.sync += key_page.eq(key_page + 1)
                    with m.If(self.o.valid):
                        next_slot(key_slot)
                    with m.If(key_page >= self.lag):
                        m.next = "Values"
            with m.State("Values"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    job.value.eq(1),
                    job.slot.eq(value_slot),
                    job.first.eq(value_page == 0),
                    job.last.eq(value_page + 1 == self.pages),
                ]
                with m.If(self.o.ready):
                    m.d.sync += value_page.eq(value_page + 1)
                    next_slot(value_slot)
                    m.next = "Keys"
                    with m.If(job.last):
                        m.next = "Next Pass"
            with m.State("Next Pass"):
                m.d.sync += [
                    key_page.eq(0),
                    value_page.eq(0),
                    left.eq(left - self.groups_per_pass),
                    address.eq(address + self.pass_words),
                ]
                m.next = "Keys"
                with m.If(left <= self.groups_per_pass):
                    m.d.sync += [head.eq(head + 1), head_block.eq(head_block + self.head_blocks)]
                    start_head(head_address + self.head_words)
                    with m.If(head + 1 == self.heads):
                        m.next = "Idle"
        return m
