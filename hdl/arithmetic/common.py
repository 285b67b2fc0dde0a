"""What the arithmetic blocks share: the float layout, delay lines, and the steps of normalising a number."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, ValueCastable, unsigned
from amaranth.lib import data

FLOAT = data.StructLayout({"mantissa": 23, "exponent": 8, "sign": 1})
"""A machine float: exponent 0 is zero whatever the mantissa; 255 does not occur (``docs/numerics-functions.md``)."""

LARGEST = 0x7F7F_FFFF
"""Word of the largest finite float, without sign."""


def delay(m: Module, value: ValueCastable | Value, cycles: int, *, enable: Value, name: str) -> Signal:
    """`value` as it was `cycles` enabled clock cycles ago, in registers without reset."""
    value = Value.cast(value)
    for stage in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{stage + 1}", reset_less=True)
        with m.If(enable):
            m.d.sync += register.eq(value)
        value = register
    result = Signal(value.shape(), name=name)
    m.d.comb += result.eq(value)
    return result


def shift_left_to_one(m: Module, value: Value, step: int, *, name: str) -> tuple[Value, Value]:
    """One step of normalising: shift left by `step` if the top `step` bits are zero.

    Returns the value, of the same width, and the bit that tells that it was shifted. Steps of 2**k, ..., 2, 1 bring the
    leading one to the top; the bits are the binary count of leading zeros (all ones where the value is zero).
    """
    width = len(value)
    empty = Signal(name=f"{name}_empty_{step}")
    shifted = Signal(width, name=f"{name}_by_{step}")
    m.d.comb += [
        empty.eq(~value[max(width - step, 0) :].any()),
        shifted.eq(Mux(empty, value << step, value)),
    ]
    return shifted, empty


def shift_right_sticky(m: Module, value: Value, amount: Value, *, name: str) -> tuple[Value, Value]:
    """`value >> amount`, and whether any one was shifted out."""
    lost = []
    for bit in reversed(range(len(amount))):
        step = 1 << bit
        shifted = Signal(len(value), name=f"{name}_by_{step}")
        m.d.comb += shifted.eq(Mux(amount[bit], value >> step, value))
        lost.append(amount[bit] & value[:step].any())
        value = shifted
    return value, Cat(lost).any()


def normalising_steps(width: int) -> list[int]:
    """Steps for `shift_left_to_one` that normalise `width` bits, largest first."""
    return [1 << k for k in reversed(range((width - 1).bit_length()))]


def check_range(owner: str, name: str, value: int, low: int, high: int) -> None:
    """Raise a ValueError that names the parameter unless it is an integer from `low` to `high`."""
    if not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{owner}: {name} must be an integer from {low} to {high}, not {value!r}")


def bits_of(low: int, high: int) -> Shape:
    """The smallest shape that holds all integers from `low` to `high`."""
    return Shape.cast(range(low, high + 1))


WORD = unsigned(32)
