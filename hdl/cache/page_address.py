"""Where things stand in a page: the address of a layer, by addition, and the size of a head's exponents."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...arch.formats import BLOCK
from ..common import bits_for

PAGE_BITS = 16
LAYER_BITS = 12


class PageAddress(wiring.Component):
    """kv_base + page x page_bytes + layer x layer_bytes, one bit of a factor a cycle: 28 cycles, no multiplier.

    Members
    -------
    start : In(1), pulse; the operands hold until `done`
    kv_base : In(48), page : In(16), page_bytes : In(40), layer : In(12), layer_bytes : In(32)
    done : Out(1), pulse: `o` is there, and stays
    o : Out(48)
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "start": In(1),
                "kv_base": In(48),
                "page": In(PAGE_BITS),
                "page_bytes": In(40),
                "layer": In(LAYER_BITS),
                "layer_bytes": In(32),
                "done": Out(1),
                "o": Out(48),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        step = Signal(range(PAGE_BITS + LAYER_BITS + 1))
        factor = Signal(PAGE_BITS + LAYER_BITS)
        addend = Signal(48)
        with m.If(self.start):
            m.d.sync += [
                step.eq(PAGE_BITS + LAYER_BITS),
                factor.eq(Cat(self.page, self.layer)),
                addend.eq(self.page_bytes),
                self.o.eq(self.kv_base),
            ]
        with m.Elif(step != 0):
            m.d.sync += [
                step.eq(step - 1),
                factor.eq(factor >> 1),
                addend.eq(Mux(step == LAYER_BITS + 1, self.layer_bytes, addend << 1)),
                self.o.eq(self.o + Mux(factor[0], addend, 0)),
            ]
        m.d.sync += self.done.eq(step == 1)
        return m


def exponent_bytes(blocks: Value, bus_bytes: int) -> Value:
    """Bytes of the exponents of a head in a page, K's and V's: whole beats."""
    fill = max(1, bus_bytes // (2 * BLOCK))
    return (blocks + (fill - 1)) >> bits_for(fill) << bits_for(2 * BLOCK * fill)
