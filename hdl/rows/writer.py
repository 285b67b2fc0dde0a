"""STORE_ROWS: rows of the scratchpad to memory."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from ...arch.isa import Status
from ..axi import BURST_INCR, axi4_write
from ..common import Queue, bits_for
from ..interfaces import COMMAND, FAULT, Interfaces, read_port
from ..vector.beats import BeatCutter
from .bursts import ROWS_REGION, RowBursts

WORDS_AHEAD = 4
"""Words read and not sent; three hide the memory's latency and a registered ready."""


class BeatPacker(wiring.Component):
    """Packs parts into beats, lowest first. A beat is at `o` the cycle after its last part; a part a cycle, no gap.

    Parameters
    ----------
    part_bits, parts : int
        Of a beat.

    Members
    -------
    i : In(stream.Signature(part_bits)), o : Out(stream.Signature(part_bits * parts))
    """

    def __init__(self, *, part_bits: int, parts: int) -> None:
        self.parts = parts
        super().__init__({"i": In(stream.Signature(part_bits)), "o": Out(stream.Signature(part_bits * parts))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        place = Signal(range(self.parts))
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            rest = self.o.payload[len(self.i.payload) :]
            m.d.sync += [self.o.payload.eq(Cat(rest, self.i.payload)), place.eq(place + 1)]
            with m.If(place == self.parts - 1):
                m.d.sync += [self.o.valid.eq(1), place.eq(0)]
        return m


class RowWriter(wiring.Component):
    """Executes STORE_ROWS.

    One burst at a time is sent, without a gap between them, up to bus.outstanding await their response: a beat, or a
    word, a cycle, whichever is longer. `done` when all responses have come. An error response, a row outside the region
    or `clear` ends the writing after the current burst, and is reported when all responses have come.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    i : In(stream.Signature(COMMAND)), ready while idle; done : Out(1), pulse
    region : In(ROWS_REGION), of the job
    spm : Out(read_port)
    axi : Out(axi4_write), whose id is the port's
    bytes : Out, that were sent in the cycle before
    fault_valid : Out(1), fault : Out(FAULT): ROWS_RANGE (row), BUS_WRITE (address of the burst)
    clear : In(1), drained : Out(1), idle, no burst in flight
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        bus = interfaces.config.bus
        super().__init__(
            {
                "i": In(stream.Signature(COMMAND)),
                "done": Out(1),
                "region": In(ROWS_REGION),
                "spm": Out(read_port(interfaces.spm_address, interfaces.vector)),
                "axi": Out(axi4_write(address_bits=bus.address_bits, data_bits=bus.data_bits, id_bits=1)),
                "bytes": Out(range(interfaces.bus_bytes + 1)),
                "fault_valid": Out(1),
                "fault": Out(FAULT),
                "clear": In(1),
                "drained": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.interfaces.config.bus
        flush = Signal()
        self._command = command = Signal(COMMAND)
        self._sending, self._stop = Signal(name="sending"), Signal(name="stop")
        self._beats_left, self._address_valid = Signal(9, name="beats_left"), Signal(name="address_valid")
        bursts = RowBursts(bus_bytes=self.interfaces.bus_bytes, longest=bus.burst_beats)
        m.submodules.bursts = ResetInserter(flush)(bursts)
        m.submodules.responses = responses = Queue(shape=bus.address_bits, depth=bus.outstanding)
        start = Signal()
        stopping = Signal()
        error = Signal()
        ended = Signal()
        m.d.comb += [
            bursts.start.eq(start),
            bursts.command.eq(command),
            bursts.region.eq(self.region),
            self._stop.eq(stopping | error | self.clear | bursts.outside),
            self.axi.bready.eq(1),
            responses.o.ready.eq(self.axi.bvalid),
        ]
        with m.If(bursts.outside & ~error):
            m.d.sync += [self.fault.status.eq(Status.ROWS_RANGE), self.fault.address.eq(bursts.row)]
        with m.If(self.axi.bvalid & self.axi.bresp[1] & ~error):
            m.d.sync += [
                error.eq(1),
                self.fault.status.eq(Status.BUS_WRITE),
                self.fault.address.eq(responses.o.payload),
            ]
        last = self._bursts(m, bursts, responses)
        self._beats(m, start, flush)
        with m.If(last):
            m.d.sync += ended.eq(1)
        with m.If(self.clear):
            m.d.sync += stopping.eq(1)
        busy = self._address_valid | self._beats_left.any()
        with m.FSM() as fsm:
            m.d.comb += [self.drained.eq(fsm.ongoing("Idle")), flush.eq(fsm.ongoing("Idle"))]
            with m.State("Idle"):
                m.d.comb += self.i.ready.eq(~self.clear)
                m.d.sync += [command.eq(self.i.payload), stopping.eq(0), error.eq(0), ended.eq(0)]
                with m.If(self.i.valid & ~self.clear):
                    m.next = "Start"
            with m.State("Start"):
                m.d.comb += start.eq(1)
                m.next = "Send"
            with m.State("Send"):
                m.d.comb += self._sending.eq(1)
                with m.If((ended | self._stop) & ~busy):
                    m.next = "Drain"
            with m.State("Drain"):
                with m.If(~responses.o.valid):
                    m.next = "Report"
            with m.State("Report"):
                # What the memory said counts before a row that is outside; whoever clears does not ask.
                m.d.comb += [
                    self.done.eq(~error & ~bursts.outside & ~stopping & ~self.clear),
                    self.fault_valid.eq((error | bursts.outside) & ~stopping & ~self.clear),
                ]
                m.next = "Idle"
        return m

    def _bursts(self, m: Module, bursts: RowBursts, responses: Queue) -> Signal:
        """Take burst after burst; address and data are offered together, neither waits for the other (AXI4, A3.3.1).

        Returns:
            The last burst is taken in this cycle.
        """
        axi, burst = self.axi, bursts.o.payload
        free, take, last = Signal(name="free"), Signal(name="take"), Signal(name="last_taken")
        sent = axi.wvalid & axi.wready
        m.d.comb += [
            free.eq((~self._address_valid | axi.awready) & ((self._beats_left == 0) | (axi.wlast & sent))),
            take.eq(self._sending & free & bursts.o.valid & responses.i.ready & ~self._stop),
            bursts.o.ready.eq(self._sending & free & responses.i.ready & ~self._stop),
            responses.i.valid.eq(take),
            responses.i.payload.eq(burst.address),
            last.eq(take & burst.ends),
            axi.awvalid.eq(self._address_valid),
            axi.awsize.eq(bits_for(self.interfaces.bus_bytes)),
            axi.awburst.eq(BURST_INCR),
            axi.wstrb.eq(~0),
            axi.wlast.eq(self._beats_left == 1),
        ]
        with m.If(axi.awready):
            m.d.sync += self._address_valid.eq(0)
        with m.If(sent):
            m.d.sync += self._beats_left.eq(self._beats_left - 1)
        with m.If(take):
            m.d.sync += [
                self._address_valid.eq(1),
                axi.awaddr.eq(burst.address),
                axi.awlen.eq(burst.beats - 1),
                self._beats_left.eq(burst.beats),
            ]
        m.d.sync += self.bytes.eq(Mux(sent, self.interfaces.bus_bytes, 0))
        return last

    def _beats(self, m: Module, start: Signal, flush: Signal) -> None:
        """Words of the scratchpad, read ahead, as beats."""
        lanes, bus = self.interfaces.lanes, self.interfaces.bus_bytes
        word_bytes, axi, instruction = 4 * lanes, self.axi, self._command.instruction
        words = Queue(shape=8 * word_bytes, depth=WORDS_AHEAD)
        m.submodules.words = ResetInserter(flush)(words)
        address = Signal(20)
        left = Signal(24)
        level = Signal(range(WORDS_AHEAD + 1))
        arrives = Signal()
        m.d.comb += [
            self.spm.address.eq(address),
            self.spm.en.eq((left != 0) & (level != WORDS_AHEAD) & self._sending),
            words.i.valid.eq(arrives),
            words.i.payload.eq(self.spm.data),
        ]
        m.d.sync += [arrives.eq(self.spm.en), level.eq(level + self.spm.en - (words.o.valid & words.o.ready))]
        with m.If(self.spm.en):
            m.d.sync += [address.eq(address + 1), left.eq(left - 1)]
        with m.If(start):
            m.d.sync += [
                address.eq(instruction.src),
                left.eq(self._command.rows * (instruction.n >> bits_for(lanes))),
                level.eq(0),
            ]
        beats = words.o
        if word_bytes > bus:
            cutter = BeatCutter(beat_bits=8 * word_bytes, part_bits=8 * bus)
            m.submodules.cutter = ResetInserter(flush)(cutter)
            connect(m, words.o, cutter.i)
            m.d.comb += [cutter.start.eq(start), cutter.count.eq(~0)]
            beats = cutter.o
        elif word_bytes < bus:
            packer = BeatPacker(part_bits=8 * word_bytes, parts=bus // word_bytes)
            m.submodules.packer = ResetInserter(flush)(packer)
            connect(m, words.o, packer.i)
            beats = packer.o
        m.d.comb += [
            axi.wvalid.eq(beats.valid & (self._beats_left != 0)),
            axi.wdata.eq(beats.payload),
            beats.ready.eq(axi.wready & (self._beats_left != 0)),
        ]
