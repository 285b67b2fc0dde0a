"""The table functions, transcribed line by line from docs/numerics-functions.md, one number at a time.

`polynomial` also takes numpy int64 arrays as `i` and `f`, for the exhaustive checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celosia.arch.tables import (
    PolynomialTable,
    exponential_table,
    normal_distribution_table,
    reciprocal_square_root_table,
    reciprocal_table,
    sigmoid_table,
    sine_table,
)

from .exact import LARGEST, rne32

GATE_TABLES = {"sigmoid": sigmoid_table, "gelu": normal_distribution_table}


def polynomial(
    table: PolynomialTable, i: Any, f: Any, columns: tuple[Sequence[int], Sequence[int], Sequence[int]] | None = None
) -> Any:
    """The result m; `columns` replaces the tuples of the table by arrays where i and f are arrays."""
    c0, c1, c2 = columns or (table.c0, table.c1, table.c2)
    t = c1[i] + ((c2[i] * f) >> table.fraction_bits)
    y = c0[i] + ((t * f) >> table.fraction_bits)
    return y >> table.result_shift


def _fields(word: int) -> tuple[int, int, int]:
    return word >> 31, word >> 23 & 0xFF, word & 0x7F_FFFF


def reciprocal(a: int) -> tuple[int, int]:
    s, e, mantissa = _fields(a)
    if e == 0:
        return LARGEST, 1
    if mantissa == 0:
        m, r = 1 << 23, 254 - e
    else:
        m, r = polynomial(reciprocal_table(), mantissa >> 15, mantissa & 0x7FFF), 253 - e
    return (0 if r <= 0 else s << 31 | r << 23 | (m - (1 << 23))), 0


def reciprocal_sqrt(a: int) -> tuple[int, int]:
    s, e, mantissa = _fields(a)
    if e == 0:
        return LARGEST, 1
    if s:
        return 0, 1
    odd, half = (e - 127) & 1, (e - 127) >> 1
    if odd == 0 and mantissa == 0:
        return (127 - half) << 23, 0
    m = polynomial(reciprocal_square_root_table(), odd << 8 | mantissa >> 15, mantissa & 0x7FFF)
    return (126 - half) << 23 | (m - (1 << 23)), 0


def exp2_negative(d: int) -> int:
    n, g = d >> 20, d & ((1 << 20) - 1)
    if g == 0:
        m, r = 1 << 23, 127 - n
    else:
        h = (1 << 20) - g
        m, r = polynomial(exponential_table(), h >> 13, h & 0x1FFF), 126 - n
    return 0 if r <= 0 else r << 23 | (m - (1 << 23))


def gate(kind: str, a: int) -> int:
    s, e, mantissa = _fields(a)
    if e >= 131:
        v = 1 << 24
    else:
        position = 0 if e == 0 else ((1 << 23) + mantissa << 2) >> (130 - e)
        v = min(polynomial(GATE_TABLES[kind](), position >> 17, position & 0x1FFFF), 1 << 24)
    if s and e:
        v = (1 << 24) - v
    return rne32(v, -24)[0]


def sine_cosine(phase: int) -> tuple[int, int]:
    quadrant = phase >> 38
    w = phase >> 13 & (1 << 25) - 1
    v = w ^ (1 << 25) - 1
    up = polynomial(sine_table(), w >> 16, w & 0xFFFF)
    down = polynomial(sine_table(), v >> 16, v & 0xFFFF)
    sine = (up, down, -up, -down)[quadrant]
    cosine = (down, -up, -down, up)[quadrant]
    return rne32(sine, -24)[0], rne32(cosine, -24)[0]
