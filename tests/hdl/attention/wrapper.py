"""The attention unit with its tail buffer, as one design under test."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, connect, flipped

from celosia.hdl.attention.attention import AttentionUnit
from celosia.hdl.attention.merger import KvMerger
from celosia.hdl.cache.tail_buffer import TailBuffer, tail_ports
from celosia.hdl.interfaces import Interfaces

UNIT_PORTS = (
    "i",
    "i_payload",
    "i_exponents",
    "o_tile",
    "o",
    "i_result",
    "probabilities",
    "spm",
)


CONTROL = ("done", "settled", "clear", "waiting", "overflow")


class AttentionWithTail(wiring.Component):
    """`AttentionUnit` and `TailBuffer`; `i_kv` fills the buffer."""

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.unit = AttentionUnit(interfaces=interfaces)
        tail = tail_ports(interfaces)
        super().__init__(
            {name: self.unit.signature.members[name] for name in (*UNIT_PORTS, *CONTROL)}
            | {
                "i_kv": In(stream.Signature(interfaces.kv_block)),
                "position": In(5),
                "head_blocks": In(4),
                "writer_words": In(tail["words"]),
                "writer_exponents": In(tail["exponents"]),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        unit = self.unit
        m.submodules.unit = unit
        m.submodules.tail = tail = TailBuffer(interfaces=self.interfaces)
        for name in UNIT_PORTS:
            connect(m, flipped(getattr(self, name)), getattr(unit, name))
        for name in ("words", "exponents"):
            connect(m, getattr(unit, f"tail_{name}"), getattr(tail, f"merger_{name}"))
            connect(m, flipped(getattr(self, f"writer_{name}")), getattr(tail, f"writer_{name}"))
        connect(m, flipped(self.i_kv), tail.i)
        m.d.comb += [
            tail.enable.eq(1),
            tail.position.eq(self.position),
            tail.head_blocks.eq(self.head_blocks),
            unit.clear.eq(self.clear),
            unit.settled.eq(self.settled),
            self.done.eq(unit.done),
            self.waiting.eq(unit.waiting),
            self.overflow.eq(unit.overflow),
        ]
        return m


MERGER_PORTS = ("i", "i_payload", "i_exponents", "exponents", "o")


class MergerWithTail(wiring.Component):
    """`KvMerger` and `TailBuffer`; `i_kv` fills the buffer."""

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.merger = KvMerger(interfaces=interfaces)
        members = self.merger.signature.members
        super().__init__(
            {name: members[name] for name in (*MERGER_PORTS, "position", "rows", "head_blocks", "page_done")}
            | {"i_kv": In(stream.Signature(interfaces.kv_block))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.merger = merger = self.merger
        m.submodules.tail = tail = TailBuffer(interfaces=self.interfaces)
        for name in MERGER_PORTS:
            connect(m, flipped(getattr(self, name)), getattr(merger, name))
        connect(m, merger.tail_words, tail.merger_words)
        connect(m, merger.tail_exponents, tail.merger_exponents)
        connect(m, flipped(self.i_kv), tail.i)
        for unit in (merger, tail):
            m.d.comb += [unit.position.eq(self.position), unit.head_blocks.eq(self.head_blocks)]
        m.d.comb += [
            tail.enable.eq(1),
            merger.rows.eq(self.rows),
            merger.settled.eq(1),
            merger.page_done.eq(self.page_done),
        ]
        return m
