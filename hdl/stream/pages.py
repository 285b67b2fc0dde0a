"""The pages of one ATTEND, in the order in which the attention unit takes them."""

from amaranth import Module, Mux, Signal, signed
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


class PageWalk(wiring.Component):
    """Regions of keys, values and exponents (docs/isa.md, ATTEND's stream).

    For each virtual head, for each pass: exponents and K of page i, then V of page i - lag. Pages without completed
    positions are left out. About 8 cycles per page and half; a region of 32 lanes is 128 to 16 beats.

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
        head = Signal(8)
        groups = Signal(14)
        groups_left = Signal(signed(15))
        rows = Signal(20)
        pages = Signal(15)
        old_pages = Signal(15)
        step = Signal(16)
        head_offset = Signal(32)
        page_offset = Signal(48)
        base = Signal(48)
        exponent_beats = Signal(16)
        payload_beats = Signal(16)
        values = Signal()

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
                with m.If(self.i.valid):
                    m.d.sync += [walk.eq(self.i.payload), head.eq(0), head_offset.eq(0)]
                    m.next = "Measure"
            with m.State("Measure"):
                m.d.sync += [
                    rows.eq(walk.rows * (geometry.group << geometry.sub_heads_log2)),
                    pages.eq(((walk.position + walk.rows - 1) >> 5) + 1),
                    old_pages.eq((walk.position + BLOCK - 1) >> 5),
                    exponent_beats.eq(((geometry.head_blocks * 2 * BLOCK) + bus - 1) >> shift),
                    payload_beats.eq((geometry.head_blocks * BLOCK * BLOCK) >> shift),
                    base.eq(self.kv_base + walk.layer_offset),
                ]
                m.next = "Count Groups"
            with m.State("Count Groups"):
                m.d.sync += groups.eq((rows + self.config.array.rows - 1) >> (self.config.array.rows - 1).bit_length())
                m.next = "Next Head"
            with m.State("Next Head"):
                m.d.sync += [groups_left.eq(groups), step.eq(0), values.eq(0)]
                m.next = "Step"
            with m.State("Step"):
                # Step i: keys of page i, then values of page i - lag.
                m.d.comb += self.index.eq(Mux(values, step - lag, step))
                with m.If(~values & (step >= old_pages)):
                    m.d.sync += values.eq(1)
                    with m.If(step < lag):
                        m.next = "Advance"
                with m.Elif(values & (step >= old_pages + lag)):
                    m.next = "Advance"
                with m.Elif(values & (step < lag)):
                    m.next = "Advance"
                with m.Else():
                    m.next = "Look Up"
            with m.State("Look Up"):
                m.d.comb += [self.index.eq(Mux(values, step - lag, step)), self.fault.eq(~self.mapped)]
                m.d.sync += page_offset.eq(self.page * walk.page_bytes[:32])
                with m.If(self.mapped):
                    m.next = "Add"
                with m.Else():
                    m.next = "Stand Still"
            with m.State("Stand Still"):
                pass
            with m.State("Add"):
                m.d.sync += page_offset.eq(page_offset + head_offset)
                m.next = "Add Base"
            with m.State("Add Base"):
                skip = Mux(values, exponent_beats + payload_beats, 0)
                m.d.sync += page_offset.eq(page_offset + base + (skip << shift))
                m.next = "Send Exponents"
                with m.If(values):
                    m.next = "Send Payload"
            with m.State("Send Exponents"):
                send(Kind.EXPONENTS, page_offset, exponent_beats, exponent_beats)
                with m.If(self.o.ready):
                    m.d.sync += page_offset.eq(page_offset + (exponent_beats << shift))
                    m.next = "Send Payload"
            with m.State("Send Payload"):
                send(Kind.PAYLOAD, page_offset, payload_beats, payload_beats >> tile_shift)
                with m.If(self.o.ready):
                    m.d.sync += values.eq(1)
                    m.next = "Step"
                    with m.If(values):
                        m.next = "Advance"
            with m.State("Advance"):
                m.d.sync += [step.eq(step + 1), values.eq(0)]
                m.next = "Step"
                with m.If(step + 1 == pages + lag):
                    m.d.sync += groups_left.eq(groups_left - walk.row_groups)
                    m.next = "Next Pass"
            with m.State("Next Pass"):
                m.d.sync += step.eq(0)
                m.next = "Step"
                with m.If(groups_left <= 0):
                    m.d.sync += [
                        head.eq(head + 1),
                        head_offset.eq(head_offset + ((exponent_beats + (payload_beats << 1)) << shift)),
                    ]
                    m.next = "Next Head"
                    with m.If(head + 1 == geometry.kv_heads):
                        m.d.comb += self.done.eq(1)
                        m.next = "Idle"
        return m
