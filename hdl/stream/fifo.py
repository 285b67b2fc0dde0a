"""The FIFOs of the stream: payload in banks, read a tile at a time; scales in beats, read in slices."""

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ...arch.config import AcceleratorConfig, derive
from ...arch.formats import BLOCK
from ..common import SkidBuffer, block_ram
from .regions import CONTENT, Kind

QUEUE = 4
"""Units read ahead of the consumer; three hide the memory's latency and a registered ready."""


def unit_layout(bits: int) -> data.StructLayout:
    """A unit as it leaves a FIFO: what it is, and its bits."""
    return data.StructLayout({"kind": Kind, "bits": bits})


class PayloadFifo(wiring.Component):
    """Beats in, whole tiles out: one beat written and one unit read per cycle, three cycles of latency.

    B banks of W bytes. A unit is B beats (8-bit tiles), B/2 (4-bit tiles, in the low half) or 1 (BEATS, in the low
    beat), as the region at the head says. Every region starts at bank 0: both sides skip what is left of a row.

    Members:
        write : In(1), beat : In(W*8), end : In(1) with the last payload beat of a region. There is room: see `used`.
        content : In(stream(CONTENT)), one per region with payload, in order.
        o : Out(stream(unit_layout(C*32*8))).
        used : Out, beats written and skipped, not read yet, as of the edge before.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        derived = derive(config)
        self.config = config
        self.banks = derived.tile_beats
        self.beat_bits = derived.bus_bytes * 8
        self.depth = config.stream.fifo_beats
        self.tile_bits = config.array.channels * BLOCK * 8
        super().__init__(
            {
                "write": In(1),
                "beat": In(self.beat_bits),
                "end": In(1),
                "content": In(stream.Signature(CONTENT)),
                "o": Out(stream.Signature(unit_layout(self.tile_bits))),
                "used": Out(range(self.depth + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        banks, bank_bits = self.banks, (self.banks - 1).bit_length()
        pointer_bits = (self.depth - 1).bit_length()
        written = Signal(pointer_bits)
        taken = Signal(pointer_bits)
        added = Signal(range(banks + 1))
        removed = Signal(range(banks + 1))
        self._memories(m, written, taken)
        # The end of a region leaves the rest of its row, on both sides.
        row_left = Signal(range(banks + 1))
        m.d.comb += row_left.eq(banks - written[:bank_bits])
        with m.If(self.write):
            m.d.comb += added.eq(Mux(self.end, row_left, 1))
        m.d.sync += [written.eq(written + added), taken.eq(taken + removed), self.used.eq(self.used + added - removed)]

        m.submodules.queue = queue = SyncFIFO(width=unit_layout(self.tile_bits).size, depth=QUEUE)
        four_bit = Signal()
        size = Signal(range(banks + 1))
        left = Signal(24)
        fresh = Signal(init=1)
        now_left = Signal(24)
        ready = Signal()
        reading = Signal()
        last = Signal()
        content = self.content.payload
        four_bit_codes = [f.code for f in derive(self.config).formats if f.bits == 4]
        m.d.comb += [
            now_left.eq(Mux(fresh, content.units, left)),
            size.eq(Mux(content.kind == Kind.BEATS, 1, Mux(four_bit, banks // 2, banks))),
            # A read answers a cycle later and is registered once more; what is on its way has a place in the queue.
            ready.eq(queue.w_level + self._arriving + self._held < QUEUE),
            reading.eq(self.content.valid & ready & (self.used >= size)),
            last.eq(now_left == 1),
            self.content.ready.eq(reading & last),
        ]
        for code in four_bit_codes:
            with m.If((content.kind == Kind.TILES) & (content.format == code)):
                m.d.comb += four_bit.eq(1)
        with m.If(reading):
            m.d.sync += [left.eq(now_left - 1), fresh.eq(last)]
            m.d.comb += removed.eq(Mux(last, banks - taken[:bank_bits], size))
        self._assemble(m, queue, reading, taken[:bank_bits], content.kind, four_bit)
        m.d.comb += [
            self.o.valid.eq(queue.r_rdy),
            self.o.payload.eq(queue.r_data),
            queue.r_en.eq(self.o.ready),
        ]
        return m

    def _memories(self, m: Module, written: Signal, taken: Signal) -> None:
        bank_bits = (self.banks - 1).bit_length()
        self._arriving = Signal()
        self._held = Signal()
        self._words = []
        for bank in range(self.banks):
            # A unit is read when all of it has been written; what is read together with it, or before, is not used.
            memory = block_ram(shape=self.beat_bits, depth=self.depth // self.banks)
            m.submodules[f"bank_{bank}"] = memory
            write, read = memory.write_port(), memory.read_port()
            m.d.comb += [
                write.en.eq(self.write & (written[:bank_bits] == bank)),
                write.addr.eq(written[bank_bits:]),
                write.data.eq(self.beat),
                # In every cycle: whether a unit is read is known late in one, and the banks are many.
                read.addr.eq(taken[bank_bits:]),
            ]
            self._words.append(read.data)

    def _assemble(
        self, m: Module, queue: SyncFIFO, reading: Signal, bank: Signal, kind: Signal, four_bit: Signal
    ) -> None:
        # Block RAM answers late in a cycle: its answer is registered before a part of it is chosen and queued.
        words = [Signal(self.beat_bits, name=f"word_{bank}", reset_less=True) for bank in range(self.banks)]
        m.d.sync += [word.eq(answer) for word, answer in zip(words, self._words, strict=True)]
        place = Cat(kind, bank, four_bit)
        arriving = Signal.like(place)
        held = Signal.like(place)
        m.d.sync += [self._arriving.eq(reading), self._held.eq(self._arriving), arriving.eq(place), held.eq(arriving)]
        kind_read, bank_read, half = Kind(held[:2]), held[2:-1], held[-1]
        unit = Signal(unit_layout(self.tile_bits))
        m.d.comb += [unit.kind.eq(kind_read), unit.bits.eq(Cat(*words))]
        with m.If(half & bank_read[-1]):
            m.d.comb += unit.bits.eq(Cat(*words[self.banks // 2 :]))
        with m.If(kind_read == Kind.BEATS):
            m.d.comb += unit.bits.eq(Array(words)[bank_read])
        m.d.comb += [queue.w_en.eq(self._held), queue.w_data.eq(unit)]


class ScaleFifo(wiring.Component):
    """Scale beats in; slices of C scales, or whole beats of exponents, out: one per cycle, four cycles of latency.

    A beat that a region leaves partly used is dropped at its end.

    Members:
        write : In(1), beat : In(W*8). There is room: see `used`.
        content : In(stream(CONTENT)), one per region with scales or exponents, in order.
        o : Out(stream(unit_layout(W*8))): of tiles, the C scales in the low part.
        used : Out, beats held, but for two at most that are about to be sliced.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        derived = derive(config)
        self.config = config
        self.beat_bits = derived.bus_bytes * 8
        self.depth = config.stream.scale_fifo_beats
        super().__init__(
            {
                "write": In(1),
                "beat": In(self.beat_bits),
                "content": In(stream.Signature(CONTENT)),
                "o": Out(stream.Signature(unit_layout(self.beat_bits))),
                "used": Out(range(self.depth + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.beats = beats = SyncFIFOBuffered(width=self.beat_bits, depth=self.depth)
        m.submodules.queue = queue = SyncFIFO(width=unit_layout(self.beat_bits).size, depth=QUEUE)
        # That a beat is done with is known late in a cycle, and the block RAM may be far away.
        m.submodules.fetched = fetched = SkidBuffer(self.beat_bits)
        content = self.content.payload
        left = Signal(24)
        fresh = Signal(init=1)
        now_left = Signal(24)
        slice_index = Signal(range(self.beat_bits // 16))
        last_slice = Signal()
        reading = Signal()
        last = Signal()
        unit = Signal(unit_layout(self.beat_bits))
        # Found out a cycle ahead, in which one more may be queued.
        room = Signal()
        m.d.sync += room.eq(queue.w_level < QUEUE - 1)
        m.d.comb += [
            self.used.eq(beats.level),
            beats.w_en.eq(self.write),
            beats.w_data.eq(self.beat),
            beats.r_en.eq(fetched.i.ready),
            fetched.i.valid.eq(beats.r_rdy),
            fetched.i.payload.eq(beats.r_data),
            now_left.eq(Mux(fresh, content.units, left)),
            reading.eq(self.content.valid & fetched.o.valid & room),
            last.eq(now_left == 1),
            self.content.ready.eq(reading & last),
            fetched.o.ready.eq(reading & (last | last_slice)),
            queue.w_en.eq(reading),
            queue.w_data.eq(unit),
            unit.kind.eq(content.kind),
            self.o.valid.eq(queue.r_rdy),
            self.o.payload.eq(queue.r_data),
            queue.r_en.eq(self.o.ready),
        ]
        self._slice(m, fetched.o.payload, slice_index, unit, last_slice)
        with m.If(reading):
            m.d.sync += [left.eq(now_left - 1), fresh.eq(last), slice_index.eq(slice_index + 1)]
            with m.If(last | last_slice):
                m.d.sync += slice_index.eq(0)
        return m

    def _slice(self, m: Module, beat: Signal, index: Signal, unit: Signal, last: Signal) -> None:
        channels = self.config.array.channels
        m.d.comb += [unit.bits.eq(beat), last.eq(1)]
        with m.If(self.content.payload.kind == Kind.TILES), m.Switch(self.content.payload.format):
            for weight_format in derive(self.config).formats:
                bits = weight_format.scale_bytes * 8
                slices = self.beat_bits // (channels * bits)
                choices = Array(beat.word_select(i, channels * bits) for i in range(slices))
                scales = choices[index[: (slices - 1).bit_length()]]
                with m.Case(weight_format.code):
                    m.d.comb += [unit.bits.eq(scales), last.eq(index == slices - 1)]
