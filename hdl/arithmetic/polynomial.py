"""The quadratic interpolation on which all table functions stand."""

from amaranth.hdl import C, Cat, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ...arch.tables import PolynomialTable
from ..shared import shared
from .common import bits_of, check_flag, delay


@shared
class TablePolynomial(wiring.Component):
    """``o = (c0[i] + ((c1[i] + ((c2[i] * f) >> F)) * f >> F)) >> result_shift``; see docs/numerics-functions.md.

    One result a cycle, `latency` cycles after its operands. While `en` is 0 the whole pipeline stands still. No valid
    bits inside and no reset of data: the parent delays its own. One block RAM read port as wide as a row of the table,
    two multipliers with registers on both sides or, with `in_logic`, some 20 LUTs for each bit of a position.

    Parameters
    ----------
    table : PolynomialTable
        Coefficients and widths, from ``arch.tables``.
    in_logic : bool
        LUTs multiply, not multipliers: where there is one among many units that take those.

    Members
    -------
    en : In(1)
    i : In(index_bits), interval
    f : In(fraction_bits), position in the interval
    o : Out(unsigned), as wide as the largest result

    Attributes
    ----------
    latency : int

    Raises
    ------
    ValueError
        If `in_logic` is no truth value.
    """

    latency = 6

    def __init__(self, table: PolynomialTable, *, in_logic: bool = False) -> None:
        check_flag("TablePolynomial", "in_logic", in_logic)
        self.table = table
        self.in_logic = in_logic
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
        shape = bits_of(min(min(table.c2), 0) << shift, max(max(table.c2), 0) << shift)
        linear = Signal(self._linear, reset_less=True)
        c1_3 = delay(m, row.c1, 1, enable=en, name="c1_3")
        square = self._multiply(m, row.c2, f_2, shape, name="square")
        with m.If(en):
            m.d.sync += linear.eq(c1_3 + (square >> shift))
        f_4 = delay(m, f_2, 2, enable=en, name="f_4")

        # 5. and 6. The value.
        low, high = table.linear_range
        shape = bits_of(min(low, 0) << shift, max(high, 0) << shift)
        value = Signal(self._output, reset_less=True)
        c0_5 = delay(m, row.c0, 3, enable=en, name="c0_5")
        product = self._multiply(m, linear, f_4, shape, name="product")
        with m.If(en):
            m.d.sync += value.eq(c0_5 + (product >> shift))
        m.d.comb += self.o.eq(value >> table.result_shift)
        return m

    def _multiply(self, m: Module, coefficient: Value, position: Value, shape: Shape, *, name: str) -> Signal:
        """Their product, a cycle later; in logic as two halves, whose sum goes into the addition that follows."""
        product = Signal(shape, name=name, reset_less=True)
        if not self.in_logic:
            with m.If(self.en):
                m.d.sync += product.eq(coefficient * position)
            return product
        place = len(position) // 4 * 2
        halves = (_times(coefficient, position[:place]), _times(coefficient, position[place:]))
        low, high = (delay(m, half, 1, enable=self.en, name=f"{name}_{i}") for i, half in enumerate(halves))
        m.d.comb += product.eq(low + (high << place))
        return product


def _times(value: Value, factor: Value) -> Value:
    """The product with an unsigned factor, two bits of it after the other: a LUT chooses the multiple and adds it."""
    done: list[Value] = []
    rest: Value = C(0, 1)
    for place in range(0, len(factor), 2):
        multiple = Mux(factor[place], value, 0)
        if place + 1 < len(factor):
            more = Mux(factor[place], value + (value << 1), value << 1)
            multiple = Mux(factor[place + 1], more, multiple)
        total = rest + multiple
        # Two bits are done and leave: of plain additions synthesis makes one of many operands, in twice the LUTs.
        done.append(total[:2])
        rest = total >> 2
    product = Cat(*done, rest)
    return product.as_signed() if value.shape().signed else product
