"""Performance counters: 64 bits each, cleared when a job starts."""

from collections.abc import Mapping

from amaranth import Module, Signal, ValueLike
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

COUNTERS = (
    "cycles",
    "stream_bytes",
    "auxiliary_bytes",
    "written_bytes",
    "macs",
    "stall_stream",
    "stall_write",
    "stall_full",
    "busy_matrix",
    "busy_vector",
    "busy_attention",
)
"""Names as in `arch/registers.rdl`, in lower case."""

INCREMENT_BITS = 20


class Counters(wiring.Component):
    """Adds every counter's increment each cycle; the sum is visible two cycles later.

    The low half adds in one cycle and hands its carry to the high half in the next, so that no 64-bit carry chain is
    on a path.

    Members:
        clear : In(1). <name>_add : In(20), per counter. <name> : Out(64).
    """

    def __init__(self) -> None:
        ports: dict[str, object] = {"clear": In(1)}
        for name in COUNTERS:
            ports[f"{name}_add"] = In(INCREMENT_BITS)
            ports[name] = Out(64)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name in COUNTERS:
            value, add = getattr(self, name), Signal(INCREMENT_BITS, name=f"{name}_held")
            carry = Signal(name=f"{name}_carry")
            low = value[:32] + add
            m.d.sync += [add.eq(getattr(self, f"{name}_add")), carry.eq(low[32])]
            m.d.sync += [value[:32].eq(low), value[32:].eq(value[32:] + carry)]
            with m.If(self.clear):
                m.d.sync += [add.eq(0), carry.eq(0), value.eq(0)]
        return m

    def add(self, m: Module, increments: Mapping[str, ValueLike]) -> None:
        """Drive the increments by name."""
        for name, increment in increments.items():
            m.d.comb += getattr(self, f"{name}_add").eq(increment)
