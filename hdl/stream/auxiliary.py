"""Who asks at the auxiliary port of the reader."""

from collections.abc import Sequence

from amaranth.hdl import Module, Value
from amaranth.lib import wiring


def share_auxiliary(
    m: Module, memory: wiring.PureInterface, askers: Sequence[tuple[wiring.PureInterface, Value]]
) -> None:
    """Connect those who ask, each with whether it is its turn: one turn at a time, from its first address to its last
    beat."""
    for port, turn in askers:
        m.d.comb += [
            port.o_address.ready.eq(memory.o_address.ready & turn),
            port.i_beat.payload.eq(memory.i_beat.payload),
            port.i_beat.valid.eq(memory.i_beat.valid & turn),
        ]
        with m.If(turn):
            m.d.comb += [
                memory.o_address.payload.eq(port.o_address.payload),
                memory.o_address.valid.eq(port.o_address.valid),
                memory.i_beat.ready.eq(port.i_beat.ready),
            ]
