"""The numerics written once more, slowly: plain Python integers and exact rationals, straight from the documents.

A machine float is a `Fraction`; lists stand for vectors. Nothing here is shared with ``celosia.golden``.
"""

from fractions import Fraction

from celosia.arch.tables import PolynomialTable, exponential_table, reciprocal_table

LARGEST = Fraction((1 << 24) - 1) * Fraction(2) ** 104


def power(exponent: int) -> Fraction:
    """2^exponent."""
    return Fraction(2) ** exponent


def magnitude_exponent(x: Fraction) -> int:
    """The E with 2^E <= |x| < 2^(E + 1)."""
    e = abs(x.numerator).bit_length() - x.denominator.bit_length()
    return e if abs(x) >= power(e) else e - 1


def rne(x: Fraction) -> int:
    """Nearest integer, ties to even (Python's own rule for round)."""
    return round(x)


def rne32(x: Fraction) -> Fraction:
    """Section 1."""
    if abs(x) < power(-126):
        return Fraction(0)
    unit = power(magnitude_exponent(x) - 23)
    result = rne(x / unit) * unit
    if abs(result) >= power(128):
        return LARGEST if x > 0 else -LARGEST
    return result


def block_sum(x: list[Fraction]) -> Fraction:
    """The balanced tree of section 2, over 32 elements."""
    while len(x) > 1:
        x = [rne32(x[i] + x[i + 1]) for i in range(0, len(x), 2)]
    return x[0]


def reduce_sum(x: list[Fraction]) -> Fraction:
    """Section 2."""
    x = x + [Fraction(0)] * (-len(x) % 32)
    acc = Fraction(0)
    for i in range(0, len(x), 32):
        acc = rne32(acc + block_sum(x[i : i + 32]))
    return acc


def quantize_block(x: list[Fraction], bits: int) -> tuple[list[int], int]:
    """Section 3, by searching for the exponent."""
    largest = max(abs(v) for v in x)
    if largest == 0:
        return [0] * len(x), -127
    e = -127
    while rne(largest / power(e)) > (1 << (bits - 1)) - 1:
        e += 1
    return [rne(v / power(e)) for v in x], e


def polynomial(table: PolynomialTable, i: int, f: int) -> int:
    """The table polynomial of the functions page."""
    t = table.c1[i] + ((table.c2[i] * f) >> table.fraction_bits)
    y = table.c0[i] + ((t * f) >> table.fraction_bits)
    return y >> (table.output_fraction_bits - table.result_fraction_bits)


def exp2_negative(distance: int) -> Fraction:
    """2^(-distance / 2^20), the functions page."""
    n, g = distance >> 20, distance & ((1 << 20) - 1)
    if g == 0:
        return power(-n) if 127 - n > 0 else Fraction(0)
    h = (1 << 20) - g
    m = polynomial(exponential_table(), h >> 13, h & 0x1FFF)
    return m * power(126 - n - 127 - 23) if 126 - n > 0 else Fraction(0)


def recip(x: Fraction) -> Fraction:
    """1 / x of a positive float, the functions page."""
    exponent = magnitude_exponent(x)
    mantissa = int(x / power(exponent - 23)) - (1 << 23)
    field = exponent + 127
    if mantissa == 0:
        m, r = 1 << 23, 254 - field
    else:
        m, r = polynomial(reciprocal_table(), mantissa >> 15, mantissa & 0x7FFF), 253 - field
    return m * power(r - 150) if r > 0 else Fraction(0)


def matrix_product(
    q: list[list[int]], e: list[int], w: list[list[int]], d: list[Fraction], m: list[Fraction] | None
) -> Fraction:
    """Section 4 for one row and one channel: lists over blocks."""
    acc = Fraction(0)
    for b in range(len(q)):
        dot = sum(x * y for x, y in zip(q[b], w[b], strict=True))
        value = rne32(dot * d[b] * power(e[b]))
        if m is not None:
            value = rne32(value + rne32(sum(q[b]) * m[b] * power(e[b])))
        acc = rne32(acc + value)
    return acc


Page = tuple[list[list[list[int]]], list[list[int]], list[list[list[int]]], list[list[int]]]
"""One head in one page: K [block][position][lane], its exponents [block][position], V [block][lane][position], its."""


def attend(
    q: list[list[int]], e: list[int], pages: list[Page], position: int, imm: Fraction, bits: int
) -> list[Fraction]:
    """Section 8 for one query row: q [block][lane], e [block]."""
    blocks = range(len(q))
    maximum, total, acc = 0, Fraction(0), [[Fraction(0)] * 32 for _ in blocks]
    for number, (keys, key_e, values, value_e) in enumerate(pages):
        z, visible = [], [number * 32 + i <= position for i in range(32)]
        for i in range(32):
            score = Fraction(0)
            for b in blocks:
                dot = sum(x * y for x, y in zip(q[b], keys[b][i], strict=True))
                score = rne32(score + rne32(dot * power(e[b] + key_e[b][i])))
            z.append(min(max(rne(rne32(score * imm) * power(20)), -(1 << 35)), (1 << 35) - 1))
        top = -((-max(v for v, seen in zip(z, visible, strict=True) if seen)) >> 20)
        new = top if number == 0 else max(maximum, top)
        shift = new - maximum if number else 0
        maximum = new
        p = [
            exp2_negative(min((new << 20) - v, (1 << 36) - 1)) if seen else Fraction(0)
            for v, seen in zip(z, visible, strict=True)
        ]
        total = rne32(rne32(total * power(-shift)) + block_sum(p))
        for b in blocks:
            pq, pe = quantize_block([rne32(p[i] * power(value_e[b][i])) for i in range(32)], bits)
            for lane in range(32):
                dot = sum(x * y for x, y in zip(pq, values[b][lane], strict=True))
                acc[b][lane] = rne32(rne32(acc[b][lane] * power(-shift)) + rne32(dot * power(pe)))
    return [rne32(a * recip(total)) for block in acc for a in block]
