"""Buffers between a design and the pins of its board."""

from collections.abc import Mapping

from amaranth.hdl import Module, Value
from amaranth.lib import io


def connect_pins(
    m: Module, inputs: Mapping[str, tuple[io.PortLike, Value]], outputs: Mapping[str, tuple[io.PortLike, Value]]
) -> None:
    """Give every pin a buffer, a submodule called by the pin's name: `inputs` drive their values, `outputs` show them.

    Parameters
    ----------
    m : Module
        Becomes the parent of the buffers.
    inputs, outputs : mapping
        Name to what the platform gave, requested with ``dir="-"``, and the value.
    """
    for name, (port, value) in inputs.items():
        m.submodules[f"{name}_pin"] = pin = io.Buffer("i", port)
        m.d.comb += value.eq(pin.i)
    for name, (port, value) in outputs.items():
        m.submodules[f"{name}_pin"] = pin = io.Buffer("o", port)
        m.d.comb += pin.o.eq(value)
