"""The accumulators of the matrix engine."""

from collections.abc import Sequence

from amaranth.hdl import C, Cat, DomainRenamer, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...arch.pipeline import SHALLOW, Pipeline
from ..arithmetic.add import FloatAdd
from ..arithmetic.common import FLOAT, delay, held
from ..shared import shared


class AccumulatorArray(wiring.Component):
    """``acc = add(first ? +0 : scale2(acc, -shift), value)`` for R x C float32 at once.

    One set a cycle. A set is presented over some cycles: index and `en` at cycle 0, `first` and `shift` at cycle
    `scale_cycle`, `value` at cycle `value_cycle`; the sum is at `o` at cycle `latency`. It is what an index presented
    `distance` cycles after this one reads, or later. The parent keeps that distance, except for a set that is `first`,
    which does not read. Never stalls.

    A sum on its way into the memory goes around it for the set that reads in the same cycle: the memory needs a
    register of its own behind it, and interleaved groups must not wait for that. Where block RAM is too slow for the
    pipeline's clock, the memory is one of LUTs.

    Parameters
    ----------
    rows, channels : int
        R and C.
    depth : int
        Accumulators; each is R x C words of 32 bits, in one memory for each of the R x C.
    pipeline : Pipeline
    row_domains : sequence of str or None
        Clock domain of what is there once per row; None is ``sync``.

    Members
    -------
    en : In(1), the set is valid: its sum is stored
    index : In(range(depth))
    first : In(1), starts at +0
    shift : In, R amounts; 255 flushes every accumulator of the row to +0
    value : In, R x C float32
    o : Out, R x C float32
    o_valid : Out(1), `en` `latency` cycles later
    overflow : Out(1), one of `o` was saturated; not gated by `o_valid`
    clear : In(1), forgets the sets in flight

    Attributes
    ----------
    scale_cycle, value_cycle : int
    latency : int
    distance : int
    """

    def __init__(
        self,
        *,
        rows: int,
        channels: int,
        depth: int,
        pipeline: Pipeline = SHALLOW,
        row_domains: Sequence[str] | None = None,
    ) -> None:
        self.rows = rows
        self.channels = channels
        self.depth = depth
        self.pipeline = pipeline
        self.value_cycle = pipeline.accumulate.latency
        self.scale_cycle = self.value_cycle - pipeline.accumulate.cycles[-1]
        self.distance = self.latency = pipeline.distance
        self.row_domains = row_domains or ("sync",) * rows
        floats = data.ArrayLayout(data.ArrayLayout(32, channels), rows)
        super().__init__(
            {
                "en": In(1),
                "index": In(range(depth)),
                "first": In(1),
                "shift": In(data.ArrayLayout(8, rows)),
                "value": In(floats),
                "o": Out(floats),
                "o_valid": Out(1),
                "overflow": Out(1),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        index = delay(m, self.index, self.latency, enable=C(1), name="write_index")
        valid = Signal(self.latency)
        m.d.sync += valid.eq(Mux(self.clear, 0, Cat(self.en, valid)))
        m.d.comb += self.o_valid.eq(valid[-1])
        around = Signal()
        m.d.sync += around.eq(valid[-1] & (index == self.index))

        overflows = []
        for row, domain in enumerate(self.row_domains):
            for channel in range(self.channels):
                lane = Accumulator(depth=self.depth, pipeline=self.pipeline)
                m.submodules[f"lane_{row}_{channel}"] = DomainRenamer(domain)(lane)
                m.d.comb += [
                    lane.read_index.eq(self.index),
                    lane.first.eq(self.first),
                    lane.shift.eq(self.shift[row]),
                    lane.value.eq(self.value[row][channel]),
                    lane.write.eq(valid[-1]),
                    lane.write_index.eq(index),
                    lane.around.eq(around),
                    self.o[row][channel].eq(lane.o),
                ]
                overflows.append(lane.overflow)
        m.d.comb += self.overflow.eq(Cat(overflows).any())
        return m


@shared
class Accumulator(wiring.Component):
    """One of R x C: its memory, what scales down and the adder; timing as of `AccumulatorArray`, which has the control.

    Parameters
    ----------
    depth : int
        Words.
    pipeline : Pipeline

    Members
    -------
    read_index : In(range(depth)), read in this cycle
    around : In(1), the word read in the cycle before is the one that was written then
    first, shift, value : as of the array, `shift` and `value` of this one
    write : In(1), write_index : In(range(depth)), where `o` goes
    o : Out(32), the sum
    overflow : Out(1), `o` was saturated
    """

    def __init__(self, *, depth: int, pipeline: Pipeline = SHALLOW) -> None:
        self.depth = depth
        self.pipeline = pipeline
        index = range(depth)
        inputs = {
            "read_index": index,
            "around": 1,
            "first": 1,
            "shift": 8,
            "value": 32,
            "write": 1,
            "write_index": index,
        }
        super().__init__({**{name: In(shape) for name, shape in inputs.items()}, "o": Out(32), "overflow": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        style = {} if self.pipeline.block_ram else {"ram_style": "distributed"}
        m.submodules.sums = memory = Memory(shape=unsigned(32), depth=self.depth, init=[], attrs=style)
        m.submodules.add = add = FloatAdd(registers=self.pipeline.add)
        read, write = memory.read_port(), memory.write_port()
        written = Signal(32, reset_less=True)
        stored = Signal(32, reset_less=True)
        old = Signal(32, reset_less=True)
        m.d.comb += [
            read.en.eq(1),
            read.addr.eq(self.read_index),
            add.en.eq(1),
            add.a.eq(old),
            add.b.eq(self.value),
            write.en.eq(self.write),
            write.addr.eq(self.write_index),
            write.data.eq(add.o),
            self.o.eq(add.o),
            self.overflow.eq(add.overflow),
        ]
        m.d.sync += [
            written.eq(add.o),
            stored.eq(Mux(self.around, written, read.data)),
            old.eq(_scale_down(m, stored, self.shift, self.first, self.pipeline.accumulate.cycles[-1] - 1)),
        ]
        return m


def _scale_down(m: Module, word: Value, shift: Value, zero: Value, cycles: int) -> data.View:
    """``scale2(word, -shift)``, or +0, with registers inside. Below 2^-126 it is flushed: nothing to round."""
    result = Signal(FLOAT)
    exponent = Signal(9)
    m.d.comb += exponent.eq(FLOAT(word).exponent - shift)
    word, exponent, zero = (
        held(m, value, cycles, enable=C(1), name=name)
        for name, value in {"scaled": word, "scaled_exponent": exponent, "scaled_zero": zero}.items()
    )
    with m.If(~zero & ~exponent[8] & (exponent != 0)):
        m.d.comb += [result.eq(word), result.exponent.eq(exponent)]
    return result
