"""ATTEND: the segments of keys and values on their way through merger, engine, softmax and output."""

from collections.abc import Iterator
from dataclasses import dataclass

from ...arch.config import AcceleratorConfig, derive
from ...arch.formats import BLOCK
from ...arch.isa import MOST_SUB_HEADS, Geometry, Instruction
from ...arch.layout import ceil_div
from .stream import Line, Stream
from .timing import ADD, EXPONENTIAL, MULTIPLY, RECIPROCAL, TO_FIXED, Timing

_WALKED, _MIDDLE = 24, 14
"""Pages of a pass that are walked at most, and the one behind which the others are skipped: at an even pace, before
the keys that run ahead reach the last page."""

_QUEUED = 4
"""Segments in front of each of their followers."""

_WALK = 9
"""Cycles of the stream's page walk for one segment."""


@dataclass(frozen=True)
class Attend:
    """Results of one ATTEND.

    Attributes:
        done: when. walked: when the stream has asked for the last page. macs: multiply-accumulates of its micro-ops.
        beats: taken from the stream. array: micro-ops.
    """

    done: float
    walked: float
    macs: int
    beats: int
    array: int


@dataclass(frozen=True)
class _Segment:
    """K or V of a page, for the row groups of one pass from `start` on; `skipped` more pages of that kind follow V.

    tiles: micro-ops of each tile of 32 lanes of K.
    """

    value: bool
    page: int
    number: int
    tiles: tuple[int, ...]
    groups: int
    rows: int
    last: bool
    skipped: int


class AttendModel:
    """ATTEND on one config: one chunk's rows over the pages of their sequence.

    Parameters:
        geometry: of the model's attention instructions. every_page: walk all pages of a pass.
    """

    def __init__(self, config: AcceleratorConfig, timing: Timing, geometry: Geometry, *, every_page: bool) -> None:
        self.every_page = every_page
        self.config, self.timing, self.geometry = config, timing, geometry
        derived = derive(config)
        bus, blocks = derived.bus_bytes, geometry.head_blocks
        self.lag = config.stream.attention_lag
        self.slots = self.lag + 2
        self.tiles = BLOCK // config.array.channels
        self.tile_beats = derived.tile_beats
        self.exponent_beats = ceil_div(2 * BLOCK * blocks, bus)
        accumulators = 1 << (derived.accumulators - 1).bit_length()
        # Rows of heads that share a block, of which a part of a result belongs to one.
        self.together = geometry.sub_heads if timing.rows >= MOST_SUB_HEADS else 1
        self.outputs = accumulators * config.vector.max_head_dim // BLOCK
        self.payload_beats = BLOCK * BLOCK * blocks // bus
        self.exponent_cycles = 2 * blocks * max(1, BLOCK // bus)
        self.quantizers = derived.softmax_quantizers
        self.buffers, self.sums = derived.softmax_rows, derived.softmax_sums
        self._softmax_rows()

    def _softmax_rows(self) -> None:
        """Cycles of a row in the slowest stage, and from a row's first word to its end in each."""
        timing, words = self.timing, self.timing.words
        scaled = 2 + MULTIPLY + TO_FIXED + 1 + timing.levels + 1 + 4
        powered = 1 + 2 + EXPONENTIAL + 1 + 1
        quantized = ceil_div(self.geometry.head_blocks, self.quantizers) * words
        # Rows in the rings, `buffers` at most, and behind the exponentials in the queue for their sums.
        rings = (2 * words + scaled, words + powered + quantized)
        self.row = max(words, quantized, max(rings) / self.buffers, (words + powered + timing.tree) / self.sums)
        written = powered + quantized + 3 + timing.quantizer + self.quantizers - 1 + 2
        summed = words + powered + timing.tree + 2 + 2 + ADD + RECIPROCAL + 1
        self.tail = words + scaled + max(written, summed)

    def run(
        self,
        stream: Stream,
        instruction: Instruction,
        accepted: float,
        asked: float,
        settled: float,
        position: int,
        rows: int,
    ) -> Attend:
        """Attention of `rows` tokens from `position`.

        Args:
            accepted: when the unit takes the command. asked: when the stream may ask for the pages. settled: when the
                chunk's own keys and values are there.
        """
        walk = _Walk(self, stream, accepted, asked, settled, ceil_div(position, BLOCK))
        for segment in self._segments(instruction, position, rows):
            if segment.value:
                walk.values(segment)
            else:
                walk.keys(segment)
        macs = walk.array * self.timing.rows * self.timing.channels * BLOCK
        return Attend(walk.written + MULTIPLY + 3, walk.request, macs, walk.beats, walk.array)

    def _segments(self, instruction: Instruction, position: int, rows: int) -> Iterator[_Segment]:
        """K and V segments in the order of the schedule."""
        pages = position // BLOCK + 1
        walked = pages if self.every_page else min(pages, _WALKED)
        total = rows * self.geometry.rows_per_token
        groups = ceil_div(total, self.timing.rows)
        keys = []
        for _ in range(self.geometry.kv_heads):
            for start in range(0, groups, instruction.k):
                part = min(instruction.k, groups - start)
                part_rows = min(total - start * self.timing.rows, part * self.timing.rows)
                full, tail = (part,) * self.tiles, self._seen(position, start, part)
                for page in range(walked):
                    # The last pages count from the end.
                    real = page if page <= _MIDDLE else pages - walked + page
                    skipped = pages - walked if page == _MIDDLE < walked - 1 else 0
                    last = page == walked - 1
                    keys.append((real, tail if last else full, part, part_rows, last, skipped))
        for number in range(len(keys) + self.lag):
            if number < len(keys):
                page, tiles, part, part_rows, last, skipped = keys[number]
                yield _Segment(False, page, number, tiles, part, part_rows, last, skipped)
            behind = number - self.lag
            if behind >= 0:
                page, tiles, part, part_rows, last, skipped = keys[behind]
                yield _Segment(True, page, behind, tiles, part, part_rows, last, skipped)

    def _seen(self, position: int, start: int, groups: int) -> tuple[int, ...]:
        """Row groups of a pass that see a position of each K tile of the last page; one at least."""
        first = (self.config.array.channels * tile - position % BLOCK for tile in range(self.tiles))
        rows = (max(0, token) * self.geometry.rows_per_token for token in first)
        return tuple(max(1, min(groups, start + groups - row // self.timing.rows)) for row in rows)


class _Walk:
    """The segments of one ATTEND, one after the other: where each follower is.

    Attributes:
        request: when the stream's page walk has asked. results: when the last result left the engine's queue.
        written: when the last output left its own queue.
        array, beats: as in `Attend`.
    """

    def __init__(
        self, model: AttendModel, stream: Stream, accepted: float, asked: float, settled: float, old_pages: int
    ) -> None:
        self.model, self.stream, self.settled, self.old_pages = model, stream, settled, old_pages
        self.places = derive(model.config).accumulators
        self.tiles = model.geometry.head_blocks * model.tiles
        self.request, self.results, self.written, self.array, self.beats = asked, accepted, accepted, 0, 0
        self._dispatched, self._merger = accepted + 6, accepted + 8
        self._engine = self._softmax = accepted
        self._page_done: list[float] = []
        self._passed: list[float] = []
        self._scaled: list[float] = []
        # Results leave the engine's queue, which has a place for every accumulator, in their order.
        self._left, self._count = Line(), 0
        self._left.point(0, accepted)
        # The outputs among them stand in a queue of their own, until they are normalised.
        self._output, self._outputs = Line(), 0
        self._output.point(0, accepted)

    def keys(self, segment: _Segment) -> None:
        """Exponents and K of a page: scores, which the softmax takes."""
        model, timing = self.model, self.model.timing
        if len(self._scaled) >= _QUEUED:
            self._dispatched = max(self._dispatched, self._scaled[-_QUEUED] + 1)
        streamed = self._dispatch(segment)
        start = self._merger
        if segment.number >= model.slots:
            start = max(start, self._page_done[segment.number - model.slots] + 1)
        loaded = start + 1
        if streamed:
            loaded = self.stream.take(model.exponent_beats, self.request, loaded, model.exponent_cycles, scales=1).last
            self.beats += model.exponent_beats
        if segment.last:
            loaded = max(loaded, self.settled)
        blocks = model.geometry.head_blocks
        begin = max(self._engine + 1, loaded + (4 * blocks if segment.last else 0) + 2)
        scores = sum(segment.tiles)
        cycles = blocks * max(scores, timing.hazard if blocks > 1 else 0)
        self._multiply(begin, cycles, blocks * scores, scores, streamed)
        self._merger = self._engine - segment.tiles[-1] + 2
        scored = max(self._engine + timing.engine, self.results + scores)
        self._leave(scores, scored - scores, scored)
        self._softmax = max(scored + 4, self._softmax + 2) + segment.rows * model.row
        self._scaled.append(self._softmax)
        done = self._softmax - model.row + model.tail
        self._page_done.append(max(done, self._page_done[-1] + 1) if self._page_done else done)

    def values(self, segment: _Segment) -> None:
        """V of a page, once its probabilities are there; with the last page, outputs."""
        timing = self.model.timing
        streamed = self._dispatch(segment)
        begin = max(self._engine + 1, self._merger + 2, self._page_done[segment.number] + 2)
        array = self.tiles * segment.groups
        outputs = array if segment.last else 0
        begin = self._multiply(begin, array, array, outputs, streamed)
        self._merger = self._engine - segment.groups + 2
        if outputs:
            self._normalise(segment, outputs, begin + timing.engine)
        if segment.skipped:
            self._skip(segment)

    def _normalise(self, segment: _Segment, outputs: int, first: float) -> None:
        """Outputs through their queue: a row, or a part of it, a cycle."""
        timing = self.model.timing
        each = segment.rows / self.model.together * timing.parts / segment.groups
        first = max(first, self.results)
        room = self._output.at(self._outputs + outputs - self.model.outputs)
        made = max(first + outputs, self._engine + timing.engine, room)
        self._leave(outputs, first, made)
        begins = max(self.written, first + 3)
        self._output.point(self._outputs, begins)
        self._outputs += outputs
        self.written = max(begins + outputs * each, made + 3 + each)
        self._output.point(self._outputs, self.written)

    def _dispatch(self, segment: _Segment) -> bool:
        """A segment goes to its followers at once, when all have a place for it. Returns whether it is streamed."""
        self._dispatched += 2
        if len(self._passed) >= _QUEUED:
            self._dispatched = max(self._dispatched, self._passed[-_QUEUED] + 1)
        self._merger = max(self._merger, self._dispatched + 1)
        streamed = segment.page < self.old_pages
        self.request += _WALK if streamed else 4
        return streamed

    def _multiply(self, begin: float, cycles: int, array: int, results: int, streamed: bool) -> float:
        """Micro-ops from `begin` on, or when tiles, or places for their results, are there; when they began."""
        model = self.model
        self._engine = begin + cycles - 1
        if streamed:
            taken = self.stream.take(model.payload_beats, self.request, begin, cycles, unit=model.tile_beats)
            begin, self._engine = max(begin, taken.first), max(self._engine, taken.last)
            self.beats += model.payload_beats
        if results:
            self._engine = max(self._engine, self._left.at(self._count + results - self.places) + 1)
        self._passed.append(self._engine)
        self.array += array
        return begin

    def _leave(self, results: int, first: float, last: float) -> None:
        """Results leave the engine's queue."""
        self._left.point(self._count, first)
        self._count += results
        self._left.point(self._count, last)
        self.results = last

    def _skip(self, segment: _Segment) -> None:
        """Pages that take as long as the last two: everything later."""
        pages = segment.skipped
        cycles = pages * (self._passed[-1] - self._passed[-5]) / 2
        self.stream.shift(cycles)
        self._left.shift(cycles)
        self._output.shift(cycles)
        for times in (self._page_done, self._passed, self._scaled):
            times[:] = [time + cycles for time in times]
        self.settled += cycles
        self.request += cycles
        self.results += cycles
        self.written += cycles
        self._dispatched += cycles
        self._merger += cycles
        self._engine += cycles
        self._softmax += cycles
        self.beats += pages * (self.model.exponent_beats + 2 * self.model.payload_beats)
        self.array += pages * 2 * self.tiles * segment.groups
