"""What the arithmetic blocks share: the float layout, delay lines, and the steps of normalising a number."""

from collections.abc import Collection, Sequence

from amaranth.hdl import C, Cat, Module, Mux, Shape, Signal, Value, ValueCastable, unsigned
from amaranth.lib import data

FLOAT = data.StructLayout({"mantissa": 23, "exponent": 8, "sign": 1})
"""A machine float: exponent 0 is zero whatever the mantissa; 255 does not occur (``docs/numerics-functions.md``)."""

WORD = unsigned(32)
"""A machine float as a port."""

LARGEST = 0x7F7F_FFFF
"""Word of the largest finite float, without sign."""


def delay(
    m: Module, value: ValueCastable | Value, cycles: int, *, enable: Value, name: str, domain: str = "sync"
) -> Signal:
    """`value` as it was `cycles` enabled clock cycles ago, in registers without reset."""
    value = Value.cast(value)
    for stage in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{stage + 1}", reset_less=True)
        with m.If(enable):
            m.d[domain] += register.eq(value)
        value = register
    result = Signal(value.shape(), name=name)
    m.d.comb += result.eq(value)
    return result


def held(m: Module, value: Value, cycles: int, *, enable: Value, name: str) -> Value:
    """The same, or with 0 cycles the value itself, without a name of its own: for registers that may be there."""
    return delay(m, value, cycles, enable=enable, name=name) if cycles else value


def delay_valid(m: Module, valid: Value, cycles: int, *, name: str) -> Signal:
    """A valid bit as it was `cycles` clock cycles ago, in registers with reset."""
    for stage in range(cycles):
        register = Signal(name=f"{name}_{stage + 1}")
        m.d.sync += register.eq(valid)
        valid = register
    result = Signal(name=name)
    m.d.comb += result.eq(valid)
    return result


def normalising_steps(width: int) -> list[int]:
    """Steps of `normalise` that bring the leading one of `width` bits to the top, largest first."""
    return [1 << k for k in reversed(range((width - 1).bit_length()))]


def normalise(
    m: Module,
    value: Value,
    steps: Sequence[int],
    *,
    name: str,
    before: Collection[int] = (),
    enable: Value = C(1),
) -> tuple[Value, Value]:
    """Shift left by each of `steps`, largest first, where as many top bits are zero; `before` some stands a register.

    Returns the value, of the same width, and one bit per step that tells that it was taken, lowest step first. With all
    `normalising_steps` the bits are the binary count of leading zeros (all ones where the value is zero). There are as
    many registers as `before` has entries, whether there are such steps or not.
    """
    width = len(value)
    taken: list[Value] = []
    for step in sorted({*steps, *before}, reverse=True):
        if step in before:
            value = delay(m, value, 1, enable=enable, name=f"{name}_before_{step}")
            taken = [delay(m, bit, 1, enable=enable, name=f"{name}_{step}_{i}") for i, bit in enumerate(taken)]
        if step in steps:
            empty = Signal(name=f"{name}_empty_{step}")
            shifted = Signal(width, name=f"{name}_left_{step}")
            m.d.comb += [empty.eq(~value[width - step :].any()), shifted.eq(Mux(empty, value << step, value))]
            value = shifted
            taken.append(empty)
    return value, Cat(reversed(taken))


def shift_right_sticky(
    m: Module,
    value: Value,
    amount: Value,
    *,
    name: str,
    before: Collection[int] = (),
    enable: Value = C(1),
) -> tuple[Value, Value]:
    """`value >> amount`, and whether any one was shifted out; a register `before` the shifts by some powers of two."""
    lost: list[Value] = []
    for bit in reversed(range(len(amount))):
        step = 1 << bit
        if step in before:
            value = delay(m, value, 1, enable=enable, name=f"{name}_before_{step}")
            amount = delay(m, amount, 1, enable=enable, name=f"{name}_amount_{step}")
            lost = [delay(m, Cat(lost).any(), 1, enable=enable, name=f"{name}_lost_{step}")]
        shifted = Signal(len(value), name=f"{name}_right_{step}")
        m.d.comb += shifted.eq(Mux(amount[bit], value >> step, value))
        lost.append(amount[bit] & value[:step].any())
        value = shifted
    return value, Cat(lost).any()


def finish(m: Module, rounded: Value, sign: Value, *, flush: Value, enable: Value, o: Signal, overflow: Signal) -> None:
    """Register a rounded result: `rounded` is the word without sign, its exponent field may be too large for it.

    `o` becomes +0 where `flush` is set, else a float; what is too large becomes the largest number and `overflow`.
    """
    saturate = Signal()
    m.d.comb += saturate.eq(~flush & (rounded[31:].any() | rounded[23:31].all()))
    with m.If(enable):
        m.d.sync += overflow.eq(saturate)
        with m.If(flush):
            m.d.sync += o.eq(0)
        with m.Else():
            m.d.sync += o.eq(Cat(Mux(saturate, LARGEST, rounded[:31]), sign))


def check_range(owner: str, name: str, value: int, low: int, high: int) -> None:
    """Raise a ValueError that names the parameter unless it is an integer from `low` to `high`."""
    if not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{owner}: {name} must be an integer from {low} to {high}, not {value!r}")


def check_flag(owner: str, name: str, value: bool) -> None:
    """Raise a ValueError that names the parameter unless it is a truth value."""
    if not isinstance(value, bool):
        raise ValueError(f"{owner}: {name} must be True or False, not {value!r}")


def bits_of(low: int, high: int) -> Shape:
    """The smallest shape that holds all integers from `low` to `high`."""
    return Shape.cast(range(low, high + 1))
