"""The matrix unit: everything around the engine."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...arch.isa import Flag
from ..interfaces import COMMAND, Interfaces, ResultKind, read_port, write_port
from .engine import Engine
from .sequencer import MatmulSequencer, flag
from .top_k import CANDIDATE, TopK
from .unpacker import Unpacker
from .writer import ResultWriter


class MatrixUnit(wiring.Component):
    """Executes MATMUL, and lends its engine to the attention unit while none runs.

    MATMUL: the first micro-op issues three cycles after the command, if the tile is there; `done` follows the last
    write. With LAST_ROW or TOP_K only row 0 is computed. Takes exactly the tiles of its instruction from the stream.
    Otherwise micro-ops, tiles and results are the attention unit's.

    Parameters
    ----------
    interfaces : Interfaces

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
    am : Out(read_port), R activation words
    probabilities : Out(read_port), the same
    pm, spm_read, spm_write : bias, residual, results
    candidates : Out, the top-k unit's, best first
    candidate_count : Out, how many of them count
    """

    def __init__(self, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
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
        m.submodules.engine = engine = Engine(self.interfaces)
        m.submodules.sequencer = sequencer = MatmulSequencer(self.interfaces)
        m.submodules.writer = writer = ResultWriter(self.interfaces)
        m.submodules.top_k = top_k = TopK(depth=self.interfaces.config.control.top_k)
        for name in ("am", "probabilities"):
            connect(m, flipped(getattr(self, name)), getattr(engine, name))
        for name in ("pm", "spm_read", "spm_write"):
            connect(m, flipped(getattr(self, name)), getattr(writer, name))
        connect(m, writer.o_candidate, top_k.i)
        m.d.comb += [block.clear.eq(self.clear) for block in (unpacker, engine, sequencer, writer)]
        m.d.comb += [
            self.overflow.eq(engine.overflow | writer.overflow),
            self.macs.eq(sequencer.macs),
            self.candidates.eq(top_k.candidates),
            self.candidate_count.eq(top_k.count),
        ]

        command = self._command(m, sequencer, writer, top_k)
        m.d.comb += [self.format.eq(command.instruction.format), unpacker.format.eq(self.format)]
        self._feed(m, unpacker, engine, sequencer)
        self._results(m, engine, writer)
        return m

    def _command(self, m: Module, sequencer: MatmulSequencer, writer: ResultWriter, top_k: TopK) -> data.View:
        """Holds the command while it runs; starts the blocks one cycle after it came."""
        command = Signal(COMMAND, reset_less=True)
        start = Signal()
        rows = Signal(6)
        single = flag(command, Flag.LAST_ROW) | flag(command, Flag.TOP_K)
        m.d.comb += [
            self.i.ready.eq(~self.busy),
            rows.eq(Mux(single, 1, command.rows)),
            self.done.eq(writer.done),
            top_k.restart.eq(start & flag(command, Flag.TOP_K)),
        ]
        for block in (sequencer, writer):
            m.d.comb += [block.start.eq(start), block.command.eq(command), block.rows.eq(rows)]
        accept = Signal()
        m.d.comb += accept.eq(self.i.valid & self.i.ready & ~self.clear)
        m.d.sync += start.eq(accept)
        with m.If(accept):
            m.d.sync += [command.eq(self.i.payload), self.busy.eq(1)]
        with m.If(writer.done | self.clear):
            m.d.sync += self.busy.eq(0)
        return command

    def _feed(self, m: Module, unpacker: Unpacker, engine: Engine, sequencer: MatmulSequencer) -> None:
        """Micro-ops and tiles: the sequencer's and the stream's during MATMUL, otherwise the attention unit's.

        The unpacker runs ahead of the engine, but never beyond the tiles of this instruction: it may take one for every
        micro-op that wants one.
        """
        owed = Signal(3)
        wanted, taken, allowed = Signal(), Signal(), Signal()
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
                engine.i_tile.valid.eq(self.i_tile.valid),
                engine.i_tile.payload.eq(self.i_tile.payload),
                self.i_tile.ready.eq(engine.i_tile.ready),
            ]

    def _results(self, m: Module, engine: Engine, writer: ResultWriter) -> None:
        """Results go to who asked for them."""
        matmul = engine.o.payload.tag.kind == ResultKind.MATMUL
        m.d.comb += [
            writer.i.payload.eq(engine.o.payload),
            self.o_result.payload.eq(engine.o.payload),
            writer.i.valid.eq(engine.o.valid & matmul),
            self.o_result.valid.eq(engine.o.valid & ~matmul),
            engine.o.ready.eq(Mux(matmul, writer.i.ready, self.o_result.ready)),
        ]
