"""The pages of one ATTEND, in the order in which the attention unit takes them."""

from typing import Any

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.config import AcceleratorConfig, derive
from ...arch.formats import BLOCK
from ..interfaces import GEOMETRY_LAYOUT
from .regions import STREAM_REGION, Kind

WALK = data.StructLayout(
    {
        "geometry": GEOMETRY_LAYOUT,
        "rows": 6,
        "position": 20,
        "row_groups": 12,
        "page_bytes": 40,
        "layer_offset": 44,
    }
)
"""row_groups: of one pass over the pages (k of ATTEND). layer_offset: bytes of the layer within a page."""


_CURSOR = data.StructLayout({"head": 8, "left": 14, "page": 15, "head_offset": 32})
"""A place in the order of pages, passes and virtual heads. left: row groups of this pass and the following ones."""


class PageWalk(wiring.Component):
    """Regions of keys, values and exponents (docs/isa.md, ATTEND's stream).

    For the pages of all passes of all virtual heads in a row: exponents and K of one, then V of the one `attention_lag`
    before it. Pages without completed positions are left out. About 9 cycles per page and half; a region of 32 lanes is
    128 to 16 beats.

    Members:
        i : In(stream(WALK)). done : Out(1), pulse after the last region is taken.
        kv_base : In(48). index : Out(15), lookup; page : In(16), mapped : In(1), one cycle later.
        o : Out(stream(STREAM_REGION)). fault : Out(1), page `index` is not mapped; the walk then stands still.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(WALK)),
                "done": Out(1),
                "kv_base": In(48),
                "index": Out(15),
                "page": In(16),
                "mapped": In(1),
                "o": Out(stream.Signature(STREAM_REGION)),
                "fault": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = derive(self.config).bus_bytes
        shift = (bus - 1).bit_length()
        lag = self.config.stream.attention_lag
        tile_shift = (self.config.array.channels * BLOCK // bus - 1).bit_length()
        walk = Signal(WALK)
        geometry = walk.geometry
        groups = Signal(14)
        token_rows = Signal(16)
        rows = Signal(20)
        last_page = Signal(15)
        old_pages = Signal(15)
        page = Signal(16)
        # Page times bytes of a page, as its two products of 16 bits: multipliers stand between registers.
        products = Signal(data.ArrayLayout(32, 2))
        place = Signal(48)
        page_offset = Signal(48)
        base = Signal(48)
        exponent_beats = Signal(16)
        payload_beats = Signal(16)
        head_bytes = Signal(32)
        keys = Signal(_CURSOR)
        values = Signal(_CURSOR)
        now = Signal(_CURSOR)
        ahead = Signal(range(lag + 2))
        of_values = Signal()
        keys_end = Signal()
        # Known a state before the cursor advances: `now` is its last page, its last pass.
        page_ends = Signal()
        pass_ends = Signal()
        m.d.sync += [page_ends.eq(now.page == last_page), pass_ends.eq(now.left <= walk.row_groups)]
        m.d.comb += [
            now.eq(Mux(of_values, values, keys)),
            self.index.eq(now.page),
            keys_end.eq(keys.head == geometry.kv_heads),
        ]

        def send(kind: int, address: object, beats: Signal, units: object) -> None:
            m.d.comb += [
                self.o.valid.eq(1),
                self.o.payload.kind.eq(kind),
                self.o.payload.format.eq(0),
                self.o.payload.address.eq(address),
                self.o.payload.beats.eq(beats),
                self.o.payload.units.eq(units),
            ]

        with m.FSM():
            with m.State("Idle"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [ahead.eq(0), of_values.eq(0)]
                with m.If(self.i.valid):
                    m.d.sync += walk.eq(self.i.payload)
                    m.next = "Measure"
            with m.State("Measure"):
                m.d.sync += [
                    token_rows.eq(geometry.group << geometry.sub_heads_log2[:2]),
                    last_page.eq((walk.position + walk.rows - 1) >> 5),
                    old_pages.eq((walk.position + BLOCK - 1) >> 5),
                    exponent_beats.eq(((geometry.head_blocks * 2 * BLOCK) + bus - 1) >> shift),
                    payload_beats.eq((geometry.head_blocks * BLOCK * BLOCK) >> shift),
                    base.eq(self.kv_base + walk.layer_offset),
                ]
                m.next = "Count Rows"
            with m.State("Count Rows"):
                m.d.sync += rows.eq(walk.rows * token_rows)
                m.next = "Count Groups"
            with m.State("Count Groups"):
                m.d.sync += [
                    groups.eq((rows + self.config.array.rows - 1) >> (self.config.array.rows - 1).bit_length()),
                    head_bytes.eq((exponent_beats + (payload_beats << 1)) << shift),
                ]
                m.next = "Start"
            with m.State("Start"):
                for cursor in (keys, values):
                    m.d.sync += [cursor.eq(0), cursor.left.eq(groups)]
                m.next = "Choose"
            with m.State("Choose"):
                m.next = "Look Up"
                with m.If(now.page >= old_pages):
                    m.next = "Advance"
            with m.State("Look Up"):
                m.d.comb += self.fault.eq(~self.mapped)
                m.d.sync += [page.eq(self.page), place.eq(base + now.head_offset)]
                m.next = "Multiply"
                with m.If(~self.mapped):
                    m.next = "Stand Still"
            with m.State("Stand Still"):
                pass
            with m.State("Multiply"):
                skip = Mux(of_values, exponent_beats + payload_beats, 0)
                m.d.sync += [
                    *(products[half].eq(page * walk.page_bytes.word_select(half, 16)) for half in range(2)),
                    place.eq(place + (skip << shift)),
                ]
                m.next = "Join"
            with m.State("Join"):
                m.d.sync += page_offset.eq(products[0] + (products[1] << 16))
                m.next = "Add"
            with m.State("Add"):
                m.d.sync += page_offset.eq(page_offset + place)
                m.next = "Send Exponents"
                with m.If(of_values):
                    m.next = "Send Payload"
            with m.State("Send Exponents"):
                send(Kind.EXPONENTS, page_offset, exponent_beats, exponent_beats)
                with m.If(self.o.ready):
                    m.d.sync += page_offset.eq(page_offset + (exponent_beats << shift))
                    m.next = "Send Payload"
            with m.State("Send Payload"):
                send(Kind.PAYLOAD, page_offset, payload_beats, payload_beats >> tile_shift)
                with m.If(self.o.ready):
                    m.next = "Advance"
            with m.State("Advance"):
                for cursor, chosen in ((keys, ~of_values), (values, of_values)):
                    with m.If(chosen):
                        self._advance(m, cursor, page_ends, pass_ends, groups, walk.row_groups, head_bytes)
                m.d.sync += ahead.eq(Mux(of_values, ahead - 1, ahead + 1))
                m.next = "Decide"
            with m.State("Decide"):
                # After a V always a K while there are any, after a K a V once K is far enough ahead.
                m.d.sync += of_values.eq(keys_end | (~of_values & (ahead > lag)))
                m.next = "Choose"
                with m.If(keys_end & (ahead == 0)):
                    m.d.comb += self.done.eq(1)
                    m.next = "Idle"
        return m

    def _advance(
        self,
        m: Module,
        cursor: Any,
        page_ends: Signal,
        pass_ends: Signal,
        groups: Signal,
        taken: Value,
        head_bytes: Signal,
    ) -> None:
        """To the next page, of the next pass, of the next virtual head."""
        m.d.sync += cursor.page.eq(cursor.page + 1)
        with m.If(page_ends):
            m.d.sync += [cursor.page.eq(0), cursor.left.eq(cursor.left - taken)]
            with m.If(pass_ends):
                m.d.sync += [
                    cursor.left.eq(groups),
                    cursor.head.eq(cursor.head + 1),
                    cursor.head_offset.eq(cursor.head_offset + head_bytes),
                ]
