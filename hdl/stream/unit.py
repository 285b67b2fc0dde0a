"""The stream unit: prefetcher, reader, splitter and FIFOs."""

from amaranth import Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped

from ...arch.config import AcceleratorConfig, derive
from ...arch.formats import BLOCK
from ...arch.layout import Stripe, ceil_div
from ..axi import axi4_read
from ..common import SkidBuffer
from ..control.passes import JOB
from ..interfaces import FAULT, INSTRUCTION, Interfaces, auxiliary_port, lookup_port, read_port
from .fifo import PayloadFifo, ScaleFifo
from .prefetcher import Prefetcher
from .reader import Reader, longest_burst
from .regions import CONTENT, STREAM_REGION, Kind

MOST_REGIONS = 32
"""Regions asked for and not arrived yet, at most."""

STREAM_STATE = data.StructLayout({"blocked": 1, "offered": 1, "appends": 1, "walking": 1})
"""blocked: nothing more can be asked for, as the FIFOs, or the list of regions, have no room. offered: a unit waits to
be taken. appends: the next region has to wait for APPENDs. walking: something is still to be asked for."""

IN_TRANSIT = 5
"""Beats between the bus and a FIFO's `used`, which neither side counts."""


class Splitter(wiring.Component):
    """Send every beat to the payload or to the scale FIFO, by the pattern of its region.

    Members:
        region : In(stream(STREAM_REGION)), in the order of the beats; taken with a region's last beat.
        beat_valid : In(1).
        payload, scale : Out(1), where this beat goes; end : Out(1), it is the region's last.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__(
            {
                "region": In(stream.Signature(STREAM_REGION)),
                "beat_valid": In(1),
                "payload": Out(1),
                "scale": Out(1),
                "end": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        region = self.region.payload
        left = Signal(24)
        fresh = Signal(init=1)
        now_left = Signal(24)
        in_stripe = Signal(12)
        stripe_ends = Signal(12)
        to_scale = Signal()
        m.d.comb += [
            now_left.eq(Mux(fresh, region.beats, left)),
            self.end.eq(now_left == 1),
            to_scale.eq(
                Mux(region.kind == Kind.TILES, in_stripe == 0, region.kind == Kind.EXPONENTS),
            ),
            self.scale.eq(self.beat_valid & to_scale),
            self.payload.eq(self.beat_valid & ~to_scale),
            self.region.ready.eq(self.beat_valid & self.end),
        ]
        with m.Switch(region.format):
            for weight_format in derive(self.config).formats:
                stripe = Stripe.of(self.config, weight_format)
                with m.Case(weight_format.code):
                    m.d.comb += stripe_ends.eq(stripe.tiles * stripe.tile_beats)
        with m.If(self.beat_valid):
            m.d.sync += [left.eq(now_left - 1), fresh.eq(self.end), in_stripe.eq(in_stripe + 1)]
            with m.If(self.end | (in_stripe == stripe_ends)):
                m.d.sync += in_stripe.eq(0)
        return m


class StreamUnit(wiring.Component):
    """Runs ahead of the sequencer: reads what the job's instructions will take, in their order.

    Members:
        axi : Out(axi4_read). auxiliary : In(auxiliary_port).
        i : In(stream(JOB)). program : Out(read_port). lookup : Out(lookup_port).
        image_base, kv_base : In(48). appended : In(16), of the sequencer.
        o_tile : Out(stream(raw_tile)), o_payload : Out(stream(C*32*8)), o_beat, o_exponents : Out(stream(W*8)).
        clear : In(1), drained : Out(1), fault_valid, fault : Out.
        stream_beat, auxiliary_beat, full : Out(1), for counters.

    Attributes:
        state: Signal(STREAM_STATE), for the trace.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.state = Signal(STREAM_STATE)
        interfaces = Interfaces(config)
        # What regions on their way may waste (all but one bank of a row each) leaves half of the FIFO.
        self.regions = max(2, min(MOST_REGIONS, config.stream.fifo_beats // (2 * interfaces.derived.tile_beats)))
        bits = interfaces.bus_bytes * 8
        super().__init__(
            {
                "axi": Out(axi4_read(address_bits=config.bus.address_bits, data_bits=bits, id_bits=1)),
                "auxiliary": In(auxiliary_port(bits)),
                "i": In(stream.Signature(JOB)),
                "program": Out(read_port(range(config.control.program_words), INSTRUCTION)),
                "lookup": Out(lookup_port()),
                "image_base": In(48),
                "kv_base": In(48),
                "appended": In(16),
                "o_tile": Out(stream.Signature(interfaces.raw_tile)),
                "o_payload": Out(stream.Signature(config.array.channels * BLOCK * 8)),
                "o_beat": Out(stream.Signature(bits)),
                "o_exponents": Out(stream.Signature(bits)),
                "clear": In(1),
                "drained": Out(1),
                "fault_valid": Out(1),
                "fault": Out(FAULT),
                "stream_beat": Out(1),
                "auxiliary_beat": Out(1),
                "full": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        prefetcher, self._reader = Prefetcher(self.config), Reader(self.config)
        m.submodules.prefetcher = ResetInserter(self.clear)(prefetcher)
        m.submodules.reader = reader = self._reader
        connect(m, flipped(self.i), prefetcher.i)
        connect(m, flipped(self.program), prefetcher.program)
        connect(m, flipped(self.lookup), prefetcher.lookup)
        connect(m, flipped(self.axi), reader.axi)
        connect(m, flipped(self.auxiliary), reader.auxiliary)
        m.d.comb += [
            prefetcher.image_base.eq(self.image_base),
            prefetcher.kv_base.eq(self.kv_base),
            prefetcher.appended.eq(self.appended),
            reader.clear.eq(self.clear),
            self.drained.eq(reader.drained),
            self.fault_valid.eq(reader.fault_valid | prefetcher.fault_valid),
            self.fault.eq(Mux(reader.fault_valid, reader.fault.as_value(), prefetcher.fault.as_value())),
            self.stream_beat.eq(reader.stream_beat),
            self.auxiliary_beat.eq(reader.auxiliary_beat),
            self.full.eq(reader.full),
        ]
        self._buffer(m, prefetcher)
        return m

    def _buffer(self, m: Module, prefetcher: Prefetcher) -> None:
        """Every region goes to the reader and, as a promise of what comes, to the splitter and the FIFOs."""
        config, reader = self.config, self._reader
        payload_fifo, scale_fifo, splitter = PayloadFifo(config), ScaleFifo(config), Splitter(config)
        m.submodules.payload = ResetInserter(self.clear)(payload_fifo)
        m.submodules.scale = ResetInserter(self.clear)(scale_fifo)
        m.submodules.splitter = ResetInserter(self.clear)(splitter)
        region = prefetcher.o.payload
        content = Signal(CONTENT)
        has_payload = Signal()
        has_scales = Signal()
        m.d.comb += [
            content.kind.eq(region.kind),
            content.format.eq(region.format),
            content.units.eq(region.units),
            has_payload.eq(region.kind != Kind.EXPONENTS),
            has_scales.eq((region.kind == Kind.TILES) | (region.kind == Kind.EXPONENTS)),
        ]
        queues = {}
        for name, layout, value, wanted in (
            ("requests", STREAM_REGION, region, 1),
            ("promises", STREAM_REGION, region, 1),
            ("payloads", CONTENT, content, has_payload),
            ("scales", CONTENT, content, has_scales),
        ):
            queue = SyncFIFOBuffered(width=layout.size, depth=self.regions)
            m.submodules[name] = ResetInserter(self.clear)(queue)
            queues[name] = queue
            m.d.comb += [
                queue.w_data.eq(value),
                queue.w_en.eq(prefetcher.o.valid & prefetcher.o.ready & wanted),
            ]
        room = Signal()
        m.d.comb += [
            room.eq(queues["requests"].w_rdy & queues["promises"].w_rdy & queues["payloads"].w_rdy),
            prefetcher.o.ready.eq(room & queues["scales"].w_rdy),
        ]
        request = STREAM_REGION(queues["requests"].r_data)
        m.d.comb += [
            reader.i.valid.eq(queues["requests"].r_rdy),
            reader.i.payload.address.eq(request.address),
            reader.i.payload.beats.eq(request.beats),
            reader.i.payload.scales.eq(self._scales_per_burst(m, request)),
            queues["requests"].r_en.eq(reader.i.ready),
            splitter.region.valid.eq(queues["promises"].r_rdy),
            splitter.region.payload.eq(queues["promises"].r_data),
            queues["promises"].r_en.eq(splitter.region.ready),
            splitter.beat_valid.eq(reader.beat_valid),
        ]
        beat = Signal.like(reader.beat)
        for name, fifo, write in (
            ("payloads", payload_fifo, splitter.payload),
            ("scales", scale_fifo, splitter.scale),
        ):
            # That a FIFO is done with a region is known late in a cycle.
            queue, next_content = queues[name], SkidBuffer(CONTENT)
            m.submodules[f"next_of_{name}"] = next_content
            connect(m, next_content.o, fifo.content)
            m.d.comb += [
                next_content.clear.eq(self.clear),
                next_content.i.valid.eq(queue.r_rdy),
                next_content.i.payload.eq(queue.r_data),
                queue.r_en.eq(next_content.i.ready),
                fifo.beat.eq(beat),
            ]
            m.d.sync += fifo.write.eq(write & ~self.clear)
        # Where a beat goes is known late in a cycle, and the FIFOs are wide.
        arrived = Signal()
        m.d.sync += [
            beat.eq(reader.beat),
            payload_fifo.end.eq(splitter.end),
            arrived.eq(splitter.region.ready & ~self.clear),
        ]
        asked_all = ~queues["requests"].r_rdy & reader.i.ready
        m.d.comb += [
            self.state.blocked.eq(reader.full | (prefetcher.o.valid & ~prefetcher.o.ready & asked_all)),
            self.state.offered.eq(payload_fifo.o.valid & ~payload_fifo.o.ready),
            self.state.appends.eq(prefetcher.waiting & asked_all),
            self.state.walking.eq(prefetcher.walking | ~asked_all),
        ]
        accepted = prefetcher.o.valid & prefetcher.o.ready
        self._space(m, payload_fifo, scale_fifo, accepted, arrived)
        self._outputs(m, payload_fifo, scale_fifo)

    def _space(self, m: Module, payload: PayloadFifo, scale: ScaleFifo, accepted: object, arrived: Signal) -> None:
        """What the reader may ask for: every region on its way may waste all but one bank of a row."""
        waste = payload.banks - 1
        promised = Signal(range(self.regions * waste + payload.banks))
        step = Mux(accepted, waste, 0) - Mux(arrived, waste, 0)
        m.d.sync += [
            promised.eq(Mux(self.clear, 0, promised + step)),
            self._reader.space.eq(payload.depth - IN_TRANSIT - payload.used - promised),
            self._reader.scale_space.eq(scale.depth - IN_TRANSIT - scale.used),
        ]

    def _scales_per_burst(self, m: Module, region: data.View) -> Signal:
        """Most scale beats in a burst: all of exponents, one of every stripe of tiles."""
        burst = longest_burst(self.config)
        scales = Signal(9)
        m.d.comb += scales.eq(Mux(region.kind == Kind.EXPONENTS, burst, 0))
        with m.If(region.kind == Kind.TILES), m.Switch(region.format):
            for weight_format in derive(self.config).formats:
                stripe = Stripe.of(self.config, weight_format)
                with m.Case(weight_format.code):
                    m.d.comb += scales.eq(ceil_div(burst, 1 + stripe.tiles * stripe.tile_beats))
        return scales

    def _outputs(self, m: Module, payload: PayloadFifo, scale: ScaleFifo) -> None:
        units, scales = payload.o.payload, scale.o.payload
        tile = Signal()
        # The units that take beats say late in a cycle that they do.
        m.submodules.beats = beats = SkidBuffer(self.o_beat.payload.shape())
        connect(m, beats.o, flipped(self.o_beat))
        m.d.comb += [
            tile.eq(
                payload.o.valid & scale.o.valid & (units.kind == Kind.TILES) & (scales.kind == Kind.TILES),
            ),
            self.o_tile.valid.eq(tile),
            self.o_tile.payload.payload.eq(units.bits),
            self.o_tile.payload.scales.as_value().eq(scales.bits),
            self.o_payload.valid.eq(payload.o.valid & (units.kind == Kind.PAYLOAD)),
            self.o_payload.payload.eq(units.bits),
            beats.clear.eq(self.clear),
            beats.i.valid.eq(payload.o.valid & (units.kind == Kind.BEATS)),
            beats.i.payload.eq(units.bits),
            self.o_exponents.valid.eq(scale.o.valid & (scales.kind == Kind.EXPONENTS)),
            self.o_exponents.payload.eq(scales.bits),
            payload.o.ready.eq(
                (tile & self.o_tile.ready)
                | (self.o_payload.valid & self.o_payload.ready)
                | (beats.i.valid & beats.i.ready)
            ),
            scale.o.ready.eq((tile & self.o_tile.ready) | (self.o_exponents.valid & self.o_exponents.ready)),
        ]
