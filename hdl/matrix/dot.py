"""The multipliers: R x C integer dot products of 32."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...arch.formats import BLOCK
from ...arch.pipeline import SHALLOW, Registers

TREE = (4, 4, 2)
"""Operands that each registered stage of the adder tree adds; their product is the block."""

PAIR_SHIFT = 18
"""Bits below the upper one of two weights that share a multiplier. Together they are a signed operand of 27 bits, the
width of a DSP48E2; one bit more would not fit. Four products of 8 x 9 bits, the first stage of `TREE`, just fit below:
their sum is at most 4 x 128 x 255 < 2^17 in magnitude."""


class DotArray(wiring.Component):
    """Exact dot products of every activation row with every channel of a tile.

    One set a cycle, `latency` cycles after its operands, whatever the form: multipliers with registers on both sides,
    then an adder tree with a register every one or two levels, as `registers` has it. Never stalls; no reset of data.
    All in one flat module: simulators are several times faster on it than on a hierarchy.

    With one product per DSP there are R x C x 32 multipliers of 8 x b bits. With two, the weights of channels 2i and
    2i + 1 are one operand, and there are half as many multipliers, of 27 x b bits. The two products stay together in
    the first stage of the tree; then the sums are taken apart.

    Parameters
    ----------
    rows, channels : int
        R and C.
    activation_bits : int
        b, 9 at most.
    products_per_dsp : int
        1, or 2 if C is even.
    registers : Registers
        Where its registers stand: `arch.pipeline.DOT`.
    row_domains : sequence of str or None
        Clock domain of what is there once per row; None is ``sync``.

    Members
    -------
    weights : In, C x 32 signed bytes
    q : In, R x 32 signed integers of b bits, never the least one: docs/numerics.md, section 3
    o : Out, R x C signed integers of b + 13 bits

    Attributes
    ----------
    latency : int

    Raises
    ------
    ValueError
        No such form, or one channel is left over.
    """

    def __init__(
        self,
        *,
        rows: int,
        channels: int,
        activation_bits: int,
        products_per_dsp: int,
        registers: Registers = SHALLOW.dot,
        row_domains: Sequence[str] | None = None,
    ) -> None:
        if products_per_dsp not in (1, 2):
            raise ValueError(f"DotArray: products_per_dsp must be 1 or 2, not {products_per_dsp!r}")
        if channels % products_per_dsp:
            raise ValueError(f"DotArray: channels must be even with products_per_dsp = 2, not {channels!r}")
        self.rows = rows
        self.channels = channels
        self.activation_bits = activation_bits
        self.products_per_dsp = products_per_dsp
        self.latency = registers.latency
        self.before = registers.steps("add")
        self.row_domains = row_domains or ("sync",) * rows
        dot = signed(activation_bits + 8 + 5)
        super().__init__(
            {
                "weights": In(data.ArrayLayout(data.ArrayLayout(signed(8), BLOCK), channels)),
                "q": In(data.ArrayLayout(data.ArrayLayout(signed(activation_bits), BLOCK), rows)),
                "o": Out(data.ArrayLayout(data.ArrayLayout(dot, channels), rows)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        activations = [
            [_register(m, q, f"q_{row}_{i}", domain) for i, q in enumerate(self.q[row])]
            for row, domain in enumerate(self.row_domains)
        ]
        if self.products_per_dsp == 1:
            self._single(m, activations)
        else:
            self._pairs(m, activations)
        return m

    def _single(self, m: Module, activations: list[list[Signal]]) -> None:
        """A multiplier for each product."""
        for channel in range(self.channels):
            weights = [_register(m, w, f"weight_{channel}_{i}", "sync") for i, w in enumerate(self.weights[channel])]
            for row, (q, domain) in enumerate(zip(activations, self.row_domains, strict=True)):
                where = f"{row}_{channel}"
                products = [
                    _register(m, a * b, f"product_{where}_{i}", domain)
                    for i, (a, b) in enumerate(zip(weights, q, strict=True))
                ]
                total = self._sum(m, products, TREE, f"sum_{where}", domain)
                m.d.comb += self.o[row][channel].eq(total)

    def _pairs(self, m: Module, activations: list[list[Signal]]) -> None:
        """A multiplier for two products."""
        for channel in range(0, self.channels, 2):
            weights = [
                _register(m, pair(*both), f"weights_{channel}_{i}", "sync")
                for i, both in enumerate(zip(self.weights[channel], self.weights[channel + 1], strict=True))
            ]
            for row, (q, domain) in enumerate(zip(activations, self.row_domains, strict=True)):
                where = f"{row}_{channel}"
                products = [
                    _register(m, pair_product(a, b), f"products_{where}_{i}", domain)
                    for i, (a, b) in enumerate(zip(weights, q, strict=True))
                ]
                sums = self._sums(m, products, TREE[0], f"sums_{where}", domain)
                for half, terms in enumerate(zip(*map(split_pair, sums), strict=True)):
                    total = self._sum(m, terms, TREE[1:], f"sum_{row}_{channel + half}", domain)
                    m.d.comb += self.o[row][channel + half].eq(total)

    def _sum(self, m: Module, terms: Sequence[Value], tree: tuple[int, ...], name: str, domain: str) -> Value:
        """Sum of all terms, exact, one register for each entry of `tree`, whose product is their number."""
        for stage, arity in enumerate(tree):
            terms = self._sums(m, terms, arity, f"{name}_{stage}", domain)
        return terms[0]

    def _sums(self, m: Module, terms: Sequence[Value], arity: int, name: str, domain: str) -> list[Signal]:
        """Sums of `arity` terms each, a power of two, exact, each in a register; where told, one inside too."""
        width = max(map(len, terms)) + (arity - 1).bit_length()
        sums = []
        for index in range(0, len(terms), arity):
            total = Signal(signed(width), name=f"{name}_{index // arity}", reset_less=True)
            group = [*terms[index : index + arity]]
            while len(group) > 1:
                step = len(terms) * len(group) // arity
                if step in self.before:
                    group = [_register(m, term, f"{name}_{index // arity}_{i}", domain) for i, term in enumerate(group)]
                group = [a + b for a, b in zip(group[::2], group[1::2], strict=True)]
            m.d[domain] += total.eq(group[0])
            sums.append(total)
        return sums


def pair(low: Value, high: Value) -> Value:
    """Two signed bytes as one operand of a multiplier, ``low + high x 2^PAIR_SHIFT``: 27 bits."""
    return (low + (high << PAIR_SHIFT))[: PAIR_SHIFT + 9].as_signed()


def pair_product(operand: Value, q: Value) -> Value:
    """A `pair` times an activation of b bits: PAIR_SHIFT + b + 7 bits, since |q| is below 2^(b-1)."""
    return (operand * q)[: PAIR_SHIFT + len(q) + 7].as_signed()


def split_pair(total: Value) -> tuple[Value, Value]:
    """The low and the high sum of four `pair_product`s, PAIR_SHIFT and b + 9 bits.

    A negative low sum has borrowed one from the high sum, which gets it back here.
    """
    low = total[:PAIR_SHIFT].as_signed()
    high = (total[PAIR_SHIFT:].as_signed() + low[-1])[: len(total) - PAIR_SHIFT].as_signed()
    return low, high


def _register(m: Module, value: Value, name: str, domain: str) -> Signal:
    register = Signal(value.shape(), name=name, reset_less=True)
    m.d[domain] += register.eq(value)
    return register
