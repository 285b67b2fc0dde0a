"""The table functions against mathematics, and what their definition promises about every input.

The functions here are the integer transcription that the RTL is compared with bit for bit in the bench.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from decimal import Context, Decimal
from random import Random

import numpy as np
import pytest

from celosia.arch.tables import (
    PolynomialTable,
    exponential_table,
    normal_distribution_table,
    reciprocal_square_root_table,
    reciprocal_table,
    sigmoid_table,
    sine_table,
)

from . import exact, functions

SEED = 20240607
DECIMAL = Context(prec=40)


def _value(word: int) -> float:
    n, e = exact.decode(word)
    return math.ldexp(n, e)


def _positions(table: PolynomialTable, random: Random) -> Iterator[int]:
    """Every interval of a table at both ends and at three random places, as index and position in one integer."""
    last = (1 << table.fraction_bits) - 1
    for i in range(1 << table.index_bits):
        for f in (0, 1, last, *(random.randint(0, last) for _ in range(3))):
            yield i << table.fraction_bits | f


def _results(table: PolynomialTable) -> Iterator[np.ndarray]:
    """The results at every position, int64, one array per interval in ascending order."""
    columns = tuple(np.array(column, dtype=np.int64) for column in (table.c0, table.c1, table.c2))
    f = np.arange(1 << table.fraction_bits, dtype=np.int64)
    for i in range(1 << table.index_bits):
        yield functions.polynomial(table, i, f, columns)


def _range(table: PolynomialTable) -> tuple[int, int]:
    """Smallest and largest result over every position but the very first."""
    extremes = [(m.min(), m.max()) for m in ((m[1:] if i == 0 else m) for i, m in enumerate(_results(table)))]
    return min(low for low, _ in extremes), max(high for _, high in extremes)


def test_tables_same_on_every_platform() -> None:
    tables = [
        exponential_table(),
        reciprocal_table(),
        reciprocal_square_root_table(),
        sigmoid_table(),
        normal_distribution_table(),
        sine_table(),
    ]
    digest = hashlib.sha256(repr([(t.name, t.c0, t.c1, t.c2) for t in tables]).encode()).hexdigest()
    assert digest[:16] == "33febe78a4d1bcfd"


@pytest.mark.parametrize(
    "table", [exponential_table(), reciprocal_table(), reciprocal_square_root_table()], ids=lambda t: t.name
)
def test_mantissas_need_no_saturation(table: PolynomialTable) -> None:
    low, high = _range(table)
    assert low >= 1 << 23
    assert high < 1 << 24


@pytest.mark.parametrize(
    "table", [exponential_table(), reciprocal_table(), reciprocal_square_root_table()], ids=lambda t: t.name
)
def test_first_position_is_a_power_of_two(table: PolynomialTable) -> None:
    """The RTL does not treat powers of two apart, since the mantissa field is 0 there by itself."""
    assert functions.polynomial(table, 0, 0) & 0x7F_FFFF == 0


def test_exponential_never_falls() -> None:
    assert (np.diff(np.concatenate(list(_results(exponential_table())))) >= 0).all()


def test_sine_range() -> None:
    table = sine_table()
    assert functions.polynomial(table, 0, 0) == 0
    low, high = _range(table)
    assert low >= 0
    assert high == 1 << 24


@pytest.mark.parametrize("table", [sigmoid_table(), normal_distribution_table()], ids=lambda t: t.name)
def test_gate_range(table: PolynomialTable) -> None:
    assert functions.polynomial(table, 0, 0) == 1 << 23
    low, high = _range(table)
    assert low >= 1 << 23
    assert high <= (1 << 24) + 1


def test_exp2_accuracy() -> None:
    random = Random(SEED)
    for position in _positions(exponential_table(), random):
        d = random.randrange(125) << 20 | position
        true = DECIMAL.power(Decimal(2), Decimal(-d) / (1 << 20))
        error = Decimal(_value(functions.exp2_negative(d))) / true - 1
        assert abs(error) <= Decimal(2) ** -23 * Decimal("0.99"), f"d = {d:#x}: {error}"
    assert functions.exp2_negative(0) == 127 << 23
    assert functions.exp2_negative(126 << 20) == 1 << 23
    assert functions.exp2_negative((126 << 20) + 1) == 0


def test_reciprocal_accuracy() -> None:
    random = Random(SEED)
    for position in _positions(reciprocal_table(), random):
        a = random.randint(2, 252) << 23 | position
        error = _value(functions.reciprocal(a)[0]) * _value(a) - 1
        assert abs(error) <= 2**-22.7, f"a = {a:#x}: {error}"
        assert functions.reciprocal(a | 1 << 31)[0] == functions.reciprocal(a)[0] | 1 << 31


def test_reciprocal_sqrt_accuracy() -> None:
    random = Random(SEED)
    for position in _positions(reciprocal_square_root_table(), random):
        odd, mantissa = position >> 23, position & 0x7F_FFFF
        a = 2 * random.randint(1, 126) + 1 - odd << 23 | mantissa
        error = Decimal(_value(functions.reciprocal_sqrt(a)[0])) * DECIMAL.sqrt(Decimal(_value(a))) - 1
        assert abs(error) <= Decimal(2) ** -23 * Decimal("0.81"), f"a = {a:#x}: {error}"


@pytest.mark.parametrize("kind", ["sigmoid", "gelu"])
def test_gate_accuracy(kind: str) -> None:
    def true(x: float) -> float:
        return 1 / (1 + math.exp(-x)) if kind == "sigmoid" else math.erfc(-x / math.sqrt(2)) / 2

    random = Random(SEED)
    words = [
        sign << 31 | random.randint(90, 133) << 23 | random.getrandbits(23) for sign in (0, 1) for _ in range(5000)
    ]
    for word in words:
        error = _value(functions.gate(kind, word)) - true(_value(word))
        assert abs(error) <= 2**-22, f"x = {_value(word)}: {error}"
        assert _value(functions.gate(kind, word)) + _value(functions.gate(kind, word ^ 1 << 31)) == 1
    assert functions.gate(kind, 0) == 0x3F00_0000


def test_sine_cosine_accuracy() -> None:
    random = Random(SEED)
    for _ in range(20_000):
        phase = random.getrandbits(40)
        sine, cosine = map(_value, functions.sine_cosine(phase))
        angle = 2 * math.pi * math.ldexp(phase, -40)
        assert abs(sine - math.sin(angle)) <= 2**-23.3, f"phase = {phase:#x}"
        assert abs(cosine - math.cos(angle)) <= 2**-23.3, f"phase = {phase:#x}"


def test_sine_cosine_right_angles() -> None:
    got = [tuple(map(_value, functions.sine_cosine(quadrant << 38))) for quadrant in range(4)]
    assert got == [(0, 1), (1, 0), (0, -1), (-1, 0)]
