"""Coefficient tables of the non-linear functions, as plain integers.

Every table holds, for each of its ``2**index_bits`` equal intervals, a quadratic in the position inside the interval.
With ``i`` the interval, ``f`` the unsigned position (``fraction_bits`` wide, called F), and ``>>`` an arithmetic shift
that floors::

    t = c1[i] + ((c2[i] * f) >> F)
    y = c0[i] + ((t * f) >> F)
    m = y >> result_shift

``y`` has ``output_fraction_bits`` fraction bits, ``m`` has ``result_fraction_bits``. The machine only ever floors:
``c0`` already carries the offset that centres the error of the three floors, so nothing is added afterwards.

The functions that use the tables are defined in ``docs/numerics-functions.md``. Coefficients are made at first use from
integers and ``decimal`` (correctly rounded by definition), never from the floating point of the host, so they are the
same on every platform. The quadratic interpolates at the Chebyshev nodes of the interval (to 1/15), and each
coefficient is rounded knowing the rounding error of the next higher one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import cache
from math import isqrt

_PRECISION = 80
"""Fraction bits of the integers in which functions are evaluated."""

_PI = 0x3243F6A8885A308D313198A2E03707344A4093822299F31D0082EFA98EC4E6C8 >> (252 - _PRECISION)
"""Pi with ``_PRECISION`` fraction bits."""

_DECIMAL = Context(prec=32, rounding=ROUND_HALF_EVEN)

Function = Callable[[int, int], int]
"""Value at ``numerator / denominator``, with ``_PRECISION`` fraction bits."""


@dataclass(frozen=True)
class PolynomialTable:
    """Quadratic coefficients of one function on equal intervals.

    Attributes
    ----------
    name : what the table computes.
    index_bits : log2 of the number of intervals.
    fraction_bits : width of the position ``f`` inside an interval (F).
    output_fraction_bits : fraction bits of ``c0``, of the products after their shift, and of ``y``.
    result_fraction_bits : fraction bits of the result ``m = y >> result_shift``.
    c0, c1, c2 : ``2**index_bits`` integers each.
    """

    name: str
    index_bits: int
    fraction_bits: int
    output_fraction_bits: int
    result_fraction_bits: int
    c0: tuple[int, ...]
    c1: tuple[int, ...]
    c2: tuple[int, ...]

    @property
    def result_shift(self) -> int:
        """Bits dropped (floor) from ``y`` to give the result."""
        return self.output_fraction_bits - self.result_fraction_bits

    @property
    def linear_range(self) -> tuple[int, int]:
        """Smallest and largest value that ``t`` can take, over all intervals and positions."""
        ends = [(c1, c1 + c2) for c1, c2 in zip(self.c1, self.c2, strict=True)]
        return min(min(pair) for pair in ends), max(max(pair) for pair in ends)


def _round_shift(value: int, shift: int) -> int:
    """``value / 2**shift`` rounded to the nearest integer, halves up."""
    return (value + (1 << (shift - 1))) >> shift


def _fit(
    name: str,
    function: Function,
    *,
    index_bits: int,
    fraction_bits: int,
    output_fraction_bits: int,
    result_fraction_bits: int,
) -> PolynomialTable:
    """Table of ``function(x)`` for x in [0, 1), cut into ``2**index_bits`` intervals."""
    scale = _PRECISION - output_fraction_bits
    # Means of the floors: the inner one loses 1/2 and is scaled by f (1/2 on average); the outer one and the final
    # shift together lose half a unit of the result.
    centring = (1 << scale) // 4 + (1 << (_PRECISION - result_fraction_bits)) // 2
    denominator = 30 << index_bits
    rows = []
    for i in range(1 << index_bits):
        low, middle, high = (function(30 * i + node, denominator) for node in (2, 15, 28))
        slope = (high - low) * 15 // 13
        a2 = (high - 2 * middle + low) * 450 // 169
        c2 = _round_shift(a2, scale)
        lost = a2 - (c2 << scale)
        # On the interval f*f is f - 1/8 to within 1/8, so what rounding c2 lost goes to c1 and c0; likewise f is 1/2.
        a1 = slope - a2 + lost
        c1 = _round_shift(a1, scale)
        a0 = middle - slope // 2 + a2 // 4 - lost // 8 + (a1 - (c1 << scale)) // 2
        rows.append((_round_shift(a0 + centring, scale), c1, c2))
    c0s, c1s, c2s = (tuple(column) for column in zip(*rows, strict=True))
    return PolynomialTable(name, index_bits, fraction_bits, output_fraction_bits, result_fraction_bits, c0s, c1s, c2s)


def _integer(value: Decimal) -> int:
    """``value`` (below 4) with ``_PRECISION`` fraction bits."""
    return int(_DECIMAL.multiply(value, Decimal(1 << _PRECISION)))


def _sine_of_quarter(numerator: int, denominator: int) -> int:
    """sin(pi / 2 * numerator / denominator) by its Taylor series."""
    angle = _PI * numerator // (2 * denominator)
    square = angle * angle >> _PRECISION
    term = total = angle
    divisor = 1
    while term:
        term = (term * square >> _PRECISION) // ((divisor + 1) * (divisor + 2))
        divisor += 2
        total += term if divisor % 4 == 1 else -term
    return total


def _normal_distribution(numerator: int, denominator: int) -> int:
    """Gaussian cumulative distribution at ``16 * numerator / denominator``; 1 from 8 on (it is within 2**-50)."""
    one = 1 << _PRECISION
    if 2 * numerator >= denominator:
        return one
    x = (16 * numerator << _PRECISION) // denominator
    square = x * x >> _PRECISION
    term = total = x
    divisor = 1
    while term:
        divisor += 2
        term = (term * square >> _PRECISION) // divisor
        total += term
    exponential = _DECIMAL.exp(
        _DECIMAL.divide(Decimal(-128 * numerator * numerator), Decimal(denominator * denominator))
    )
    density = _integer(_DECIMAL.divide(exponential, _DECIMAL.sqrt(_DECIMAL.divide(Decimal(2 * _PI), Decimal(one)))))
    return one // 2 + (density * total >> _PRECISION)


@cache
def exponential_table() -> PolynomialTable:
    """2**x for x in [0, 1)."""
    log2 = _DECIMAL.ln(Decimal(2))

    def function(numerator: int, denominator: int) -> int:
        return _integer(
            _DECIMAL.exp(_DECIMAL.divide(_DECIMAL.multiply(log2, Decimal(numerator)), Decimal(denominator)))
        )

    return _fit(
        "exponential", function, index_bits=7, fraction_bits=13, output_fraction_bits=24, result_fraction_bits=23
    )


@cache
def reciprocal_table() -> PolynomialTable:
    """2 / (1 + x) for x in [0, 1)."""

    def function(numerator: int, denominator: int) -> int:
        return (denominator << (_PRECISION + 1)) // (denominator + numerator)

    return _fit(
        "reciprocal", function, index_bits=8, fraction_bits=15, output_fraction_bits=24, result_fraction_bits=23
    )


@cache
def reciprocal_square_root_table() -> PolynomialTable:
    """2 / sqrt(v): v = 1 + 2x for x in [0, 1/2), v = 4x for x in [1/2, 1)."""

    def function(numerator: int, denominator: int) -> int:
        v = denominator + 2 * numerator if 2 * numerator < denominator else 4 * numerator
        return isqrt((denominator << (2 * _PRECISION + 2)) // v)

    return _fit(
        "reciprocal_square_root",
        function,
        index_bits=9,
        fraction_bits=15,
        output_fraction_bits=25,
        result_fraction_bits=23,
    )


@cache
def sigmoid_table() -> PolynomialTable:
    """1 / (1 + exp(-16 x)) for x in [0, 1)."""

    def function(numerator: int, denominator: int) -> int:
        exponential = _DECIMAL.exp(_DECIMAL.divide(Decimal(-16 * numerator), Decimal(denominator)))
        return _integer(_DECIMAL.divide(Decimal(1), _DECIMAL.add(Decimal(1), exponential)))

    return _fit("sigmoid", function, index_bits=9, fraction_bits=17, output_fraction_bits=24, result_fraction_bits=24)


@cache
def normal_distribution_table() -> PolynomialTable:
    """Cumulative distribution of the standard Gaussian at 16 x, for x in [0, 1)."""
    return _fit(
        "normal_distribution",
        _normal_distribution,
        index_bits=9,
        fraction_bits=17,
        output_fraction_bits=24,
        result_fraction_bits=24,
    )


@cache
def sine_table() -> PolynomialTable:
    """sin(pi / 2 * x) for x in [0, 1), sampled so that position ``f`` stands for the middle of its cell, f + 1/2.

    With that, the complement of all bits of x is exactly 1 - x, and one table serves sine and cosine.
    """
    cells = 1 << 26

    def function(numerator: int, denominator: int) -> int:
        return _sine_of_quarter(numerator * cells + denominator, denominator * cells)

    table = _fit("sine", function, index_bits=9, fraction_bits=16, output_fraction_bits=25, result_fraction_bits=24)
    # The first floor has nothing to lose at f = 0: without its share of the offset the sine of no turn is 0.
    return replace(table, c0=(table.c0[0] - 1, *table.c0[1:]))
