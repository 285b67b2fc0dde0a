"""Which word of the scratchpad comes next, and where the block that it belongs to goes."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...arch.formats import BLOCK
from ..arithmetic.add import FloatAdd
from ..common import bits_for
from ..interfaces import Interfaces

WALK = data.StructLayout(
    {
        "source": 20,
        "value_source": 20,
        "pitch": 20,
        "elements": 20,
        "limited": 1,
        "rows": 6,
        "append": 1,
        "heads": 8,
        "queries": 8,
        "sub_heads_log2": 3,
        "rope_log2": 3,
        "blocks": 12,
        "target": 20,
        "target_pitch": 16,
    }
)
"""A walk over rows of words. For each row: keys then values (append), heads, queries, sub-heads, blocks, words.

source, value_source: first word of the tensor, of the values. pitch: words between rows (append; otherwise every row
begins where the one before it ended). elements: of a row that are not +0, if `limited`. heads, queries, blocks: counts,
at least 1. sub_heads_log2: each block is read once for every sub-head, with only its lanes. rope_log2: log2 of the
heads that share a block, for the rotation. target, target_pitch: activation memory word of the first row group of a
head, and the distance of heads.
"""


class Walker(wiring.Component):
    """Issues a word a cycle, or one every other cycle (`half`).

    A pass over a row that is `repeat`ed ends with a pause and `paused`; `resume` begins the same row again. Without it
    the walk goes on with the next row, pausing before it if `pause` is set, and ends after the last. With `gap`
    a block begins no earlier than the float adder's latency after the one before it. Outputs are registers.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    start : In(1), pulse: begin a walk; resume : In(1), pulse: end a pause
    walk : In(WALK), constant from `start` on
    half, repeat, pause, gap : In(1), constant during a pass
    hold : In(1), no new block may begin
    running : Out(1)
    valid : Out(1), address : Out, mask : Out(V), of a word
    row : Out(5), word : Out, identity : Out(1), its place in the rope table
    begins : Out(1), comb: a block begins in this cycle
    ends : Out(1), the word ends a block; block : Out(`block_layout`), that block
    """

    def __init__(self, interfaces: Interfaces) -> None:
        self.lanes, self.rows = interfaces.lanes, interfaces.rows
        self.words = BLOCK // self.lanes
        self.gap_cycles = max(0, FloatAdd.latency - self.words)
        self.word_bits = bits_for(max(BLOCK, interfaces.config.vector.max_head_dim) // self.lanes)
        self.block_layout = data.StructLayout(
            {
                "bank": range(max(2, self.rows)),
                "address": 20,
                "value": 1,
                "row": 5,
                "head": 8,
                "block": 4,
                "ends_row": 1,
                "ends": 1,
            }
        )
        super().__init__(
            {
                "start": In(1),
                "resume": In(1),
                "walk": In(WALK),
                "half": In(1),
                "repeat": In(1),
                "pause": In(1),
                "gap": In(1),
                "hold": In(1),
                "running": Out(1),
                "valid": Out(1),
                "address": Out(interfaces.spm_address),
                "mask": Out(self.lanes),
                "row": Out(5),
                "word": Out(self.word_bits),
                "identity": Out(1),
                "begins": Out(1),
                "ends": Out(1),
                "block": Out(self.block_layout),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        walk = self.walk
        word = Signal(range(self.words))
        block = Signal(12)
        sub = Signal(5)
        query = Signal(8)
        head = Signal(8)
        value = Signal()
        row = Signal(5)
        issue = self._pace(m, word)
        last = Signal(data.StructLayout({"block": 12, "sub": 5, "query": 8, "head": 8, "row": 5}))

        # From the innermost loop outwards: whether it ends with this word.
        ends_block = Signal()
        ends_sub = Signal()
        ends_query = Signal()
        ends_head = Signal()
        ends_tensor = Signal()
        ends_row = Signal()
        ends_walk = Signal()
        m.d.comb += [
            ends_block.eq(word == self.words - 1),
            ends_sub.eq(ends_block & (block == last.block)),
            ends_query.eq(ends_sub & (sub == last.sub)),
            ends_head.eq(ends_query & (query == last.query)),
            ends_tensor.eq(ends_head & (head == last.head)),
            ends_row.eq(ends_tensor & (value == walk.append)),
            ends_walk.eq(ends_row & (row == last.row)),
        ]
        # A cycle after the operand: equality is quicker than a sum and a comparison.
        m.d.sync += [
            last.block.eq(walk.blocks - 1),
            last.sub.eq((1 << walk.sub_heads_log2) - 1),
            last.query.eq(walk.queries - 1),
            last.head.eq(walk.heads - 1),
            last.row.eq(walk.rows - 1),
        ]
        with m.If(issue):
            m.d.sync += word.eq(word + 1)
            for counter, steps, ends in (
                (block, ends_block, ends_sub),
                (sub, ends_sub, ends_query),
                (query, ends_query, ends_head),
                (head, ends_head, ends_tensor),
                (value, ends_tensor, ends_row),
            ):
                with m.If(steps):
                    m.d.sync += counter.eq(Mux(ends, 0, counter + 1))
            with m.If(ends_row & ~self.repeat):
                m.d.sync += row.eq(row + 1)
            with m.If(ends_row & (ends_walk | self.repeat | self.pause)):
                m.d.sync += self.running.eq(0)
        with m.If(self.start):
            m.d.sync += row.eq(0)
        with m.If(self.start | self.resume):
            m.d.sync += self.running.eq(1)

        address = self._addresses(m, issue, ends_sub, ends_query, ends_tensor, ends_row)
        bank, target = self._targets(m, issue & ends_sub, ends_head, ends_row)
        m.d.comb += self.begins.eq(issue & (word == 0))
        m.d.sync += [
            self.valid.eq(issue),
            self.ends.eq(issue & ends_block & ~self.repeat),
            self.address.eq(address),
            self.mask.eq(self._mask(m, issue, ends_row, word, sub)),
            self.row.eq(row),
            self.identity.eq(value),
            self.word.eq(self._rope_word(word, block)),
            self.block.bank.eq(bank),
            self.block.address.eq(target + block),
            self.block.value.eq(value),
            self.block.row.eq(row),
            self.block.head.eq(head),
            self.block.block.eq(block),
            self.block.ends_row.eq(ends_row),
            self.block.ends.eq(ends_walk),
        ]
        return m

    def _pace(self, m: Module, word: Signal) -> Signal:
        """Whether a word is issued in this cycle."""
        odd = Signal()
        issue = Signal()
        waiting = Signal()
        m.d.comb += issue.eq(self.running & ~(self.half & odd) & ~waiting & ~((word == 0) & self.hold))
        # It starts with the walk and not with the reset, so that cycles do not depend on what was before.
        m.d.sync += odd.eq(~odd & ~(self.start | self.resume))
        if self.gap_cycles:
            waits = Signal(range(self.gap_cycles + 1))
            m.d.comb += waiting.eq(waits != 0)
            with m.If(waiting):
                m.d.sync += waits.eq(waits - 1)
            with m.Elif(issue & self.gap & (word == self.words - 1)):
                m.d.sync += waits.eq(self.gap_cycles)
        return issue

    def _addresses(
        self, m: Module, issue: Value, ends_sub: Value, ends_query: Value, ends_tensor: Value, ends_row: Value
    ) -> Signal:
        """The word's address: on from word to word, back for a sub-head or a repeated row, by pitch in APPEND."""
        walk = self.walk
        address = Signal(20)
        again = Signal(20)
        row_start = Signal(20)
        value_start = Signal(20)
        following = Signal(20)
        m.d.comb += following.eq(address + 1)
        with m.If(issue):
            m.d.sync += address.eq(following)
            with m.If(ends_sub & ~ends_query):
                m.d.sync += address.eq(again)
            with m.If(ends_query):
                m.d.sync += again.eq(following)
            with m.If(ends_tensor & walk.append):
                m.d.sync += address.eq(value_start)
            with m.If(ends_row):
                with m.If(walk.append):
                    m.d.sync += [
                        address.eq(row_start + walk.pitch),
                        row_start.eq(row_start + walk.pitch),
                        value_start.eq(value_start + walk.pitch),
                    ]
                with m.Elif(self.repeat):
                    m.d.sync += address.eq(row_start)
                with m.Else():
                    m.d.sync += row_start.eq(following)
        with m.If(self.start):
            m.d.sync += [
                address.eq(walk.source),
                again.eq(walk.source),
                row_start.eq(walk.source),
                value_start.eq(walk.value_source),
            ]
        return address

    def _targets(self, m: Module, steps: Value, ends_head: Value, ends_row: Value) -> tuple[Value, Signal]:
        """Bank and address of the attention row; `steps`: the next block belongs to the next row of the head.

        Every head of a token begins with the same row, the next token with the row after its last.
        """
        walk, bits = self.walk, max(1, bits_for(self.rows))
        bank = Signal(bits)
        first_bank = Signal(bits)
        offset = Signal(20)
        first_offset = Signal(20)
        head_start = Signal(20)
        next_bank = Signal(bits)
        next_offset = Signal(20)
        target = Signal(20)
        m.d.comb += [
            next_bank.eq(Mux(bank == self.rows - 1, 0, bank + 1)),
            next_offset.eq(offset + Mux(bank == self.rows - 1, walk.blocks, 0)),
            target.eq(head_start + offset),
        ]
        with m.If(steps & ~self.repeat):
            m.d.sync += [bank.eq(next_bank), offset.eq(next_offset)]
            with m.If(ends_row):
                m.d.sync += [first_bank.eq(next_bank), first_offset.eq(next_offset), head_start.eq(walk.target)]
            with m.Elif(ends_head):
                m.d.sync += [
                    bank.eq(first_bank),
                    offset.eq(first_offset),
                    head_start.eq(head_start + walk.target_pitch),
                ]
        with m.If(self.start):
            m.d.sync += [bank.eq(0), first_bank.eq(0), offset.eq(0), first_offset.eq(0), head_start.eq(walk.target)]
        return bank, target

    def _mask(self, m: Module, issue: Value, ends_row: Value, word: Signal, sub: Signal) -> Signal:
        """Lanes below the row's number of elements that are the sub-head's."""
        walk = self.walk
        left = Signal(20)
        with m.If(issue):
            m.d.sync += left.eq(Mux(ends_row, walk.elements, Mux(left > self.lanes, left - self.lanes, 0)))
        with m.If(self.start):
            m.d.sync += left.eq(walk.elements)
        # A block holds 2**k sub-heads, of 8 elements at least: the k top bits of an element's index in it say which.
        step = min(self.lanes, 8)
        mask = Signal(self.lanes)
        for first in range(0, self.lanes, step):
            own = Signal(name=f"own_{first}")
            element = Cat(C(first, bits_for(self.lanes)), word, C(0, 1))
            m.d.comb += own.eq((element >> (5 - walk.sub_heads_log2)[:3]) == sub)
            for lane in range(first, first + step):
                m.d.comb += mask[lane].eq(own & (~walk.limited | (left > lane)))
        return mask

    def _rope_word(self, word: Signal, block: Signal) -> Value:
        """The word's place in its head: sub-heads that share a block have the same places."""
        within = word & (C(self.words - 1, len(word)) >> self.walk.rope_log2)
        return Cat(within, block)[: self.word_bits]
