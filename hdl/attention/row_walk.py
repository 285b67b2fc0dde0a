"""Which token, query and sub-head an attention row is, and where its output stands; by counting, without division."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

# `left` rows of the virtual head follow, `more` says that it is not 0: a register, since both followers decide by it.
_STATE = data.StructLayout(
    {"token": 7, "query": 8, "sub": 3, "row_word": 20, "query_unit": 20, "unit": 20, "left": 16, "more": 1}
)


class RowWalk(wiring.Component):
    """Walks the attention rows of every virtual head in ascending order, pass by pass.

    Rows are token x G x SH + query x SH + sub. Who takes all sub-heads of a query at once walks without them.
    `launch` goes to row 0 of virtual head 0, `restart` back to the first row of the current pass, in the same cycle;
    `step` goes to the next row; `finish`, at the last row of the last sweep of a pass, makes the next row the first of
    the next pass or, when there is none, goes to row 0 of the next virtual head. One of them a cycle, but for
    `restart`, from which the others may go on.

    Members
    -------
    last_row : In(16), rows of a virtual head that are walked - 1
    group : In(8), queries per KV head (G), there before `launch`, or with it if no step follows at once
    sub_heads_log2 : In(4), log2 of SH, at most 3; 0 to walk without sub-heads
    block_heads_log2 : In(4), log2 of the heads of a virtual head: SH
    head_units : In(12), of a head's output: as many elements as are written at once are a unit
    group_units : In(20), `head_units` x `group`
    pitch : In(16), scratchpad words from token to token
    dst : In(20), scratchpad word of token 0, head 0
    launch, restart, step, finish : In(1)
    token : Out(7)
    sub : Out(3)
    row_word : Out(20), scratchpad word of the token's first element
    unit : Out(20), the head's first unit, counted from there
    next_valid : Out(1), the next row is one of this virtual head
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "last_row": In(16),
                "group": In(8),
                "sub_heads_log2": In(4),
                "block_heads_log2": In(4),
                "head_units": In(12),
                "group_units": In(20),
                "pitch": In(16),
                "dst": In(20),
                "launch": In(1),
                "restart": In(1),
                "step": In(1),
                "finish": In(1),
                "token": Out(7),
                "sub": Out(3),
                "row_word": Out(20),
                "unit": Out(20),
                "next_valid": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        now, start, here, following, fresh = (
            Signal(_STATE, name=name) for name in ("now", "start", "here", "following", "fresh")
        )
        # A cycle after the operand: equality is quicker than a sum and a comparison.
        last_query = Signal(8)
        ends_sub = Signal()
        ends_query = Signal()
        head_unit = Signal(20)
        next_head_unit = Signal(20)
        next_query_unit = Signal(20)
        m.d.comb += [
            here.eq(Mux(self.restart, start, now)),
            self.token.eq(here.token),
            self.sub.eq(here.sub),
            self.row_word.eq(here.row_word),
            self.unit.eq(here.unit),
            ends_sub.eq((here.sub + 1) >> self.sub_heads_log2[:2] != 0),
            ends_query.eq(ends_sub & (here.query == last_query)),
            self.next_valid.eq(here.more),
            following.eq(here),
            following.left.eq(here.left - 1),
            following.more.eq(here.left != 1),
            next_query_unit.eq(here.query_unit + self.head_units),
            next_head_unit.eq(head_unit + (self.group_units << self.block_heads_log2[:2])),
            fresh.row_word.eq(self.dst),
            fresh.left.eq(self.last_row),
            fresh.more.eq(self.last_row != 0),
        ]
        m.d.sync += last_query.eq(self.group - 1)
        with m.If(~ends_sub):
            m.d.comb += [following.sub.eq(here.sub + 1), following.unit.eq(here.unit + self.group_units)]
        with m.Elif(~ends_query):
            m.d.comb += [
                following.sub.eq(0),
                following.query.eq(here.query + 1),
                following.query_unit.eq(next_query_unit),
                following.unit.eq(next_query_unit),
            ]
        with m.Else():
            m.d.comb += [
                following.sub.eq(0),
                following.query.eq(0),
                following.query_unit.eq(head_unit),
                following.unit.eq(head_unit),
                following.token.eq(here.token + 1),
                following.row_word.eq(here.row_word + self.pitch),
            ]
        with m.If(self.launch):
            m.d.sync += [head_unit.eq(0), now.eq(fresh), start.eq(fresh)]
        with m.Elif(self.step | (self.finish & self.next_valid)):
            m.d.sync += now.eq(following)
            with m.If(self.finish):
                m.d.sync += start.eq(following)
        with m.Elif(self.finish):
            m.d.sync += head_unit.eq(next_head_unit)
            for state in (now, start):
                m.d.sync += [
                    state.eq(fresh),
                    state.query_unit.eq(next_head_unit),
                    state.unit.eq(next_head_unit),
                ]
        with m.Elif(self.restart):
            m.d.sync += now.eq(start)
        return m
