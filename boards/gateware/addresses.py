"""Registers for the addresses of an AXI4 port."""

from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring

from ...hdl.common import SkidBuffer

MEMBERS = ("addr", "len", "burst", "id")


def member(bus: wiring.PureInterface, channel: str, name: str) -> Value:
    """A signal of a channel, ``ar`` or ``aw``."""
    value: Value = getattr(bus, f"{channel}{name}")
    return value


def held_addresses(m: Module, channel: str, bus: wiring.PureInterface) -> stream.Interface:
    """The addresses that come at a slave's channel, with `MEMBERS`, behind a `SkidBuffer`, a submodule.

    A memory's ready is late in a cycle, and the accelerator counts by it.
    """
    layout = data.StructLayout({name: len(member(bus, channel, name)) for name in MEMBERS})
    m.submodules[f"{channel}_taken"] = taken = SkidBuffer(layout)
    m.d.comb += [
        *(taken.i.payload[name].eq(member(bus, channel, name)) for name in MEMBERS),
        taken.i.valid.eq(member(bus, channel, "valid")),
        member(bus, channel, "ready").eq(taken.i.ready),
    ]
    return taken.o
