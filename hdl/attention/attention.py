"""The attention unit: executes ATTEND."""

from typing import Any

from amaranth.hdl import Cat, Module, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...arch.formats import BLOCK
from ..cache.tail_buffer import tail_ports
from ..common import Queue, SkidBuffer, bits_for, block_ram
from ..interfaces import COMMAND, GEOMETRY_LAYOUT, Interfaces, ResultKind, read_port, write_port
from .merger import KvMerger
from .micro_ops import MicroOps
from .output import AttentionOutput
from .output_queue import OutputQueue
from .schedule import PageSchedule
from .shape import AttentionShape
from .softmax import Softmax

_QUEUED_SEGMENTS = 4


class AttentionUnit(wiring.Component):
    """Attention of a chunk's query rows over the pages of its sequence (docs/numerics.md, section 8).

    A schedule of K and V segments goes to three followers: the merger (stream and tail buffer to engine tiles), the
    micro-ops and the softmax (K only). Each runs at its own pace; a V segment's micro-ops wait for its page's softmax.
    The instruction's k is at most `AttentionShape.groups`, and k x head_blocks x 32 / C at most the accumulators.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    i : In(stream.Signature(COMMAND)), ATTEND; done : Out(1), pulse: all outputs are in the scratchpad
    settled : In(1), the chunk's keys and values are in the tail buffer; it stays so
    clear : In(1), back to idle
    i_payload, i_exponents : In(stream), from the stream unit
    tail_words, tail_exponents : Out(read_port), of the tail buffer
    o_tile : Out(stream.Signature(tile)), o : Out(stream.Signature(micro_op)), to the engine
    i_result : In(stream.Signature(result)), from the engine, kinds SCORE and OUTPUT
    probabilities : In(read_port), the probability memory: a word for each of the R banks
    spm : Out(write_port)
    waiting : Out(1), P x V waits for the softmax
    overflow : Out(1), a score was saturated

    Attributes
    ----------
    starved : Signal, a tile is missing since the stream has not delivered; for the trace, like the next
    scores, pages_in, pages_out : Signal, the softmax takes scores, has all scores of a page, is done with a page
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.shape = shape = AttentionShape(interfaces)
        if shape.probability_bits > interfaces.probability_address:
            raise ValueError(
                f"AttentionUnit: {1 << shape.probability_bits} words of probabilities do not fit "
                f"{interfaces.probability_address} address bits"
            )
        self.starved, self.scores, self.pages_in, self.pages_out = (
            Signal(name=name) for name in ("starved", "scores", "pages_in", "pages_out")
        )
        words = data.ArrayLayout(interfaces.am_word, shape.rows)
        tail = tail_ports(interfaces)
        super().__init__(
            {
                "i": In(stream.Signature(COMMAND)),
                "done": Out(1),
                "settled": In(1),
                "clear": In(1),
                "i_payload": In(stream.Signature(shape.channels * BLOCK * 8)),
                "i_exponents": In(stream.Signature(interfaces.bus_bytes * 8)),
                "tail_words": Out(tail["words"]),
                "tail_exponents": Out(tail["exponents"]),
                "o_tile": Out(stream.Signature(interfaces.tile)),
                "o": Out(stream.Signature(interfaces.micro_op)),
                "i_result": In(stream.Signature(interfaces.result)),
                "probabilities": In(read_port(interfaces.probability_address, words)),
                "spm": Out(write_port(interfaces.spm_address, interfaces.vector, shape.lanes)),
                "waiting": Out(1),
                "overflow": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        # Everything inside goes idle with `clear`; what the memories hold is never read before it is written again.
        outer, m = Module(), Module()
        m.submodules.schedule = schedule = PageSchedule(interfaces=self.interfaces)
        m.submodules.merger = merger = KvMerger(interfaces=self.interfaces)
        m.submodules.micro_ops = micro_ops = MicroOps(interfaces=self.interfaces)
        m.submodules.softmax = softmax = Softmax(interfaces=self.interfaces)
        m.submodules.output = output = AttentionOutput(interfaces=self.interfaces)
        m.submodules.outputs = outputs = OutputQueue(interfaces=self.interfaces)
        connect(m, outputs.reciprocals, softmax.reciprocals)
        connect(m, outputs.o, output.i)
        connect(m, output.spm, flipped(self.spm))
        self._control(m, schedule, merger, micro_ops, softmax, output)
        self._connect(m, schedule, merger, micro_ops, softmax, outputs)
        self._probability_memory(m, softmax)
        outer.submodules.unit = ResetInserter(self.clear)(m)
        return outer

    def _control(self, m: Module, *units: Any) -> None:
        """Latches the command and derives what takes a multiplier."""
        schedule, merger, micro_ops, softmax, output = units
        command = Signal(COMMAND)
        instruction = command.instruction
        geometry = GEOMETRY_LAYOUT(instruction.aux[: GEOMETRY_LAYOUT.size])
        sub_heads_log2 = geometry.sub_heads_log2[:2]
        queries = Signal(14)
        groups = Signal(17)
        last_row = Signal(16)
        group_units = Signal(20)
        pass_words = Signal(20)
        page_queries = Signal(13)
        launch = Signal()
        with m.FSM(name="control"):
            with m.State("Idle"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += command.eq(self.i.payload)
                with m.If(self.i.valid):
                    m.next = "Multiply"
            with m.State("Multiply"):
                m.d.sync += [
                    queries.eq(command.rows * geometry.group),
                    group_units.eq(geometry.group * (geometry.head_dim >> bits_for(output.width))),
                    pass_words.eq(instruction.k * geometry.head_blocks),
                    page_queries.eq(command.position[: bits_for(BLOCK)] * geometry.group),
                ]
                m.next = "Round"
            with m.State("Round"):
                shifted = queries << sub_heads_log2
                m.d.sync += [
                    groups.eq((shifted + self.shape.rows - 1) >> self.shape.row_bits),
                    last_row.eq(shifted - 1),
                ]
                m.next = "Begin"
            with m.State("Begin"):
                m.d.comb += launch.eq(1)
                m.next = "Busy"
            with m.State("Busy"):
                m.d.comb += self.done.eq(output.done)
                with m.If(output.done):
                    m.next = "Idle"
        m.d.comb += [
            schedule.heads.eq(geometry.kv_heads),
            schedule.last_page.eq(command.position >> bits_for(BLOCK)),
            schedule.groups.eq(groups),
            schedule.groups_per_pass.eq(instruction.k),
            schedule.address.eq(instruction.src),
            schedule.head_words.eq(instruction.n),
            schedule.pass_words.eq(pass_words),
            softmax.scale.eq(instruction.imm),
            output.pitch.eq(instruction.pitch),
            output.dst.eq(instruction.dst),
            output.heads.eq(geometry.kv_heads),
            output.head_dim.eq(geometry.head_dim),
            output.group_units.eq(group_units),
        ]
        m.d.comb += [unit.launch.eq(launch) for unit in (schedule, softmax, output)]
        m.d.comb += [
            micro_ops.chunk.eq(command.chunk),
            micro_ops.tile_rows.eq(geometry.group << (sub_heads_log2 + bits_for(self.shape.channels))),
            micro_ops.seen_rows.eq(page_queries << sub_heads_log2),
        ]
        m.d.comb += [unit.head_blocks.eq(geometry.head_blocks) for unit in (schedule, merger, micro_ops, softmax)]
        m.d.comb += merger.rows.eq(command.rows)
        m.d.comb += [unit.position.eq(command.position) for unit in (merger, softmax)]
        for unit in (softmax, output):
            m.d.comb += [
                unit.last_row.eq(last_row),
                unit.group.eq(geometry.group),
                unit.sub_heads_log2.eq(geometry.sub_heads_log2),
            ]

    def _connect(self, m: Module, *units: Any) -> None:
        schedule, merger, micro_ops, softmax, outputs = units
        # Whether all followers have room is late in a cycle, and the schedule's cursors are wide.
        m.submodules.scheduled = scheduled = SkidBuffer(self.shape.page_job)
        connect(m, schedule.o, scheduled.i)
        job = scheduled.o
        queues = []
        for name, follower in (("merger", merger.i), ("micro_ops", micro_ops.i), ("softmax", softmax.i_pages)):
            m.submodules[f"{name}_segments"] = queue = Queue(shape=self.shape.page_job, depth=_QUEUED_SEGMENTS)
            # What a queue holds is late in the cycle, and the followers go far with it.
            m.submodules[f"{name}_segment"] = segment = SkidBuffer(self.shape.page_job)
            connect(m, queue.o, segment.i)
            connect(m, segment.o, follower)
            queues.append(queue)
        m.d.comb += job.ready.eq(Cat(queue.i.ready for queue in queues).all())
        for queue, wanted in zip(queues, (1, 1, ~job.payload.value), strict=True):
            m.d.comb += [queue.i.payload.eq(job.payload), queue.i.valid.eq(job.valid & job.ready & wanted)]

        connect(m, flipped(self.i_payload), merger.i_payload)
        connect(m, flipped(self.i_exponents), merger.i_exponents)
        connect(m, merger.tail_words, flipped(self.tail_words))
        connect(m, merger.tail_exponents, flipped(self.tail_exponents))
        connect(m, merger.o, flipped(self.o_tile))
        connect(m, micro_ops.o, flipped(self.o))
        connect(m, softmax.exponents, merger.exponents)
        is_score = self.i_result.payload.tag.kind == ResultKind.SCORE
        m.d.comb += [
            merger.settled.eq(self.settled),
            merger.page_done.eq(softmax.page_done),
            micro_ops.page_done.eq(softmax.page_done),
            self.waiting.eq(micro_ops.waiting),
            self.overflow.eq(softmax.overflow),
            self.starved.eq(merger.starved | (self.i_exponents.ready & ~self.i_exponents.valid)),
            self.scores.eq(softmax.i.valid),
            self.pages_in.eq(softmax.i_pages.valid & softmax.i_pages.ready),
            self.pages_out.eq(softmax.page_done),
            softmax.i.payload.eq(self.i_result.payload),
            softmax.i.valid.eq(self.i_result.valid & is_score),
            outputs.i.payload.eq(self.i_result.payload),
            outputs.i.valid.eq(self.i_result.valid & ~is_score),
            self.i_result.ready.eq((softmax.i.ready & is_score) | (outputs.i.ready & ~is_score)),
        ]

    def _probability_memory(self, m: Module, softmax: Softmax) -> None:
        """R banks, written by the softmax, read by the engine."""
        written = softmax.probabilities
        for row in range(self.shape.rows):
            bank = block_ram(shape=self.interfaces.am_word, depth=1 << self.shape.probability_bits)
            m.submodules[f"probabilities_{row}"] = bank
            write, read = bank.write_port(), bank.read_port()
            m.d.comb += [
                write.addr.eq(written.address),
                write.data.eq(written.data),
                write.en.eq(written.en & written.mask[row]),
                read.addr.eq(self.probabilities.address),
                read.en.eq(self.probabilities.en),
                self.probabilities.data[row].eq(read.data),
            ]
