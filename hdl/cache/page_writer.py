"""Writes a chunk's keys and values from the tail buffer to its page in memory."""

from enum import IntEnum

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.formats import BLOCK
from ...arch.isa import Status
from ..axi import BURST_INCR, axi4_write
from ..common import Queue, bits_for, parts, pick
from ..interfaces import COMMAND, FAULT, GEOMETRY_LAYOUT, Interfaces, lookup_port
from .page_address import PageAddress, exponent_bytes
from .tail_buffer import tail_ports

_BOUNDARY = 4096
"""Bytes; no AXI burst crosses a multiple (IHI 0022, A3.4.1)."""


class Kind(IntEnum):
    """Segments of a head in a page, in the order of their addresses."""

    EXPONENTS = 0
    KEYS = 1
    VALUES = 2


class PageWriter(wiring.Component):
    """The second half of an APPEND: once the tail buffer has all blocks, writes exponents, K and V of every head.

    Only the chunk's positions are strobed. Beats of K outside them are not written at all; beats of exponents and V
    without a strobe are. One burst at a time is sent, up to bus.outstanding await their response. An error response, or
    `clear`, ends the writing after the current burst and when all responses have come.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    i : In(stream.Signature(COMMAND)), APPEND; ready while idle
    kv_base : In(48)
    lookup : Out(lookup_port())
    tail_enable : Out(1), tail_chunk : Out(1), tail_position : Out(5), tail_head_blocks : Out(4), to the tail buffer
    tail_taken : In(1), the tail buffer takes a block in this cycle
    tail_words, tail_exponents : Out(read_port), of the tail buffer
    axi : Out(axi4_write)
    append_complete : Out(1), pulse: all responses have come
    bytes : Out, strobed bytes that were sent in the cycle before
    fault_valid : Out(1), fault : Out(FAULT): PAGE_UNMAPPED (position), BUS_WRITE (address of the burst)
    clear : In(1), drained : Out(1), idle, no burst in flight
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        config = interfaces.config
        self.interfaces = interfaces
        self.bus_bytes = interfaces.bus_bytes
        self.beat_bits = bits_for(self.bus_bytes)
        self.address_bits = config.bus.address_bits
        self.tiles = BLOCK // interfaces.channels
        self._longest = config.bus.burst_beats
        tail = tail_ports(interfaces)
        axi = axi4_write(address_bits=self.address_bits, data_bits=config.bus.data_bits, id_bits=1)
        super().__init__(
            {
                "i": In(stream.Signature(COMMAND)),
                "kv_base": In(48),
                "lookup": Out(lookup_port()),
                "tail_enable": Out(1),
                "tail_chunk": Out(1),
                "tail_position": Out(5),
                "tail_head_blocks": Out(4),
                "tail_taken": In(1),
                "tail_words": Out(tail["words"]),
                "tail_exponents": Out(tail["exponents"]),
                "axi": Out(axi),
                "append_complete": Out(1),
                "bytes": Out(range(self.bus_bytes + 1)),
                "fault_valid": Out(1),
                "fault": Out(FAULT),
                "clear": In(1),
                "drained": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._command = command = Signal(COMMAND)
        self._geometry = GEOMETRY_LAYOUT(command.instruction.aux[: GEOMETRY_LAYOUT.size])
        self._first = command.position[: bits_for(BLOCK)]
        self._end = Signal(6)
        m.d.comb += self._end.eq(self._first + command.rows)
        # What is being written: a range of beats of one segment, a burst of it.
        self._kind, self._block = Signal(Kind, name="kind"), Signal(4, name="block")
        self._head, self._head_block = Signal(8, name="head"), Signal(12, name="head_block")
        self._head_address, self._address = Signal(48, name="head_address"), Signal(48, name="address")
        self._offset, self._segment_end = Signal(13, name="offset"), Signal(13, name="segment_end")
        self._burst_left = Signal(9)
        self._sending, self._sent = Signal(name="sending"), Signal(name="sent")

        m.submodules.base = base = PageAddress()
        m.submodules.bursts = bursts = Queue(shape=self.address_bits, depth=self.interfaces.config.bus.outstanding)
        error = self._responses(m, bursts)
        self._control(m, base, bursts, error)
        self._beats(m)
        return m

    def _responses(self, m: Module, bursts: Queue) -> Signal:
        """Responses come in the order of the bursts; the first error keeps its address."""
        error = Signal()
        m.d.comb += [self.axi.bready.eq(1), bursts.o.ready.eq(self.axi.bvalid)]
        with m.If(self.axi.bvalid & self.axi.bresp[1] & ~error):
            m.d.sync += [error.eq(1), self.fault.status.eq(Status.BUS_WRITE), self.fault.address.eq(bursts.o.payload)]
        return error

    def _control(self, m: Module, base: PageAddress, bursts: Queue, error: Signal) -> None:
        command, instruction, geometry = self._command, self._command.instruction, self._geometry
        page_index = command.position >> bits_for(BLOCK)
        blocks, wanted, taken = Signal(14, name="blocks"), Signal(19, name="wanted"), Signal(19, name="taken")
        stopping, collecting, located = Signal(name="stopping"), Signal(name="collecting"), Signal(name="located")
        m.d.sync += [
            blocks.eq(command.rows * geometry.kv_heads),
            wanted.eq((blocks * geometry.head_blocks) << 1),
            taken.eq(taken + self.tail_taken),
            self.fault_valid.eq(0),
            self.append_complete.eq(0),
        ]
        m.d.comb += [
            self.tail_enable.eq(collecting),
            self.tail_chunk.eq(command.chunk),
            self.tail_position.eq(self._first),
            self.tail_head_blocks.eq(geometry.head_blocks),
            self.lookup.sequence.eq(command.sequence),
            self.lookup.index.eq(page_index),
            base.kv_base.eq(self.kv_base),
            base.page.eq(self.lookup.page),
            base.page_bytes.eq(instruction.base),
            base.layer.eq(command.layer),
            base.layer_bytes.eq(instruction.stride),
        ]
        with m.FSM(name="writer") as fsm:
            m.d.comb += [
                collecting.eq(fsm.ongoing("Look Up") | fsm.ongoing("Check Page") | fsm.ongoing("Collect")),
                self.drained.eq(fsm.ongoing("Idle")),
            ]
            with m.State("Idle"):
                m.d.comb += self.i.ready.eq(~self.clear)
                m.d.sync += [command.eq(self.i.payload), taken.eq(0), located.eq(0), stopping.eq(0), error.eq(0)]
                with m.If(self.i.valid & ~self.clear):
                    m.next = "Look Up"
            with m.State("Look Up"):
                m.next = "Check Page"
                with m.If(self.clear):
                    m.next = "Idle"
            with m.State("Check Page"):
                m.d.comb += base.start.eq(1)
                m.next = "Collect"
                with m.If(~self.lookup.mapped):
                    m.d.sync += [
                        self.fault.status.eq(Status.PAGE_UNMAPPED),
                        self.fault.address.eq(command.position),
                        self.fault_valid.eq(~self.clear),
                    ]
                with m.If(~self.lookup.mapped | self.clear):
                    m.next = "Idle"
            with m.State("Collect"):
                m.d.sync += [
                    self._kind.eq(Kind.EXPONENTS),
                    self._block.eq(0),
                    self._head.eq(0),
                    self._head_block.eq(0),
                    self._head_address.eq(base.o),
                ]
                with m.If(base.done):
                    m.d.sync += located.eq(1)
                with m.If(located & (taken == wanted)):
                    m.next = "Segment"
                with m.If(self.clear):
                    m.next = "Idle"
            self._segments(m, bursts, stopping | error)
            with m.State("Drain"):
                with m.If(~bursts.o.valid):
                    m.d.sync += [
                        self.fault_valid.eq(error & ~stopping & ~self.clear),
                        self.append_complete.eq(~error & ~stopping & ~self.clear),
                    ]
                    m.next = "Idle"
        with m.If(self.clear):
            m.d.sync += stopping.eq(1)

    def _segments(self, m: Module, bursts: Queue, stop: Value) -> None:
        """States that walk heads and segments and cut them into bursts."""
        geometry, shift = self._geometry, self.beat_bits
        blocks = geometry.head_blocks
        first_key, end_key = Signal(14, name="first_key"), Signal(14, name="end_key")
        exponents = Signal(12, name="exponent_bytes")
        m.d.comb += [
            exponents.eq(exponent_bytes(blocks, self.bus_bytes)),
            first_key.eq((self._block << 10) | (self._first << 5)),
            end_key.eq((self._block << 10) + (self._end << 5) + (self.bus_bytes - 1)),
        ]
        left, limit, length = Signal(13, name="left"), Signal(9, name="limit"), Signal(9, name="length")
        address_taken, data_sent = Signal(name="address_taken"), Signal(name="data_sent")
        with m.State("Segment"):
            m.d.sync += [
                self._offset.eq(0),
                self._segment_end.eq((blocks << 10) >> shift),
                self._address.eq(self._head_address + exponents + (blocks << 10)),
            ]
            with m.If(self._kind == Kind.EXPONENTS):
                m.d.sync += [
                    self._segment_end.eq(exponents >> shift),
                    self._address.eq(self._head_address),
                ]
            with m.If(self._kind == Kind.KEYS):
                m.d.sync += [
                    self._offset.eq(first_key >> shift),
                    self._segment_end.eq(end_key >> shift),
                    self._address.eq(self._head_address + exponents + ((first_key >> shift) << shift)),
                ]
            m.next = "Measure"
        with m.State("Measure"):
            boundary = Signal(10)
            m.d.comb += boundary.eq((_BOUNDARY >> shift) - self._address[shift : bits_for(_BOUNDARY)])
            m.d.sync += [
                left.eq(self._segment_end - self._offset),
                limit.eq(Mux(boundary < self._longest, boundary, self._longest)),
            ]
            m.next = "Burst"
        with m.State("Burst"):
            m.d.comb += length.eq(Mux(left < limit, left, limit))
            m.d.sync += [self.axi.awaddr.eq(self._address), self.axi.awlen.eq(length - 1), self._burst_left.eq(length)]
            with m.If(stop):
                m.next = "Drain"
            with m.Elif(left != 0):
                m.next = "Address"
            with m.Else():
                self._next_segment(m)
        with m.State("Address"):
            m.d.sync += [address_taken.eq(0), data_sent.eq(0)]
            with m.If(bursts.i.ready):
                m.next = "Transfer"
        with m.State("Transfer"):
            # Address and data are offered together: neither may wait for the other (AXI4, A3.3.1).
            m.d.comb += [
                self._sending.eq(1),
                self.axi.awvalid.eq(~address_taken),
                bursts.i.valid.eq(self.axi.awvalid & self.axi.awready),
                bursts.i.payload.eq(self.axi.awaddr),
            ]
            with m.If(self.axi.awready):
                m.d.sync += address_taken.eq(1)
            with m.If(self._sent):
                m.d.sync += data_sent.eq(1)
            with m.If((address_taken | self.axi.awready) & (data_sent | self._sent)):
                m.d.sync += self._address.eq(self._address + ((self.axi.awlen + 1) << shift))
                m.next = "Measure"
        m.d.comb += [
            self.axi.awsize.eq(shift),
            self.axi.awburst.eq(BURST_INCR),
        ]

    def _next_segment(self, m: Module) -> None:
        blocks = self._geometry.head_blocks
        m.next = "Segment"
        with m.Switch(self._kind):
            with m.Case(Kind.EXPONENTS):
                m.d.sync += self._kind.eq(Kind.KEYS)
            with m.Case(Kind.KEYS):
                m.d.sync += self._block.eq(self._block + 1)
                with m.If(self._block + 1 == blocks):
                    m.d.sync += [self._block.eq(0), self._kind.eq(Kind.VALUES)]
            with m.Default():
                m.d.sync += [
                    self._kind.eq(Kind.EXPONENTS),
                    self._head.eq(self._head + 1),
                    self._head_block.eq(self._head_block + blocks),
                    self._head_address.eq(self._head_address + exponent_bytes(blocks, self.bus_bytes) + (blocks << 11)),
                ]
                with m.If(self._head + 1 == self._geometry.kv_heads):
                    m.next = "Drain"

    def _beats(self, m: Module) -> None:
        """Reads the tail buffer a cycle ahead of the beat; what was read stays until the beat is taken."""
        issue, here, leave = (Signal(name=name) for name in ("issue", "here", "leave"))
        last = Signal()
        strobe = Signal(self.bus_bytes)
        ready = Signal()
        m.d.comb += [
            ready.eq(self._sending & (self._burst_left != 0) & (~here | leave)),
            self.axi.wvalid.eq(here),
            self.axi.wstrb.eq(strobe),
            self.axi.wlast.eq(last),
            leave.eq(here & self.axi.wready),
            self._sent.eq(leave & last),
        ]
        self._read(m, ready, issue)
        with m.If(issue):
            m.d.sync += [
                self._offset.eq(self._offset + 1),
                self._burst_left.eq(self._burst_left - 1),
                last.eq(self._burst_left == 1),
                strobe.eq(self._strobe(m)),
            ]
        m.d.sync += here.eq(issue | (here & ~leave))
        m.d.sync += self.bytes.eq(Mux(leave, _ones(list(strobe)), 0))

    def _read(self, m: Module, ready: Signal, issue: Signal) -> None:
        """Addresses of the tail buffer's ports for the beat at `_offset`, and the beat a cycle later."""
        word_bytes = self.interfaces.channels * BLOCK
        beats = word_bytes // self.bus_bytes
        value = self._kind == Kind.VALUES
        exponents = self._kind == Kind.EXPONENTS
        word = Signal(12)
        first_word = Cat(C(0, bits_for(self.tiles)), self._head_block)
        m.d.comb += [
            word.eq(first_word + (self._offset >> bits_for(beats))),
            self.tail_words.address.eq(Cat(word[: len(self.tail_words.address) - 1], value)),
            self.tail_words.en.eq(issue & ~exponents),
        ]
        part = Signal(max(1, bits_for(beats)))
        chosen = Signal()
        with m.If(issue):
            m.d.sync += [part.eq(self._offset[: bits_for(beats)]), chosen.eq(exponents)]
        elements = pick(m, parts(self.tail_words.data, self.bus_bytes * 8), part, name="elements")

        # Block 0 to KB-1 are K's, KB to 2 KB-1 V's. A wide beat holds two or four, read one after the other.
        wide = self.bus_bytes > BLOCK
        in_beat = max(1, self.bus_bytes // BLOCK)
        turn = Signal(max(1, bits_for(in_beat)), name="turn")
        block, earlier = Signal(6, name="block"), Signal(max(1, in_beat - 1) * BLOCK * 8, name="earlier")
        own, first_value = Signal(12, name="own"), Signal(12, name="first_value")
        of_value = Signal()
        # A head's values follow its keys: what takes a subtraction is ready long before the head's first beat.
        m.d.sync += first_value.eq(self._head_block - self._geometry.head_blocks)
        m.d.comb += [
            block.eq(Cat(turn, self._offset) if wide else self._offset >> bits_for(BLOCK // self.bus_bytes)),
            of_value.eq(block >= self._geometry.head_blocks),
            own.eq(block + Mux(of_value, first_value, self._head_block)),
            self.tail_exponents.address.eq(Cat(own[: len(self.tail_exponents.address) - 1], of_value)),
        ]
        if wide:
            more = (ready & exponents) | (turn != 0)
            m.d.comb += [
                issue.eq((ready & ~exponents) | (turn == in_beat - 1)),
                self.tail_exponents.en.eq(more),
                self.axi.wdata.eq(Mux(chosen, Cat(earlier, self.tail_exponents.data), elements)),
            ]
            with m.If(more):
                m.d.sync += turn.eq(turn + 1)
            with m.If(turn != 0):
                m.d.sync += earlier.eq(Cat(earlier, self.tail_exponents.data)[BLOCK * 8 :])
        else:
            slice_of_block = Signal(max(1, bits_for(BLOCK // self.bus_bytes)))
            with m.If(issue):
                m.d.sync += slice_of_block.eq(self._offset[: bits_for(BLOCK // self.bus_bytes)])
            own_exponents = pick(
                m, parts(self.tail_exponents.data, self.bus_bytes * 8), slice_of_block, name="own_exponents"
            )
            m.d.comb += [
                issue.eq(ready),
                self.tail_exponents.en.eq(ready & exponents),
                self.axi.wdata.eq(Mux(chosen, own_exponents, elements)),
            ]

    def _strobe(self, m: Module) -> Value:
        """Bytes of the beat at `_offset` that belong to positions of the chunk."""
        bus = self.bus_bytes
        positions = Signal(BLOCK, name="positions")
        m.d.comb += [
            positions[p].eq((p >= self._first if p < BLOCK - 1 else 1) & (self._end > p)) for p in range(BLOCK)
        ]
        if bus <= BLOCK:
            index = self._offset[: bits_for(BLOCK // bus)]
            byte_wise = pick(m, parts(positions, bus), index, name="byte_strobe")
            key_wise = C((1 << bus) - 1, bus)
        else:
            byte_wise = positions.replicate(bus // BLOCK)
            pair = pick(m, parts(positions, bus // BLOCK), self._offset[: bits_for(BLOCK * BLOCK // bus)], name="pair")
            key_wise = Cat(pair[i].replicate(BLOCK) for i in range(bus // BLOCK))
        strobe = Signal(bus, name="next_strobe")
        m.d.comb += strobe.eq(Mux(self._kind == Kind.KEYS, key_wise, byte_wise))
        if bus > 2 * BLOCK:
            # The last exponents may fill half a beat.
            with m.If((self._kind == Kind.EXPONENTS) & ((self._offset << 1) + 1 == self._geometry.head_blocks)):
                m.d.comb += strobe[bus // 2 :].eq(0)
        return strobe


def _ones(bits: list[Value]) -> Value:
    """How many bits are set: a balanced tree."""
    while len(bits) > 1:
        bits = [a + b for a, b in zip(bits[::2], bits[1::2], strict=True)]
    return bits[0]
