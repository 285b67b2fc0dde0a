"""The quadratic interpolation on which all table functions stand."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ...arch.tables import PolynomialTable
from ..shared import shared
from .common import bits_of, delay


@shared
class TablePolynomial(wiring.Component):
    """``o = (c0[i] + ((c1[i] + ((c2[i] * f) >> F)) * f >> F)) >> result_shift``; see docs/numerics-functions.md.

    One result a cycle, `latency` cycles after its operands. While `en` is 0 the whole pipeline stands still. No valid
    bits inside and no reset of data: the parent delays its own. One block RAM read port as wide as a row of the table,
    two multipliers with registers on both sides.

    Parameters
    ----------
    table : PolynomialTable
        Coefficients and widths, from ``arch.tables``.

    Members
    -------
    en : In(1)
    i : In(index_bits), interval
    f : In(fraction_bits), position in the interval
    o : Out(unsigned), as wide as the largest result

    Attributes
    ----------
    latency : int
    """

    latency = 6

    def __init__(self, table: PolynomialTable) -> None:
        self.table = table
        last = (1 << table.fraction_bits) - 1
        low, high = table.linear_range
        highest = max(
            c0 + max((c1 + max(c2, 0)) * last >> table.fraction_bits, 0)
            for c0, c1, c2 in zip(table.c0, table.c1, table.c2, strict=True)
        )
        self._linear = bits_of(low, high)
        self._output = bits_of(0, highest)
        super().__init__(
            {
                "en": In(1),
                "i": In(table.index_bits),
                "f": In(table.fraction_bits),
                "o": Out(unsigned(self._output.width - table.result_shift)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        en = self.en
        table = self.table
        shift = table.fraction_bits

        # 1. Read; 2. the memory's own output register.
        columns = {"c0": table.c0, "c1": table.c1, "c2": table.c2}
        row_layout = data.StructLayout({name: bits_of(min(c), max(c)) for name, c in columns.items()})
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        m.submodules.rows = rows_memory = memory.Memory(shape=row_layout, depth=len(rows), init=rows)
        read = rows_memory.read_port()
        m.d.comb += [read.addr.eq(self.i), read.en.eq(en)]
        row = Signal(row_layout, reset_less=True)
        with m.If(en):
            m.d.sync += row.eq(read.data)
        f_2 = delay(m, self.f, 2, enable=en, name="f_2")

        # 3. and 4. The linear coefficient at this position.
        square = Signal(bits_of(min(min(table.c2), 0) << shift, max(max(table.c2), 0) << shift), reset_less=True)
        linear = Signal(self._linear, reset_less=True)
        c1_3 = delay(m, row.c1, 1, enable=en, name="c1_3")
        with m.If(en):
            m.d.sync += [square.eq(row.c2 * f_2), linear.eq(c1_3 + (square >> shift))]
        f_4 = delay(m, f_2, 2, enable=en, name="f_4")

        # 5. and 6. The value.
        low, high = table.linear_range
        product = Signal(bits_of(min(low, 0) << shift, max(high, 0) << shift), reset_less=True)
        value = Signal(self._output, reset_less=True)
        c0_5 = delay(m, row.c0, 3, enable=en, name="c0_5")
        with m.If(en):
            m.d.sync += [product.eq(linear * f_4), value.eq(c0_5 + (product >> shift))]
        m.d.comb += self.o.eq(value >> table.result_shift)
        return m
