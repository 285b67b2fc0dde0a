"""Every block with its directed and random stimulus and what it must answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from amaranth.lib import wiring

from celosia.arch.pipeline import FIXED_TO_FLOAT, FLOAT_ADD, SHALLOW, Registers, registers
from celosia.arch.tables import PolynomialTable, exponential_table, reciprocal_table
from celosia.hdl.arithmetic import (
    Exp2Negative,
    FixedToFloat,
    FloatAdd,
    FloatMultiply,
    FloatToFixed,
    Reciprocal,
    ReciprocalSqrt,
    SineCosine,
    TablePolynomial,
)

from . import exact, functions

Inputs = tuple[int, ...]

ZEROS = [0, 0x8000_0000, 0x007F_FFFF, 0x8000_0001]
"""Words of zero; the machine writes only the first, and takes them all."""

CORNERS = ZEROS + [
    sign << 31 | exponent << 23 | mantissa
    for sign in (0, 1)
    for exponent in (1, 2, 64, 103, 127, 150, 190, 254)
    for mantissa in (0, 1, 0x40_0000, 0x7F_FFFF)
]


@dataclass(frozen=True)
class Case:
    """One block under test.

    Attributes
    ----------
    component : the block; all its inputs but `en` are stimulus.
    directed : inputs in the order of the component's ports.
    draw : one random input.
    expect : outputs in the order of the component's ports.
    """

    component: wiring.Component
    directed: Sequence[Inputs]
    draw: Callable[[Random], Inputs]
    expect: Callable[..., Inputs]


def any_float(random: Random) -> int:
    """A machine float with a bias to extreme exponents and short or full mantissas."""
    if random.random() < 0.03:
        return 0
    exponent = random.choice((1, 2, 127, 253, 254, random.randint(1, 254), random.randint(110, 140)))
    mantissa = random.choice((0, 0x7F_FFFF, random.getrandbits(23), random.getrandbits(5) << 18, random.getrandbits(4)))
    return random.getrandbits(1) << 31 | exponent << 23 | mantissa


def _near_float(random: Random, low: int, high: int) -> int:
    exponent = min(max(random.randint(low, high), 1), 254)
    mantissa = random.choice(
        (random.getrandbits(23), random.getrandbits(23), 0, 0x7F_FFFF, random.getrandbits(7) << 16)
    )
    return random.getrandbits(1) << 31 | exponent << 23 | mantissa


def _draw_add(random: Random) -> Inputs:
    a = any_float(random)
    if random.random() < 0.4:
        return a, any_float(random), random.getrandbits(1)
    # Close magnitudes (cancellation) and distances at which guard, round and sticky decide.
    distance = random.choice((0, 1, 2, 22, 23, 24, 25, 26, 27, random.randint(0, 40))) * random.choice((1, -1))
    exponent = min(max((a >> 23 & 0xFF) + distance, 1), 254)
    mantissa = random.choice((a & 0x7F_FFFF, a + 1 & 0x7F_FFFF, a - 1 & 0x7F_FFFF, random.getrandbits(23), 0))
    return a, random.getrandbits(1) << 31 | exponent << 23 | mantissa, random.getrandbits(1)


def _add(stand: Registers) -> Case:
    return Case(FloatAdd(registers=stand), list(product(CORNERS, CORNERS, (0, 1))), _draw_add, exact.add)


def _add_positive(stand: Registers) -> Case:
    return Case(
        FloatAdd(positive=True, registers=stand),
        list(product(CORNERS, CORNERS)),
        lambda random: _draw_add(random)[:2],
        lambda a, b: exact.add(a & 0x7FFF_FFFF, b & 0x7FFF_FFFF, 0),
    )


def _draw_multiply(random: Random) -> Inputs:
    a = any_float(random)
    if random.random() < 0.4:
        return a, any_float(random)
    # Products near the two ends of the range, and with few bits, so that ties occur.
    other = random.choice((127, 128, 380, 381, 382, 254)) - (a >> 23 & 0xFF)
    mantissa = random.choice((random.getrandbits(23), random.getrandbits(2) << 21, 0x7F_FFFF, 0))
    return a, random.getrandbits(1) << 31 | min(max(other, 1), 254) << 23 | mantissa


def _to_float(width: int, exponent_width: int, stand: Registers = SHALLOW.to_float) -> Case:
    low, high = -1 << (exponent_width - 1), (1 << (exponent_width - 1)) - 1
    numbers = [0, 1, -1, -1 << (width - 1), (1 << (width - 1)) - 1]

    def draw(random: Random) -> Inputs:
        n = random.getrandbits(width) - (1 << (width - 1)) >> random.choice((0, 0, random.randrange(width)))
        # Few significant bits below the 24th: ties.
        if n.bit_length() > 26 and random.random() < 0.4:
            n = n >> n.bit_length() - 25 << n.bit_length() - 25
        edge = random.choice((-125, -126, -127, 127, 128, 129)) - n.bit_length()
        return n, min(max(random.choice((edge, random.randint(-170, 130), random.randint(low, high))), low), high)

    return Case(
        FixedToFloat(width=width, exponent_width=exponent_width, registers=stand),
        list(product(numbers, (low, high, 0, -1))),
        draw,
        exact.rne32,
    )


def _to_fixed(integer_bits: int, fraction_bits: int) -> Case:
    def draw(random: Random) -> Inputs:
        if random.random() < 0.1:
            return (any_float(random),)
        return (_near_float(random, 127 - fraction_bits - 3, 127 + integer_bits + 1),)

    return Case(
        FloatToFixed(integer_bits=integer_bits, fraction_bits=fraction_bits),
        [(word,) for word in CORNERS],
        draw,
        lambda a: exact.to_fixed(a, integer_bits, fraction_bits),
    )


def _polynomial(table: PolynomialTable, *, in_logic: bool = False) -> Case:
    last_i, last_f = (1 << table.index_bits) - 1, (1 << table.fraction_bits) - 1
    return Case(
        TablePolynomial(table, in_logic=in_logic),
        list(product((0, 1, last_i), (0, 1, last_f))),
        lambda random: (random.getrandbits(table.index_bits), random.getrandbits(table.fraction_bits)),
        lambda i, f: (functions.polynomial(table, i, f),),
    )


def _draw_exponent(random: Random) -> Inputs:
    whole = random.randrange(130) << 20
    any_bits = random.getrandbits(random.choice((28, 36, 37)))
    return (-random.choice((any_bits, whole, whole + 1, max(whole - 1, 0), whole | random.getrandbits(20))),)


def _draw_phase(random: Random) -> Inputs:
    edge = (random.randrange(4) << 38) + random.choice((random.getrandbits(15), -1 - random.getrandbits(15)))
    return (random.choice((edge % (1 << 40), random.getrandbits(40), random.getrandbits(40))),)


def _sine_cosine(stand: Registers) -> Case:
    edges = [(q << 38,) for q in range(4)] + [((q << 38) - 1,) for q in range(1, 5)]
    return Case(SineCosine(registers=stand), edges, _draw_phase, functions.sine_cosine)


def _positive(random: Random) -> Inputs:
    return (any_float(random) & (0x7FFF_FFFF if random.random() < 0.9 else 0xFFFF_FFFF),)


def all_cases() -> dict[str, Case]:
    """The cases by name; parameterized blocks with at least two parameter sets."""
    words = [(word,) for word in CORNERS]
    return {
        "add": _add(SHALLOW.add),
        "add_positive": _add_positive(SHALLOW.add),
        "add_some": _add(registers(FLOAT_ADD, 5)),
        "add_all": _add(registers(FLOAT_ADD, 0)),
        "add_positive_all": _add_positive(registers(FLOAT_ADD, 0)),
        "multiply": Case(FloatMultiply(), list(product(CORNERS, CORNERS)), _draw_multiply, exact.multiply),
        "multiply_27": Case(
            FloatMultiply(multiplier_bits=27), list(product(CORNERS, CORNERS)), _draw_multiply, exact.multiply
        ),
        "to_float_35": _to_float(35, 12),
        "to_float_35_some": _to_float(35, 12, registers(FIXED_TO_FLOAT, 5)),
        "to_float_35_all": _to_float(35, 12, registers(FIXED_TO_FLOAT, 0)),
        "to_float_64": _to_float(64, 9),
        "to_float_2": _to_float(2, 16),
        "to_float_2_all": _to_float(2, 16, registers(FIXED_TO_FLOAT, 0)),
        "to_fixed_16_20": _to_fixed(16, 20),
        "to_fixed_8_0": _to_fixed(8, 0),
        "to_fixed_1_31": _to_fixed(1, 31),
        "exponential_table": _polynomial(exponential_table()),
        "reciprocal_table": _polynomial(reciprocal_table()),
        "reciprocal": Case(Reciprocal(), words, lambda random: (any_float(random),), functions.reciprocal),
        "reciprocal_in_logic": Case(
            Reciprocal(in_logic=True), words, lambda random: (any_float(random),), functions.reciprocal
        ),
        "exponential_in_logic": _polynomial(exponential_table(), in_logic=True),
        "reciprocal_sqrt": Case(ReciprocalSqrt(), words, _positive, functions.reciprocal_sqrt),
        "exp2": Case(
            Exp2Negative(),
            [
                (-d,)
                for d in (0, 1, *(n + k for n in (126 << 20, 127 << 20, 1 << 36) for k in (-1, 0, 1)), 1 << 27, 1 << 37)
            ],
            _draw_exponent,
            lambda x: (functions.exp2_negative(min(-x, (1 << 36) - 1)),),
        ),
        "sine_cosine": _sine_cosine(SHALLOW.to_float),
        "sine_cosine_all": _sine_cosine(registers(FIXED_TO_FLOAT, 0)),
    }
