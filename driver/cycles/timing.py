"""Cycles of the units, from the parameters of a config: what the docstrings in `hdl/` say, as arithmetic.

A test compares the constants with the hardware's own. Times count from the cycle in which a unit takes its command
("accepted") to the cycle of its `done`.
"""

from dataclasses import dataclass

from ...arch.config import INTERLEAVE, AcceleratorConfig, derive
from ...arch.formats import BLOCK
from ...arch.isa import Flag, Geometry, Instruction, Opcode
from ...arch.layout import ceil_div
from ...arch.pipeline import SHALLOW

ADD, TO_FLOAT = SHALLOW.add.latency, SHALLOW.to_float.latency
MULTIPLY, TO_FIXED = 5, 3
ROOT, EXPONENTIAL, RECIPROCAL, POLYNOMIAL = 7, 8, 7, 6
"""Latencies of the arithmetic blocks where no clock changes them: outside the matrix engine and the vector datapath."""

LEAD = 5
"""Cycles by which the next pass of a NORM begins before its mean or deviation is there."""

TREE_LEVELS = 5
"""Additions from a float to the sum of its block of 32."""

CANDIDATES = 2
"""Of a step of the writer for the top-k unit, if a tile and a word have so many channels."""

FOLLOW = 3
"""Cycles from the last step of one product to the first of the next that is written through the same adders."""

KV_QUEUE = 8
"""Key and value blocks of an APPEND between walker and tail buffer."""

AUXILIARY_BURST, AUXILIARY_BEATS = 16, 64
"""Beats of an auxiliary read, and of all that are in flight, at most."""


@dataclass(frozen=True)
class Issue:
    """The micro-ops of a MATMUL.

    Attributes:
        cycles: from the first micro-op to the one after the last, if no tile is late.
        first: from the first micro-op to the first with a result.
        late: cycles of the writer behind the last result of the engine. write: from its last step to `done`.
        writing: of the writer for all results.
        queued: of the writer for as many results as have a place.
        reuse: micro-ops with the last tile, less one. macs: useful multiply-accumulates.
    """

    cycles: int
    first: int
    late: int
    write: int
    writing: int
    queued: int
    reuse: int
    macs: int


class Timing:
    """Durations on one config.

    Attributes:
        words: cycles of a block of 32 in the vector unit. engine: from a micro-op to its result at the queue's end.
        hazard: micro-ops between two on one accumulator.
        result: in the vector unit, from a word's address to the quantizer, less one, by what happens to it.
        tree: from the last word of a block to the sum of its 32. total: from there to the sum of the row.
        add: of the datapath's adders. factor: of SILU and GELU. sine: from a phase to its sine and cosine.
        write: from a step of a product's writer to its `done`, without bias and residual, with one of them, with both.
        insert: in the top-k unit, from a sorted candidate to its place.
        begin: from an instruction's way into an empty queue to its begin. settle: from when all is done to a sample.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config, self.derived = config, derive(config)
        self.lanes, self.rows, self.channels = config.vector.lanes, config.array.rows, config.array.channels
        self.words = BLOCK // self.lanes
        self.levels = self.lanes.bit_length() - 1
        self.quantizer = 7 + self.levels + self.words
        # With two and four lanes one adder does what is above them, with two also the totals (hdl/vector/row_sum.py).
        above = TREE_LEVELS - self.levels
        self.tree = self.levels * ADD + (1 + above * (ADD + 1) if self.lanes <= 4 else above * ADD)
        self.total = ADD + (self.lanes == 2)
        minimum = any(f.has_minimum for f in self.derived.formats)
        pipeline = self.derived.pipeline
        self.add = pipeline.add.latency
        self.write = tuple(pipeline.finish.latency + cycles for cycles in (0, 2 + self.add, 2 + 2 * self.add))
        self.insert = pipeline.insert.latency
        self.begin, self.settle = pipeline.begin.latency, pipeline.settle.latency
        self.sine = POLYNOMIAL + 1 + pipeline.to_float.latency
        self.factor = pipeline.factor.latency + self.sine
        self.result = {
            "copy": 2,
            "rotate": 2 + MULTIPLY + self.add,
            "activate": 2 + self.factor + MULTIPLY,
            "gate": 2 + self.factor + 2 * MULTIPLY,
            "scale": 2 + 2 * MULTIPLY,
            "centre": 2 + 2 * MULTIPLY + 2 * self.add,
        }
        scaler = 2 + pipeline.to_float.latency + (pipeline.add.latency if minimum else 0)
        self.engine = pipeline.issue.latency + pipeline.dot.latency + scaler + pipeline.add.latency + 2
        self.hazard = pipeline.distance
        self.parts = max(1, self.channels // self.lanes)

    def vector(self, instruction: Instruction, rows: int) -> int:
        """An instruction of the vector unit that waits for nobody."""
        if instruction.opcode == Opcode.NORM:
            return self._norm(instruction, rows)
        if instruction.opcode == Opcode.QUANTIZE:
            flags = instruction.flags
            blocks = rows * instruction.k
            if Flag.GATED in flags:
                return self._walk(2 * blocks * self.words - 1, "gate")
            return self._walk(blocks * self.words, "activate" if flags & (Flag.SILU | Flag.GELU) else "copy")
        geometry = Geometry.decode(instruction.aux)
        way = "rotate" if Flag.ROPE in instruction.flags else "copy"
        if instruction.opcode == Opcode.QUERY:
            blocks = rows * geometry.kv_heads * geometry.rows_per_token * geometry.head_blocks
            return self._walk(blocks * self.words, way)
        blocks = 2 * rows * geometry.kv_heads * geometry.head_blocks
        # A block's place is free again when it is in the tail buffer.
        through = self.words + self.result[way] + self.quantizer + 8
        walked = self.words + round((blocks - 1) * max(self.words, through / KV_QUEUE)) + 2
        return 2 + self.result[way] + 1 + self.quantizer + self._collected(blocks // 2 // rows, rows, walked) + 1

    def _collected(self, heads: int, rows: int, walked: int) -> int:
        """From an APPEND's first word to its last block in the tail buffer: 2 cycles for K, 1 + 32 / C for V.

        heads: blocks of keys, and of values, of a row. walked: the same for the walker.
        """
        value = 1 + BLOCK // self.channels
        behind = max(value, heads * value - (heads - 1) * self.words)
        return max(walked + behind, (heads + 1) * self.words + heads * value + (rows - 1) * heads * (2 + value))

    def _walk(self, cycles: int, way: str) -> int:
        """A walk of `cycles` words through the datapath and the quantizer."""
        return 2 + cycles + self.result[way] + 1 + self.quantizer

    def _norm(self, instruction: Instruction, rows: int) -> int:
        words = instruction.k * self.words
        summing = words + (instruction.k - 1) * max(0, ADD - self.words)
        deviation = self.tree + self.total + MULTIPLY + self.total + ROOT + 1 - LEAD
        first = 0 if Flag.LAST_ROW not in instruction.flags else rows - 1
        count = rows if Flag.LAST_ROW not in instruction.flags else 1
        if Flag.LAYER_NORM in instruction.flags:
            mean = summing + 1 + 3 + self.tree + self.total + MULTIPLY + 1 + 1 - LEAD
            square = summing + 1 + 3 + self.add + MULTIPLY + deviation + 1
            final = 2 * words + self.result["centre"] + 1 + self.quantizer + 1
            return first + count * (mean + square + final)
        square = summing + 1 + 8 + deviation + 1
        return first + count * (square + words + 1 + self.result["scale"] + 1 + self.quantizer + 1)

    def load(self, instruction: Instruction) -> tuple[int, int, int]:
        """LOAD: cycles before the first beat, of all parts, and after the last one."""
        return 2, instruction.n // min(self.lanes, self.derived.bus_bytes // 4), 1

    def rope_table(self, instruction: Instruction, rows: int) -> tuple[int, int, int]:
        """ROPE_TABLE: cycles before the first beat, of all pairs, and after the last one."""
        return 2, instruction.n * rows, 5 + self.sine + 1

    def matmul(self, instruction: Instruction, rows: int) -> Issue:
        """Micro-ops of a MATMUL: a superblock of 8 groups at a time; their results leave row by row."""
        top_k = bool(instruction.flags & Flag.TOP_K)
        count = 1 if instruction.flags & (Flag.LAST_ROW | Flag.TOP_K) else rows
        row_groups = ceil_div(count, self.rows)
        groups = ceil_div(instruction.n, self.channels)
        full, rest = divmod(groups, INTERLEAVE)
        # Cycles of the writer for one group of channels, all rows.
        at_once = min(CANDIDATES, self.channels, self.lanes)
        written = self.channels // at_once if top_k else count * self.parts
        width = rest or INTERLEAVE
        before = full if rest else full - 1
        step, last_step = (max(count * row_groups, self.hazard) for count in (INTERLEAVE, width))
        burst = width * row_groups
        # A first block waits for none.
        whole = (instruction.k - 1) * step + INTERLEAVE * row_groups
        last = (instruction.k - 1) * last_step + burst
        waits = max(0, INTERLEAVE * written - last) if before > 0 else 0
        return Issue(
            cycles=before * whole + last,
            first=(instruction.k - 1) * (step if before else last_step),
            late=max(ceil_div(written, row_groups), waits + width * written - burst + 1),
            write=self._write(instruction) + (at_once + self.insert if top_k else 0),
            writing=groups * written,
            queued=min(groups * written, self.derived.accumulators * written // row_groups),
            reuse=row_groups - 1,
            macs=groups * row_groups * instruction.k * self._useful(count),
        )

    def _write(self, instruction: Instruction) -> int:
        """From a step of the writer to its `done`."""
        flags = instruction.flags
        sums = (Flag.BIAS in flags) + (flags & (Flag.RESIDUAL | Flag.TOP_K) == Flag.RESIDUAL)
        return self.write[sums]

    def _useful(self, rows: int) -> int:
        """Multiply-accumulates of a micro-op, on average."""
        return rows * self.channels * BLOCK // ceil_div(rows, self.rows)

    def embed(self, payload_bytes: int, blocks: int, rows: int, latency: int) -> int:
        """EMBED: a scale beat and the payload of every block, at most 16 reads in flight."""
        minimum = any(f.has_minimum for f in self.derived.formats)
        row = self.embed_row(payload_bytes, blocks, latency)
        return 1 + rows * row + 2 + TO_FLOAT + (ADD if minimum else 0) + 1

    def embed_row(self, payload_bytes: int, blocks: int, latency: int) -> int:
        """One row of an EMBED."""
        beats = 1 + max(1, payload_bytes // self.derived.bus_bytes)
        collected = beats + self.words
        asked = beats + 1
        answered = beats * (latency + 6) / 16
        return self.first_answer(latency) + 2 + round((blocks - 1) * max(collected, asked, answered)) + collected

    def first_answer(self, latency: int) -> int:
        """From an EMBED's command, or its next row, to the row's first beat."""
        return 2 + 8 + latency

    def load_rows(self, instruction: Instruction, rows: int, token: int, latency: int, pace: float) -> int:
        """LOAD_ROWS, from the command on; pace: cycles of the bus for a beat."""
        beats = 4 * instruction.n // self.derived.bus_bytes
        burst = min(AUXILIARY_BURST, self.config.bus.burst_beats)
        parts = instruction.n // min(self.lanes, self.derived.bus_bytes // 4)
        asked = 2 * ceil_div(beats, burst) + 3
        # So many beats are in flight, while there is room for one more burst.
        answered = beats * max(pace, (latency + 6) / (AUXILIARY_BEATS - AUXILIARY_BURST + burst))
        return 9 + token.bit_length() + latency + round(rows * max(parts, asked, answered)) + 6

    def store_rows(self, instruction: Instruction, rows: int, token: int) -> int:
        """STORE_ROWS, from the command to the last response."""
        beats = 4 * instruction.n // self.derived.bus_bytes
        bursts = ceil_div(beats, self.config.bus.burst_beats)
        # The memory takes no data before its address; a lone burst waits for its response too.
        sent = beats + bursts * (3 if self.config.bus.outstanding == 1 else 1)
        return 8 + token.bit_length() + rows * max(sent, instruction.n // self.lanes, 2 * bursts + 3) + 5

    def write_pages(self, geometry: Geometry, rows: int) -> int:
        """From the last block in the tail buffer to the last response."""
        bus, burst = self.derived.bus_bytes, self.config.bus.burst_beats
        exponents = ceil_div(2 * BLOCK * geometry.head_blocks, bus)
        keys = ceil_div(rows * BLOCK, bus)
        values = geometry.head_blocks * BLOCK * BLOCK // bus

        def segment(beats: int, pace: int = 1) -> int:
            return 3 + ceil_div(beats, burst) * 5 + beats * pace

        head = segment(exponents, 2 if bus > BLOCK else 1) + geometry.head_blocks * segment(keys) + segment(values)
        return 2 + geometry.kv_heads * head + 4
