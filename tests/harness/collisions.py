"""Memories that answer as block RAM may: nothing of use where a word is written in the cycle in which it is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from amaranth.hdl import Cat, MemoryInstance, Module, Mux, Signal, Value
from amaranth.lib.memory import Memory


@contextmanager
def garbage_on_collision() -> Iterator[None]:
    """Designs that are elaborated meanwhile read all bits wrong where a memory with a clocked read collides."""
    original = Memory.elaborate
    Memory.elaborate = lambda self, platform: _garbled(self)
    try:
        yield
    finally:
        Memory.elaborate = original


def _garbled(store: Memory) -> Module:
    """The memory, with ports of one clock."""
    m = Module()
    m.submodules.instance = instance = MemoryInstance(data=store.data, attrs=store.attrs)
    for write in store.write_ports:
        instance.write_port(domain=write.domain, addr=write.addr, data=write.data, en=write.en)
    for read in store.read_ports:
        answer = Signal(len(Value.cast(read.data)))
        instance.read_port(domain=read.domain, addr=read.addr, data=answer, en=read.en, transparent_for=())
        if read.domain == "comb":
            m.d.comb += Value.cast(read.data).eq(answer)
            continue
        collides = Signal(reset_less=True)
        with m.If(read.en):
            m.d.sync += collides.eq(Cat(w.en.any() & (w.addr == read.addr) for w in store.write_ports).any())
        m.d.comb += Value.cast(read.data).eq(Mux(collides, ~answer, answer))
    return m
