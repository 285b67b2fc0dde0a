"""The AXI4 read master: long stream regions on id 0, auxiliary reads of a few beats on id 1."""

from typing import Any

from amaranth import Cat, Module, Mux, ResetInserter, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped

from ...arch.config import AcceleratorConfig, derive
from ...arch.isa import Status
from ..axi import BURST_INCR, RESPONSE_OKAY, axi4_read
from ..common import SkidBuffer
from ..interfaces import AUXILIARY_BURST, FAULT, auxiliary_port

REGION = data.StructLayout({"address": 48, "beats": 24, "scales": 9})
"""A contiguous stretch of memory, beat-aligned, one beat at least; a burst of it has at most `scales` scale beats."""

PAGE_BYTES = 4096
"""No burst crosses a multiple of this (AXI4, A3.4.1)."""

STREAM_ID, AUXILIARY_ID = 0, 1
AUXILIARY_DEPTH = 16
"""Auxiliary reads of a beat in flight or waiting to be taken."""

AUXILIARY_BEATS = 64
"""Beats of auxiliary reads, if they have several; there are never more reads than half as many."""


def longest_burst(config: AcceleratorConfig) -> int:
    """Beats of the longest burst: as the bus allows, and so short that the FIFOs always get to have room for one."""
    return min(config.bus.burst_beats, config.stream.fifo_beats // 8, config.stream.scale_fifo_beats // 2)


class Reader(wiring.Component):
    """Cut regions into bursts, keep `outstanding` of them in flight, hand over the beats.

    A stream burst is asked for only when both spaces cover it and everything in flight, so `rready` is always high. One
    burst every other cycle at most, three cycles between regions; auxiliary reads go first. Beats pass one register.

    Members:
        axi : Out(axi4_read).
        i : In(stream(REGION)).
        beat_valid : Out(1), beat : Out(W*8), stream data; there is no ready.
        space, scale_space : In(signed(16)), beats that the FIFOs behind can take: of any kind; of scales among them.
        auxiliary : In(auxiliary_port), answered in order; two cycles later than the stream.
        clear : In(1), drop regions and data; drained : Out(1), nothing is in flight.
        fault_valid : Out(1), fault : Out(FAULT), BUS_READ with the burst's address.
        stream_beat, auxiliary_beat, full : Out(1), for counters; full: a burst waits for space.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.bus_bytes = derive(config).bus_bytes
        self.burst_beats = longest_burst(config)
        bits = self.bus_bytes * 8
        super().__init__(
            {
                "axi": Out(axi4_read(address_bits=config.bus.address_bits, data_bits=bits, id_bits=1)),
                "i": In(stream.Signature(REGION)),
                "beat_valid": Out(1),
                "beat": Out(bits),
                "space": In(signed(16)),
                "scale_space": In(signed(16)),
                "auxiliary": In(auxiliary_port(bits)),
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
        axi = self.axi
        in_flight = Signal(16)
        auxiliary_held = Signal(range(AUXILIARY_BEATS + 1))
        next_held = Signal(range(AUXILIARY_BEATS + 1))
        auxiliary_in_flight = Signal(range(AUXILIARY_BEATS + 1))
        m.d.comb += [
            axi.arsize.eq((self.bus_bytes - 1).bit_length()),
            axi.arburst.eq(BURST_INCR),
            axi.rready.eq(1),
            self.drained.eq(~axi.arvalid & (in_flight == 0) & (auxiliary_in_flight == 0)),
        ]
        burst, auxiliary = self._issue(m, in_flight, next_held)
        stream_beat, auxiliary_beat, popped = self._receive(m)
        m.d.sync += [
            in_flight.eq(in_flight + burst - stream_beat),
            auxiliary_in_flight.eq(auxiliary_in_flight + auxiliary - auxiliary_beat),
            auxiliary_held.eq(next_held),
        ]
        m.d.comb += next_held.eq(Mux(self.clear, auxiliary_in_flight, auxiliary_held + auxiliary - popped))
        return m

    def _issue(self, m: Module, in_flight: Signal, next_held: Signal) -> tuple[Signal, Signal]:
        """Drive AR; return the beats of the bursts that are asked for in this cycle: of the stream, or auxiliary.

        next_held: auxiliary beats in flight and waiting in the next cycle.
        """
        axi, bus = self.axi, self.bus_bytes
        shift = (bus - 1).bit_length()
        address = Signal(48)
        left = Signal(24)
        scales = Signal(9)
        scales_in_flight = Signal(16)
        most = self.burst_beats
        size = Signal(range(most + 1))
        sized = Signal()
        bursts = Signal(range(self.config.bus.outstanding + 1))
        room = Signal(range(PAGE_BYTES // bus + 1))
        free = Signal()
        fits = Signal()
        burst = Signal(9)
        auxiliary = Signal(range(AUXILIARY_BURST + 1))
        last = Signal()
        m.d.comb += [
            room.eq(PAGE_BYTES // bus - address[shift:12]),
            free.eq(~axi.arvalid | axi.arready),
            self.i.ready.eq((left == 0) & ~self.clear),
            last.eq(axi.rvalid & axi.rlast & (axi.rid == STREAM_ID)),
            self.full.eq(sized & ~fits),
        ]
        # The sums are registered: they only ever err by waiting a cycle longer, since space never shrinks but by us.
        m.d.sync += fits.eq((in_flight + most <= self.space) & (scales_in_flight + scales <= self.scale_space))
        with m.If(self.i.valid & self.i.ready):
            region = self.i.payload
            m.d.sync += [address.eq(region.address), left.eq(region.beats), scales.eq(region.scales), fits.eq(0)]
        with m.Elif((left != 0) & ~sized):
            least = Mux(left < most, left, most)
            m.d.sync += [size.eq(Mux(least < room, least, room)), sized.eq(1)]
        with m.If(axi.arready):
            m.d.sync += axi.arvalid.eq(0)
        wanted, single = self._asked(m)
        # Single beats are as many as reads may be, longer ones as long as there is room for a longest one.
        room_for_one = Signal(init=1)
        room_for_longest = Signal(init=1)
        m.d.sync += [
            room_for_one.eq(next_held <= AUXILIARY_DEPTH - 1),
            room_for_longest.eq(next_held <= AUXILIARY_BEATS - AUXILIARY_BURST),
        ]
        fitting = Mux(single, room_for_one, room_for_longest)
        m.d.comb += wanted.ready.eq(free & fitting & ~self.clear)
        with m.If(wanted.valid & wanted.ready):
            m.d.comb += auxiliary.eq(wanted.payload.beats)
            m.d.sync += [
                axi.arvalid.eq(1),
                axi.araddr.eq(wanted.payload.address),
                axi.arlen.eq(wanted.payload.beats - 1),
                axi.arid.eq(AUXILIARY_ID),
            ]
        with m.Elif(free & sized & fits & (bursts < self.config.bus.outstanding) & ~self.clear):
            m.d.comb += burst.eq(size)
            m.d.sync += [
                axi.arvalid.eq(1),
                axi.araddr.eq(address),
                axi.arlen.eq(size - 1),
                axi.arid.eq(STREAM_ID),
                address.eq(address + (size << shift)),
                left.eq(left - size),
                sized.eq(0),
                fits.eq(0),
            ]
        m.d.sync += bursts.eq(bursts + (burst != 0) - last)
        with m.If(self.clear):
            m.d.sync += [left.eq(0), sized.eq(0)]
        landed = self._remember(m, burst != 0, Cat(address, scales), auxiliary != 0, wanted.payload.address, last)
        # Whether a burst is asked for is late: it chooses between sums.
        left_in_flight = scales_in_flight - Mux(last, landed, 0)
        m.d.sync += scales_in_flight.eq(Mux(burst != 0, left_in_flight + scales, left_in_flight))
        return burst, auxiliary

    def _asked(self, m: Module) -> tuple[Any, Value]:
        """The auxiliary read that is next, and whether it is of a single beat."""
        port = self.auxiliary.o_address
        layout = port.payload.shape()
        early = "ask" in derive(self.config).pipeline.ask.before
        if early:
            layout = data.StructLayout({**layout.members, "single": 1})
        # Who asks at the auxiliary port must not wait for the decision within a cycle.
        m.submodules.asked = asked = SkidBuffer(layout)
        if early:
            m.d.comb += [
                asked.i.valid.eq(port.valid),
                asked.i.payload.eq(Cat(port.payload, port.payload.beats == 1)),
                port.ready.eq(asked.i.ready),
            ]
        else:
            connect(m, flipped(port), asked.i)
        m.d.comb += asked.clear.eq(self.clear)
        return asked.o, asked.o.payload.single if early else asked.o.payload.beats == 1

    def _remember(self, m: Module, asked: Value, burst: Value, auxiliary: Value, address: Value, last: Signal) -> Value:
        """Remember every burst until its last beat: its address, for error reports, and its scales; return those."""
        fifos = {}
        for name, width, depth in (
            ("stream", 57, self.config.bus.outstanding),
            ("auxiliary", 48, AUXILIARY_BEATS // 2),
        ):
            fifos[name] = m.submodules[f"{name}_bursts"] = SyncFIFOBuffered(width=width, depth=depth + 1)
        m.d.comb += [
            fifos["stream"].w_en.eq(asked),
            fifos["stream"].w_data.eq(burst),
            fifos["stream"].r_en.eq(last),
            fifos["auxiliary"].w_en.eq(auxiliary),
            fifos["auxiliary"].w_data.eq(address),
            fifos["auxiliary"].r_en.eq(self.axi.rvalid & self.axi.rlast & (self.axi.rid == AUXILIARY_ID)),
        ]
        self._fault_addresses = fifos["stream"].r_data[:48], fifos["auxiliary"].r_data
        return fifos["stream"].r_data[48:]

    def _receive(self, m: Module) -> tuple[Signal, Signal, Signal]:
        """Register the data; return which kind of beat arrives this cycle, and whether an auxiliary one is taken."""
        axi = self.axi
        stream_beat = Signal()
        auxiliary_beat = Signal()
        responses = SyncFIFOBuffered(width=self.bus_bytes * 8, depth=AUXILIARY_BEATS)
        m.submodules.responses = ResetInserter(self.clear)(responses)
        # Who takes them is late in a cycle, and what is held decides whether more is asked for.
        m.submodules.taken = taken = SkidBuffer(self.bus_bytes * 8)
        connect(m, taken.o, flipped(self.auxiliary.i_beat))
        popped = Signal()
        m.d.comb += [
            stream_beat.eq(axi.rvalid & (axi.rid == STREAM_ID)),
            auxiliary_beat.eq(axi.rvalid & (axi.rid == AUXILIARY_ID)),
            self.stream_beat.eq(stream_beat),
            self.auxiliary_beat.eq(auxiliary_beat),
            responses.w_data.eq(axi.rdata),
            responses.w_en.eq(auxiliary_beat),
            taken.clear.eq(self.clear),
            taken.i.valid.eq(responses.r_rdy),
            taken.i.payload.eq(responses.r_data),
            responses.r_en.eq(taken.i.ready),
            popped.eq(responses.r_rdy & taken.i.ready),
        ]
        m.d.sync += [
            self.beat.eq(axi.rdata),
            self.beat_valid.eq(stream_beat & ~self.clear),
            self.fault_valid.eq(axi.rvalid & (axi.rresp != RESPONSE_OKAY) & ~self.clear),
            self.fault.status.eq(Status.BUS_READ),
            self.fault.address.eq(Mux(axi.rid == STREAM_ID, *self._fault_addresses)),
        ]
        return stream_beat, auxiliary_beat, popped
