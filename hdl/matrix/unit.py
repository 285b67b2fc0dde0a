"""The matrix unit: everything around the engine."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...arch.isa import Flag
from ..common import SkidBuffer
from ..interfaces import COMMAND, Interfaces, ResultKind, flag, read_port, write_port
from .engine import Engine
from .sequencer import MatmulSequencer
from .top_k import CANDIDATE, TopK
from .unpacker import Unpacker
from .writer import ResultWriter


class MatrixUnit(wiring.Component):
    """Executes MATMUL, and lends its engine to the attention unit while none runs.

    A MATMUL is taken while the results of the one before are still written; two are inside at most, and done in their
    order. Its results are written right behind those if the writer finds both `alike`, otherwise when these are. The
    first micro-op issues three cycles after the command, if the tile is there; `done` is the writer's. With
    LAST_ROW or TOP_K only row 0 is computed. Takes exactly the tiles of its instruction from the stream. Otherwise
    micro-ops, tiles and results are the attention unit's.

    Parameters
    ----------
    interfaces : Interfaces
    row_domains : sequence of str or None
        Clock domain of what is there once per row of the engine; None is ``sync``.

    Members
    -------
    i : In(stream.Signature(COMMAND)), MATMUL only
    done : Out(1)
    busy : Out(1), a MATMUL is running
    macs : Out, useful multiply-accumulates of the micro-op that MATMUL starts in this cycle, for the counters
    overflow : Out(1), a result was saturated
    clear : In(1)
    format : Out(4), of the tiles wanted at `i_raw`
    i_raw : In(stream.Signature(raw_tile)), the stream unit's
    i_micro_op, i_tile, o_result : the attention unit's use of the engine
    am : Out(read_port), R activation words; am_chunk : Out(1), whose
    probabilities : Out(read_port), the same
    pm, spm_read, spm_write : bias, residual, results; spm_chunk : Out(1), whose
    candidates : Out, the top-k unit's, best first
    candidate_count : Out, how many of them count

    Attributes
    ----------
    engine : Engine
    rows : Signal, of activations that the MATMUL has whose micro-ops issue
    drains : Signal, all micro-ops of the MATMULs inside have issued; for the trace
    """

    def __init__(self, interfaces: Interfaces, *, row_domains: Sequence[str] | None = None) -> None:
        self.interfaces = interfaces
        self.engine = Engine(interfaces, row_domains=row_domains)
        self.drains = Signal()
        self.rows = Signal(COMMAND["rows"].shape)
        top_k = interfaces.config.control.top_k
        words = data.ArrayLayout(interfaces.am_word, interfaces.rows)
        vector = interfaces.vector
        super().__init__(
            {
                "i": In(stream.Signature(COMMAND)),
                "done": Out(1),
                "busy": Out(1),
                "macs": Out(range(interfaces.derived.macs + 1)),
                "overflow": Out(1),
                "clear": In(1),
                "format": Out(4),
                "i_raw": In(stream.Signature(interfaces.raw_tile)),
                "i_micro_op": In(stream.Signature(interfaces.micro_op)),
                "i_tile": In(stream.Signature(interfaces.tile)),
                "o_result": Out(stream.Signature(interfaces.result)),
                "am": Out(read_port(interfaces.am_address, words)),
                "am_chunk": Out(1),
                "spm_chunk": Out(1),
                "probabilities": Out(read_port(unsigned(interfaces.probability_address), words)),
                "pm": Out(read_port(interfaces.pm_address, vector)),
                "spm_read": Out(read_port(interfaces.spm_address, vector)),
                "spm_write": Out(write_port(interfaces.spm_address, vector, interfaces.lanes)),
                "candidates": Out(data.ArrayLayout(CANDIDATE, top_k)),
                "candidate_count": Out(range(top_k + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unpacker = unpacker = Unpacker(self.interfaces)
        # What the engine answers is late in a cycle, and who makes tiles is far away.
        m.submodules.lent = lent = SkidBuffer(self.interfaces.tile)
        connect(m, flipped(self.i_tile), lent.i)
        m.submodules.engine = engine = self.engine
        m.submodules.sequencer = sequencer = MatmulSequencer(self.interfaces)
        m.submodules.writer = writer = ResultWriter(self.interfaces)
        m.submodules.top_k = top_k = TopK(
            depth=self.interfaces.config.control.top_k,
            at_once=writer.at_once,
            registers=self.interfaces.derived.pipeline.insert,
        )
        for name in ("am", "probabilities"):
            connect(m, flipped(getattr(self, name)), getattr(engine, name))
        for name in ("pm", "spm_read", "spm_write"):
            connect(m, flipped(getattr(self, name)), getattr(writer, name))
        connect(m, writer.o_candidates, top_k.i)
        m.d.comb += [block.clear.eq(self.clear) for block in (unpacker, lent, engine, sequencer, writer)]
        m.d.comb += [
            self.overflow.eq(engine.overflow | writer.overflow),
            self.macs.eq(sequencer.macs),
            self.candidates.eq(top_k.candidates),
            self.candidate_count.eq(top_k.count),
        ]

        # No result of the writer's command is still to come.
        self._between = Signal(init=1, name="between")
        owed = Signal(3)
        command = self._commands(m, sequencer, writer, top_k, owed)
        m.d.comb += [
            self.format.eq(command.instruction.format),
            unpacker.format.eq(self.format),
            self.am_chunk.eq(engine.am_chunk),
        ]
        self._feed(m, unpacker, lent, engine, sequencer, owed)
        self._results(m, engine, writer)
        return m

    def _commands(
        self, m: Module, sequencer: MatmulSequencer, writer: ResultWriter, top_k: TopK, owed: Signal
    ) -> data.View:
        """The command whose micro-ops issue, and behind it the one whose results are written.

        The next command is taken when the last micro-op and tile of one are on their way, and the writer has that one.
        The writer has one and then another when it has taken the last result of the first, or has written it.
        """
        issuing = Signal(COMMAND, reset_less=True)
        writing = Signal(COMMAND, reset_less=True)
        running = Signal()
        handed = Signal(init=1)
        unwritten = Signal(2)
        start = Signal()
        accept = Signal()
        hand = Signal()
        m.d.comb += [
            self.i.ready.eq(~running & handed & (owed == 0) & ~self.clear),
            accept.eq(self.i.valid & self.i.ready),
            hand.eq(~handed & ((unwritten == writer.done) | (self._between & writer.alike & (unwritten == 1)))),
            self.done.eq(writer.done),
            self.drains.eq(self.busy & ~running),
            self.spm_chunk.eq(writing.chunk),
            top_k.restart.eq(writer.start & flag(writing.instruction, Flag.TOP_K)),
            sequencer.start.eq(start),
            sequencer.command.eq(issuing),
            self.rows.eq(_rows(issuing)),
            sequencer.rows.eq(self.rows),
            writer.command.eq(writing),
            writer.coming.eq(issuing),
            writer.rows.eq(_rows(writing)),
        ]
        m.d.sync += [start.eq(accept), writer.start.eq(hand)]
        # A register, for it decides whose tiles and micro-ops the engine gets.
        goes_on = (running & ~sequencer.ends) | ~handed | (unwritten != writer.done)
        m.d.sync += self.busy.eq(~self.clear & (accept | goes_on))
        with m.If(accept):
            m.d.sync += [issuing.eq(self.i.payload), running.eq(1), handed.eq(0)]
        with m.If(sequencer.ends):
            m.d.sync += running.eq(0)
        m.d.sync += unwritten.eq(unwritten + hand - writer.done)
        with m.If(hand):
            m.d.sync += [writing.eq(issuing), handed.eq(1)]
        with m.If(self.clear):
            m.d.sync += [running.eq(0), handed.eq(1), unwritten.eq(0)]
        return issuing

    def _feed(
        self,
        m: Module,
        unpacker: Unpacker,
        lent: SkidBuffer,
        engine: Engine,
        sequencer: MatmulSequencer,
        owed: Signal,
    ) -> None:
        """Micro-ops and tiles: the sequencer's and the stream's during MATMUL, otherwise the attention unit's.

        The unpacker runs ahead of the engine, but never beyond the tiles of this instruction: it may take one for every
        micro-op that wants one.
        """
        wanted = Signal()
        taken = Signal()
        allowed = Signal()
        m.d.comb += [
            wanted.eq(sequencer.o.valid & sequencer.o.ready & sequencer.o.payload.take_tile),
            allowed.eq(wanted | (owed != 0)),
            taken.eq(self.i_raw.valid & self.i_raw.ready),
            self.i_raw.ready.eq(unpacker.i.ready & allowed),
            unpacker.i.valid.eq(self.i_raw.valid & allowed),
            unpacker.i.payload.eq(self.i_raw.payload),
        ]
        m.d.sync += owed.eq(Mux(self.clear, 0, owed + wanted - taken))
        with m.If(self.busy):
            m.d.comb += [
                engine.i.valid.eq(sequencer.o.valid),
                engine.i.payload.eq(sequencer.o.payload),
                sequencer.o.ready.eq(engine.i.ready),
                engine.i_tile.valid.eq(unpacker.o.valid),
                engine.i_tile.payload.eq(unpacker.o.payload),
                unpacker.o.ready.eq(engine.i_tile.ready),
            ]
        with m.Else():
            m.d.comb += [
                engine.i.valid.eq(self.i_micro_op.valid),
                engine.i.payload.eq(self.i_micro_op.payload),
                self.i_micro_op.ready.eq(engine.i.ready),
                engine.i_tile.valid.eq(lent.o.valid),
                engine.i_tile.payload.eq(lent.o.payload),
                lent.o.ready.eq(engine.i_tile.ready),
            ]

    def _results(self, m: Module, engine: Engine, writer: ResultWriter) -> None:
        """Results go to who asked for them; those of the next MATMUL wait until the writer has its command."""
        tag = engine.o.payload.tag
        matmul = tag.kind == ResultKind.MATMUL
        between = self._between
        with m.If(writer.i.valid & writer.i.ready & tag.end):
            m.d.sync += between.eq(1)
        with m.If(writer.start):
            m.d.sync += between.eq(0)
        with m.If(self.clear):
            m.d.sync += between.eq(1)
        m.d.comb += [
            writer.i.payload.eq(engine.o.payload),
            self.o_result.payload.eq(engine.o.payload),
            writer.i.valid.eq(engine.o.valid & matmul & ~between),
            self.o_result.valid.eq(engine.o.valid & ~matmul),
            engine.o.ready.eq(Mux(matmul, writer.i.ready & ~between, self.o_result.ready)),
        ]


def _rows(command: Any) -> Value:
    """Activation rows of a MATMUL."""
    return Mux(flag(command.instruction, Flag.LAST_ROW) | flag(command.instruction, Flag.TOP_K), 1, command.rows)
