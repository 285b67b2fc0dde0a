"""The second program counter: walks the program ahead of the sequencer and asks for what its instructions take."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.config import AcceleratorConfig, derive
from ...arch.isa import Flag, Opcode, Status
from ...arch.layout import Stripe
from ..control.passes import JOB, PASS, PassGenerator
from ..interfaces import FAULT, GEOMETRY_LAYOUT, INSTRUCTION, flag, lookup_port, read_port
from .pages import PageWalk
from .regions import STREAM_REGION, Kind


class Prefetcher(wiring.Component):
    """Ask for the regions of a job in program order.

    About 14 cycles per instruction with a stream operand, 5 for others: regions are asked for far ahead of their use,
    so that the bus does not notice.

    Members:
        i : In(stream(JOB)). program : Out(read_port). lookup : Out(lookup_port).
        image_base, kv_base : In(48). appended : In(16), APPENDs of the job whose bytes are in memory.
        o : Out(stream(STREAM_REGION)).
        fault_valid : Out(1), fault : Out(FAULT): PAGE_UNMAPPED; the prefetcher then stands still.

    Attributes:
        walking, waiting: Signal, something is left to be asked for, but APPENDs have to be in memory; for the trace.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.bus_shift = (derive(config).bus_bytes - 1).bit_length()
        self.walking, self.waiting = Signal(name="walking"), Signal(name="waiting")
        super().__init__(
            {
                "i": In(stream.Signature(JOB)),
                "program": Out(read_port(range(config.control.program_words), INSTRUCTION)),
                "lookup": Out(lookup_port()),
                "image_base": In(48),
                "kv_base": In(48),
                "appended": In(16),
                "o": Out(stream.Signature(STREAM_REGION)),
                "fault_valid": Out(1),
                "fault": Out(FAULT),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        vector = self.config.vector
        m.submodules.passes = passes = PassGenerator(chunk=vector.chunk, chunks=vector.chunks)
        m.submodules.pages = pages = PageWalk(self.config)
        instruction = Signal(INSTRUCTION)
        now = Signal(PASS)
        pc = Signal(8)
        layer = Signal(12)
        layers = Signal(12)
        # APPENDs walked over, those of the passes before, and those up to this layer's of the first chunk.
        appends = Signal(16)
        needed_first = Signal(16)
        needed_second = Signal(16)
        missing = Signal(16)
        enough = Signal()
        second = Signal()
        skipped = Signal()
        sequence = Signal(6)
        request = Signal(STREAM_REGION)
        offset, tiles, loops = self._products(m, instruction, layer, layers)

        m.d.comb += [
            passes.i.payload.eq(self.i.payload),
            self.program.en.eq(1),
            self.program.address.eq(pc),
            self.o.payload.eq(request),
            self.lookup.sequence.eq(sequence),
            self.lookup.index.eq(pages.index),
            pages.page.eq(self.lookup.page),
            pages.mapped.eq(self.lookup.mapped),
            pages.i.payload.geometry.eq(GEOMETRY_LAYOUT(instruction.aux[: GEOMETRY_LAYOUT.size])),
            second.eq(flag(instruction, Flag.SECOND)),
            skipped.eq((flag(instruction, Flag.HEAD) & ~now.head) | (second & (now.second == 0))),
            missing.eq(Mux(second, needed_second, needed_first) - self.appended),
            pages.i.payload.rows.eq(Mux(second, now.second, now.rows)),
            pages.i.payload.position.eq(now.position + Mux(second, now.rows, 0)),
            pages.i.payload.row_groups.eq(instruction.k),
            pages.i.payload.page_bytes.eq(instruction.base),
            pages.i.payload.layer_offset.eq(offset),
            pages.kv_base.eq(self.kv_base),
            self.fault_valid.eq(pages.fault),
            self.fault.status.eq(Status.PAGE_UNMAPPED),
            # The chunk's own position if its page is missing: what the page writer would say of the same page.
            self.fault.address.eq(
                Mux(pages.index == pages.i.payload.position >> 5, pages.i.payload.position, pages.index << 5)
            ),
        ]
        # Late by a cycle: what is needed does not change behind Decode, and what was appended only grows.
        m.d.sync += enough.eq((missing == 0) | missing[-1])
        with m.FSM() as fsm:
            m.d.comb += [
                self.walking.eq(~fsm.ongoing("Idle")),
                self.waiting.eq(fsm.ongoing("Wait For Appends")),
            ]
            with m.State("Idle"):
                m.d.comb += self.i.ready.eq(passes.i.ready)
                m.d.comb += passes.i.valid.eq(self.i.valid)
                m.d.sync += [sequence.eq(self.i.payload.sequence), appends.eq(0)]
                with m.If(self.i.valid & passes.i.ready):
                    m.next = "Next Pass"
            with m.State("Next Pass"):
                m.d.comb += passes.o.ready.eq(1)
                m.d.sync += [pc.eq(0), layer.eq(0), needed_first.eq(appends)]
                with m.If(passes.o.valid):
                    m.d.sync += now.eq(passes.o.payload)
                    m.next = "Fetch"
            with m.State("Fetch"):
                m.next = "Decode"
            with m.State("Decode"):
                m.d.sync += [instruction.eq(self.program.data), pc.eq(pc + 1)]
                m.next = "Execute"
            with m.State("Execute"):
                m.next = "Fetch"
                with m.If(skipped):
                    m.next = "Fetch"
                with m.Else(), m.Switch(instruction.opcode):
                    with m.Case(Opcode.LOOP):
                        m.d.sync += [layer.eq(instruction.k), layers.eq(instruction.n)]
                    with m.Case(Opcode.NEXT):
                        # After its loop, an instruction is in layer 0 again.
                        m.d.sync += layer.eq(0)
                        with m.If(loops):
                            m.d.sync += [pc.eq(instruction.src), layer.eq(layer + 1)]
                    with m.Case(Opcode.END):
                        m.next = "Next Pass"
                        with m.If(now.final):
                            m.next = "Idle"
                    with m.Case(Opcode.LOAD, Opcode.ROPE_TABLE, Opcode.MATMUL):
                        m.next = "Multiply"
                    with m.Case(Opcode.APPEND):
                        m.d.sync += appends.eq(appends + 1)
                        with m.If(~second):
                            m.d.sync += needed_second.eq(appends + 1)
                    with m.Case(Opcode.ATTEND):
                        m.next = "Wait For Appends"
            with m.State("Multiply"):
                m.next = "Join"
            with m.State("Join"):
                m.next = "Address"
            with m.State("Address"):
                m.d.sync += request.address.eq(self.image_base + (instruction.base + offset)[:40])
                m.d.sync += request.format.eq(instruction.format)
                self._measure(m, instruction, request, tiles)
                m.next = "Send"
            with m.State("Send"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "Fetch"
            with m.State("Wait For Appends"):
                # What earlier passes appended, and the first chunk in this layer, must be in the pages.
                with m.If(enough):
                    m.next = "Start Pages"
            with m.State("Start Pages"):
                m.d.comb += pages.i.valid.eq(1)
                m.next = "Pages"
            with m.State("Pages"):
                m.d.comb += [
                    self.o.valid.eq(pages.o.valid),
                    self.o.payload.eq(pages.o.payload),
                    pages.o.ready.eq(self.o.ready),
                ]
                with m.If(pages.done):
                    m.next = "Fetch"
        return m

    def _products(self, m: Module, instruction: Signal, layer: Signal, layers: Signal) -> tuple[Signal, Signal, Signal]:
        """Of the instruction in its layer: the offset of its operand, a cycle after Execute; the tiles of a MATMUL, two
        cycles after it; and whether its loop has another layer, in Execute. Multipliers stand between registers."""
        channels = self.config.array.channels
        groups = Signal(20)
        of_stride = Signal(data.ArrayLayout(28, 2))
        of_groups = Signal(data.ArrayLayout(22, 2))
        offset = Signal(44)
        tiles = Signal(32)
        loops = Signal()
        m.d.sync += [
            loops.eq(layer + 1 < layers),
            groups.eq((instruction.n + channels - 1) >> (channels - 1).bit_length()),
            *(of_stride[half].eq(layer * instruction.stride.word_select(half, 16)) for half in range(2)),
            *(of_groups[half].eq(groups.word_select(half, 10) * instruction.k) for half in range(2)),
            offset.eq(of_stride[0] + (of_stride[1] << 16)),
            tiles.eq(of_groups[0] + (of_groups[1] << 10)),
        ]
        return offset, tiles, loops

    def _measure(self, m: Module, instruction: Signal, request: Signal, tiles: Signal) -> None:
        """Beats, kind and units of LOAD, ROPE_TABLE and MATMUL operands (arch.layout)."""
        up = (1 << self.bus_shift) - 1
        with m.Switch(instruction.opcode):
            with m.Case(Opcode.MATMUL):
                m.d.sync += [request.kind.eq(Kind.TILES), request.units.eq(tiles)]
                with m.Switch(instruction.format):
                    for weight_format in derive(self.config).formats:
                        stripe = Stripe.of(self.config, weight_format)
                        stripes = (tiles + stripe.tiles - 1) >> (stripe.tiles - 1).bit_length()
                        beats = stripes + (tiles << (stripe.tile_beats - 1).bit_length())
                        with m.Case(weight_format.code):
                            m.d.sync += request.beats.eq(beats)
            for opcode, element_shift in ((Opcode.LOAD, 2), (Opcode.ROPE_TABLE, 3)):
                with m.Case(opcode):
                    beats = ((instruction.n << element_shift) + up) >> self.bus_shift
                    m.d.sync += [request.kind.eq(Kind.BEATS), request.beats.eq(beats), request.units.eq(beats)]
