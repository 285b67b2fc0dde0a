"""Sine and cosine of every pair at every position of a pass."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...arch.formats import BLOCK
from ..arithmetic.common import delay, delay_valid
from ..arithmetic.sine import PHASE_BITS, SineCosine
from ..common import bits_for, block_ram
from ..interfaces import FLOAT, Interfaces
from .beats import BeatCutter

_ONE = 0x3F80_0000
_CONSTANT_BITS = 64
_CONSTANT_DIGITS = ((0, 16), (16, 32), (32, 40))
_POSITION_DIGITS = ((0, 10), (10, 20))
_SMALL_HEADS = (4, 8)
"""Pairs of heads that share a block, and maybe a word."""


class RopeTable(wiring.Component):
    """Fills itself from a stream of constants (ROPE_TABLE) and answers the lookups of the rotation.

    phase = position x constant mod 2^40 for the first row, one constant more for each further row. One pair of one row
    a cycle: pairs x rows cycles and `latency` for the pipeline. A lookup answers two cycles after its address; pairs
    past the last constant of a head, and all pairs with `identity`, are (0, 1). A word that has room for several small
    heads has their pairs once for each. Cost: 5 multipliers, `SineCosine`, block RAM for
    chunk x max_head_dim / 2 pairs.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    start : In(1), pulse: read `pairs` constants
    pairs : In(20), rows : In(6), position : In(20), constant from `start` until `done`
    chunk : In(1), whose table is filled or looked up
    i : In(stream.Signature(W * 8)), beats of 64-bit constants
    done : Out(1)
    row : In(5), word : In, V/2 pairs of a head, identity : In(1), a lookup
    heads_log2 : In(3), log2 of the heads that share a block
    sine, cosine : Out(ArrayLayout(32 bits, V / 2))

    Attributes
    ----------
    latency : int
        Cycles from a constant to its entry.
    """

    latency = 5 + SineCosine.latency

    def __init__(self, interfaces: Interfaces) -> None:
        config = interfaces.config.vector
        self.bus_bits = interfaces.bus_bytes * 8
        self.pairs_per_word = interfaces.lanes // 2
        self.word_bits = bits_for(max(BLOCK, config.max_head_dim) // interfaces.lanes)
        self.row_bits = bits_for(config.chunk)
        self.chunks = config.chunks
        result = data.ArrayLayout(FLOAT, self.pairs_per_word)
        super().__init__(
            {
                "start": In(1),
                "pairs": In(20),
                "rows": In(6),
                "position": In(20),
                "chunk": In(1),
                "i": In(stream.Signature(self.bus_bits)),
                "done": Out(1),
                "row": In(5),
                "word": In(self.word_bits),
                "identity": In(1),
                "heads_log2": In(3),
                "sine": Out(result),
                "cosine": Out(result),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self.chunks << (self.row_bits + self.word_bits)
        m.submodules.table = table = block_ram(shape=64 * self.pairs_per_word, depth=depth)
        self._fill(m, table)
        self._look_up(m, table)
        return m

    def _fill(self, m: Module, table: memory.Memory) -> None:
        """Every constant stays for as many cycles as there are rows; pair, row and place go down the pipeline."""
        m.submodules.cutter = cutter = BeatCutter(beat_bits=self.bus_bits, part_bits=_CONSTANT_BITS)
        connect(m, flipped(self.i), cutter.i)
        m.submodules.sine = sine = SineCosine()
        pair = Signal(12)
        row = Signal(5)
        ends_row = Signal()
        ends = Signal()
        m.d.comb += [
            cutter.start.eq(self.start),
            cutter.count.eq(self.pairs),
            ends_row.eq(row == self.rows - 1),
            ends.eq(ends_row & (pair == self.pairs - 1)),
            cutter.o.ready.eq(ends_row),
        ]
        with m.If(cutter.o.valid):
            m.d.sync += row.eq(Mux(ends_row, 0, row + 1))
            with m.If(ends_row):
                m.d.sync += pair.eq(pair + 1)
        with m.If(self.start):
            m.d.sync += [pair.eq(0), row.eq(0)]

        constant = cutter.o.payload[:PHASE_BITS]
        m.d.comb += [sine.en.eq(C(1)), sine.phase.eq(self._phase(m, cutter.o.valid, constant, row == 0))]
        written = delay_valid(m, cutter.o.valid, self.latency, name="written")
        last = delay_valid(m, cutter.o.valid & ends, self.latency, name="last")
        part_bits = bits_for(self.pairs_per_word)
        place = Cat(pair[: part_bits + self.word_bits], row[: self.row_bits], self.chunk)
        place = delay(m, place, self.latency, enable=C(1), name="place")
        write = table.write_port(granularity=64)
        m.d.comb += [
            write.addr.eq(place[part_bits:]),
            write.data.eq(Cat(sine.sine, sine.cosine).replicate(self.pairs_per_word)),
            write.en.eq(Mux(written, self._copies(place[:part_bits]), 0)),
        ]
        m.d.sync += self.done.eq(last)

    def _copies(self, place: Value) -> Value:
        """Where in a word a pair stands, a bit each: again in each small head that the word has room for."""
        result: Value = C(1) << place
        for most in reversed(_SMALL_HEADS):
            if most < self.pairs_per_word:
                own = Cat(place[: bits_for(most)] == part % most for part in range(self.pairs_per_word))
                result = Mux(self.pairs <= most, own, result)
        return result

    def _phase(self, m: Module, valid: Value, constant: Value, first: Value) -> Signal:
        """Five cycles later: position x constant where `first`, else the phase before plus the constant."""

        def register(value: Value, bits: int, name: str) -> Signal:
            result = Signal(bits, name=name, reset_less=True)
            m.d.sync += result.eq(value)
            return result

        factor = register(constant, PHASE_BITS, "factor")
        position = register(self.position, 20, "position")
        sums = []
        for low, high in _CONSTANT_DIGITS:
            terms = []
            for start, end in _POSITION_DIGITS:
                if low + start < PHASE_BITS:
                    name = f"product_{low}_{start}"
                    product = register(factor[low:high] * position[start:end], high - low + end - start, name)
                    terms.append(product << (low + start))
            sums.append(register(sum(terms[1:], start=terms[0]), PHASE_BITS, f"sum_{low}"))
        left = register(sums[0] + sums[1], PHASE_BITS, "left")
        right = register(sums[2], PHASE_BITS, "right")
        step = delay(m, constant, 4, enable=C(1), name="step")
        begin = delay(m, first, 4, enable=C(1), name="begin")
        phase = Signal(PHASE_BITS, reset_less=True)
        active = delay(m, valid, 4, enable=C(1), name="active")
        with m.If(active):
            m.d.sync += phase.eq(Mux(begin, left, phase) + Mux(begin, right, step))
        return phase

    def _look_up(self, m: Module, table: memory.Memory) -> None:
        read = table.read_port()
        kept = Signal(20)
        with m.If(self.start):
            m.d.sync += kept.eq(self.pairs)
        m.d.comb += [read.en.eq(C(1)), read.addr.eq(Cat(self.word, self.row[: self.row_bits], self.chunk))]
        for pair in range(self.pairs_per_word):
            index = Cat(C(pair, bits_for(self.pairs_per_word)), self.word)
            # `word` has no more than the word in the head; a head of a block has 16 pairs, 8 or 4.
            head = Cat(index[:4] & (C(BLOCK // 2 - 1, 4) >> self.heads_log2), index[4:])
            outside = Signal(name=f"outside_{pair}", reset_less=True)
            m.d.sync += [
                outside.eq(self.identity | (head >= kept)),
                self.sine[pair].eq(Mux(outside, 0, read.data[64 * pair : 64 * pair + 32])),
                self.cosine[pair].eq(Mux(outside, _ONE, read.data[64 * pair + 32 : 64 * pair + 64])),
            ]
