"""What is at the pins of every board: buffers, and the flash from which the chip configures itself."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Const, Instance, Module, Value
from amaranth.lib import io, wiring


def connect_pins(
    m: Module,
    inputs: Mapping[str, tuple[io.PortLike, Value]],
    outputs: Mapping[str, tuple[io.PortLike, Value]],
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


def connect_flash(m: Module, chip: Any, pins: wiring.PureInterface) -> None:
    """The flash of an ECP5: the chip's pins, as a platform has them, and what `flashed_memory.FLASH_PINS` says.

    Its clock has a pin that only the chip's own configuration, and one cell, reaches.
    """
    m.submodules.flash_clock = Instance("USRMCLK", i_USRMCLKI=pins.clock, i_USRMCLKTS=Const(0))
    for name, value in {"cs": pins.cs, "copi": pins.copi, "hold": Const(0), "wp": Const(0)}.items():
        m.submodules[f"flash_{name}_pin"] = pin = io.Buffer("o", getattr(chip, name))
        m.d.comb += pin.o.eq(value)
    m.submodules.flash_cipo_pin = answer = io.FFBuffer("i", chip.cipo)
    m.d.comb += pins.cipo.eq(answer.i)
