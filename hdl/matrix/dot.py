"""The multipliers: R x C integer dot products of 32."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...arch.formats import BLOCK

TREE = (4, 4, 2)
"""Operands that each registered stage of the adder tree adds; their product is the block."""


class DotArray(wiring.Component):
    """Exact dot products of every activation row with every channel of a tile.

    One set a cycle, `latency` cycles after its operands: multipliers with registers on both sides, then an adder tree
    with a register every one or two levels. Never stalls; no reset of data. R x C x 32 multipliers of 8 x b bits. All
    in one flat module: simulators are several times faster on it than on a hierarchy.

    Parameters
    ----------
    rows, channels : int
        R and C.
    activation_bits : int
        b.

    Members
    -------
    weights : In, C x 32 signed bytes
    q : In, R x 32 signed integers of b bits
    o : Out, R x C signed integers of b + 13 bits

    Attributes
    ----------
    latency : int
    """

    latency = 2 + len(TREE)

    def __init__(self, *, rows: int, channels: int, activation_bits: int) -> None:
        self.rows = rows
        self.channels = channels
        self.activation_bits = activation_bits
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
        weights = [
            [Signal(signed(8), name=f"weight_{c}_{i}", reset_less=True) for i in range(BLOCK)]
            for c in range(self.channels)
        ]
        activations = [
            [Signal(signed(self.activation_bits), name=f"q_{r}_{i}", reset_less=True) for i in range(BLOCK)]
            for r in range(self.rows)
        ]
        for channel, registers in enumerate(weights):
            m.d.sync += [w.eq(self.weights[channel][i]) for i, w in enumerate(registers)]
        for row, registers in enumerate(activations):
            m.d.sync += [q.eq(self.q[row][i]) for i, q in enumerate(registers)]
        for row in range(self.rows):
            for channel in range(self.channels):
                terms = []
                for i, (w, q) in enumerate(zip(weights[channel], activations[row], strict=True)):
                    product = Signal(signed(len(w) + len(q)), name=f"product_{row}_{channel}_{i}", reset_less=True)
                    m.d.sync += product.eq(w * q)
                    terms.append(product)
                m.d.comb += self.o[row][channel].eq(_registered_sum(m, terms, name=f"sum_{row}_{channel}"))
        return m


def _registered_sum(m: Module, terms: list[Signal], *, name: str) -> Signal:
    """Sum of 32 terms, exact, one register for each entry of `TREE`."""
    for stage, arity in enumerate(TREE):
        width = len(terms[0]) + (arity - 1).bit_length()
        sums = []
        for index in range(0, len(terms), arity):
            total = Signal(signed(width), name=f"{name}_{stage}_{index // arity}", reset_less=True)
            group = terms[index : index + arity]
            while len(group) > 1:
                group = [a + b for a, b in zip(group[::2], group[1::2], strict=True)]
            m.d.sync += total.eq(group[0])
            sums.append(total)
        terms = sums
    return terms[0]
