"""What is at the pins of every board: buffers, and the flash from which the chip configures itself."""

from collections.abc import Iterable, Mapping
from typing import Any

from amaranth.hdl import Const, Instance, Module, Value
from amaranth.lib import io, wiring

from .gateware.system import ConsoleSystem

Pin = tuple[io.PortLike, Value]
"""What a platform gave, requested with ``dir="-"``, and the value that it drives or shows."""


def connect_console(
    m: Module, uart: Any, system: ConsoleSystem, *, clock: Pin, lights: Iterable[Pin], ones: Mapping[str, io.PortLike]
) -> None:
    """Give every pin of a console a buffer, a submodule called by the pin's name.

    Parameters
    ----------
    m : Module
        Becomes the parent of the buffers.
    uart : PortGroup
        The serial port's ``rx`` and ``tx``.
    clock, lights : Pin
        Of the board; lights are called by their number.
    ones : mapping
        Name to a pin that is always 1.
    """
    outputs = {"tx": (uart.tx, system.tx), **{name: (port, Const(1)) for name, port in ones.items()}}
    outputs |= {f"led_{number}": light for number, light in enumerate(lights)}
    for name, (port, value) in {"clk": clock, "rx": (uart.rx, system.rx)}.items():
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
