"""The vector unit: LOAD, ROPE_TABLE, NORM, QUANTIZE, QUERY and the first half of APPEND."""

from amaranth.hdl import C, Module, Mux, Signal, Value
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...arch.formats import BLOCK
from ...arch.isa import Opcode
from ..common import bits_for
from ..interfaces import COMMAND, Interfaces, read_port, write_port
from .control import VectorControl
from .datapath import Datapath, Operation
from .loader import Loader
from .quantizer import Quantizer
from .rope import RopeTable
from .statistics import RowStatistics
from .walker import Walker

KV_QUEUE = 8
"""Key and value blocks between the walker and the cache: enough to hide the pipeline at V <= 4."""


class VectorUnit(wiring.Component):
    """Walks over words of the scratchpad, through the datapath into the quantizer, and sends each block to its place.

    One instruction at a time. A word a cycle; every other cycle for gated activations (two reads a word) and for the
    last pass of LayerNorm (two parameters a word). NORM reads a row once per pass, RMSNorm 2, LayerNorm 3, and finishes
    a row before it begins the next. Only APPEND waits for somebody: it keeps `KV_QUEUE` blocks inside at most.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    i : In(stream.Signature(COMMAND)); done : Out(1), pulse: everything is written, or the last block was taken
    i_beat : In(stream.Signature(W * 8)), operands of LOAD and ROPE_TABLE
    o_kv : Out(stream.Signature(kv_block)), rows ascending; per row all key blocks, then all value blocks
    spm : Out(read_port), pm : Out(read_port)
    pm_write : Out(write_port), one mask bit a lane; am_write : Out(write_port), one mask bit a bank
    overflow : Out(1), a result was saturated in this cycle
    """

    def __init__(self, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        vector = interfaces.vector
        super().__init__(
            {
                "i": In(stream.Signature(COMMAND)),
                "done": Out(1),
                "i_beat": In(stream.Signature(interfaces.bus_bytes * 8)),
                "o_kv": Out(stream.Signature(interfaces.kv_block)),
                "spm": Out(read_port(interfaces.spm_address, vector)),
                "pm": Out(read_port(interfaces.pm_address, vector)),
                "pm_write": Out(write_port(interfaces.pm_address, vector, interfaces.lanes)),
                "am_write": Out(write_port(interfaces.am_address, interfaces.am_word, interfaces.rows)),
                "overflow": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        interfaces = self.interfaces
        bits = interfaces.config.array.multiplier_bits
        m.submodules.control = control = VectorControl(interfaces)
        m.submodules.walker = walker = Walker(interfaces)
        m.submodules.rope = rope = RopeTable(interfaces)
        m.submodules.datapath = datapath = Datapath(interfaces)
        m.submodules.statistics = statistics = RowStatistics(lanes=interfaces.lanes, multiplier_bits=bits)
        m.submodules.quantizer = quantizer = Quantizer(
            lanes=interfaces.lanes, bits=interfaces.config.array.activation_bits
        )
        connect(m, flipped(self.i), control.i)
        m.d.comb += [self.done.eq(control.done), self.overflow.eq(datapath.overflow | statistics.overflow)]
        self._stream_operands(m, control, rope)
        self._walk(m, control, walker, rope)
        self._scratchpad(m, control, walker, datapath)
        self._arithmetic(m, control, walker, rope, datapath, statistics)
        m.d.comb += [
            quantizer.valid.eq(datapath.o_valid),
            quantizer.i.eq(datapath.o),
            quantizer.narrow.eq(control.walk.append),
        ]
        self._results(m, control, walker, quantizer)
        return m

    def _stream_operands(self, m: Module, control: VectorControl, rope: RopeTable) -> None:
        """Loader and rope table ask for beats only while it is their turn."""
        m.submodules.loader = loader = Loader(self.interfaces, address=self.interfaces.pm_address)
        connect(m, loader.write, flipped(self.pm_write))
        command = control.command
        m.d.comb += [
            loader.start.eq(control.load),
            loader.n.eq(command.instruction.n),
            loader.address.eq(command.instruction.dst),
            rope.start.eq(control.tabulate),
            rope.pairs.eq(command.instruction.n),
            rope.rows.eq(command.rows),
            rope.position.eq(command.position),
            rope.chunk.eq(command.chunk),
            control.finished.eq(loader.done | rope.done),
            self.i_beat.ready.eq(loader.i.ready | rope.i.ready),
        ]
        for reader in (loader, rope):
            m.d.comb += [reader.i.valid.eq(self.i_beat.valid), reader.i.payload.eq(self.i_beat.payload)]

    def _walk(self, m: Module, control: VectorControl, walker: Walker, rope: RopeTable) -> None:
        sums = _is_one_of(control.operation, Operation.SUM, Operation.SQUARE, Operation.CENTRE_AND_SQUARE)
        m.d.comb += [
            walker.start.eq(control.begin),
            walker.resume.eq(control.resume),
            walker.walk.eq(control.walk),
            walker.half.eq(_is_one_of(control.operation, Operation.GATE, Operation.CENTRE_AND_SCALE)),
            walker.repeat.eq(sums),
            walker.gap.eq(sums),
            walker.pause.eq(control.command.instruction.opcode == Opcode.NORM),
            rope.row.eq(walker.row),
            rope.word.eq(walker.word),
            rope.identity.eq(walker.identity),
            rope.heads_log2.eq(control.walk.rope_log2),
        ]

    def _scratchpad(self, m: Module, control: VectorControl, walker: Walker, datapath: Datapath) -> None:
        """The walker's words, and between them those of u, one after the other."""
        gated = Signal(20)
        with m.If(datapath.gated_en):
            m.d.sync += gated.eq(gated + 1)
        with m.If(control.begin):
            m.d.sync += gated.eq(control.command.instruction.aux)
        m.d.comb += [
            self.spm.en.eq(walker.valid | datapath.gated_en),
            self.spm.address.eq(Mux(walker.valid, walker.address, 0) | Mux(datapath.gated_en, gated, 0)),
        ]

    def _arithmetic(
        self,
        m: Module,
        control: VectorControl,
        walker: Walker,
        rope: RopeTable,
        datapath: Datapath,
        statistics: RowStatistics,
    ) -> None:
        instruction = control.command.instruction
        starts = control.begin | control.resume
        connect(m, datapath.pm, flipped(self.pm))
        m.d.comb += [
            datapath.start.eq(starts),
            datapath.operation.eq(control.operation),
            datapath.factor.eq(control.factor),
            datapath.mean.eq(statistics.mean),
            datapath.r.eq(statistics.r),
            datapath.bias.eq(instruction.k << bits_for(BLOCK // self.interfaces.lanes)),
            datapath.valid.eq(walker.valid),
            datapath.mask.eq(walker.mask),
            datapath.x.eq(self.spm.data),
            datapath.sine.eq(rope.sine),
            datapath.cosine.eq(rope.cosine),
            statistics.start.eq(starts),
            statistics.mean_wanted.eq(control.operation == Operation.SUM),
            statistics.blocks.eq(instruction.k),
            statistics.inv_n.eq(instruction.aux[:32]),
            statistics.eps.eq(instruction.imm),
            statistics.valid.eq(datapath.o_statistic),
            statistics.i.eq(datapath.statistic),
            control.summed.eq(statistics.done),
        ]

    def _results(self, m: Module, control: VectorControl, walker: Walker, quantizer: Quantizer) -> None:
        """Blocks leave the quantizer in the order in which the walker issued them: their places wait in a queue."""
        append = control.walk.append
        # Between scratchpad and quantizer output are at most 23 blocks at V = 16, 44 at V = 32.
        depth = max(32, 2 * self.interfaces.lanes)
        m.submodules.places = places = fifo.SyncFIFO(width=walker.block_layout.size, depth=depth)
        place = Signal(walker.block_layout)
        word = self.am_write.data
        m.d.comb += [
            places.w_en.eq(walker.ends),
            places.w_data.eq(walker.block),
            places.r_en.eq(quantizer.o_valid),
            Value.cast(place).eq(places.r_data),
            self.am_write.en.eq(quantizer.o_valid & ~append),
            self.am_write.address.eq(place.address),
            self.am_write.mask.eq(C(1, self.interfaces.rows) << place.bank),
            word.q.eq(quantizer.o.q),
            word.exponent.eq(quantizer.o.exponent),
            word.total.eq(quantizer.o.total),
            word.shift.eq(0),
            control.written.eq(self.am_write.en),
            control.ends_row.eq(place.ends_row),
            control.ends.eq(place.ends),
        ]
        self._keys_and_values(m, control, walker, quantizer, place, append)

    def _keys_and_values(
        self, m: Module, control: VectorControl, walker: Walker, quantizer: Quantizer, place: Value, append: Value
    ) -> None:
        """The queue to the cache has room for every block that the walker begins."""
        shape = self.interfaces.kv_block
        m.submodules.blocks = blocks = fifo.SyncFIFO(width=shape.size, depth=KV_QUEUE)
        block = Signal(shape)
        inside = Signal(range(KV_QUEUE + 1))
        taken = Signal()
        m.d.comb += [
            block.value.eq(place.value),
            block.row.eq(place.row),
            block.head.eq(place.head),
            block.block.eq(place.block),
            block.exponent.eq(quantizer.o.exponent),
            *(block.q[lane].eq(quantizer.o.q[lane]) for lane in range(BLOCK)),
            blocks.w_data.eq(block),
            blocks.w_en.eq(quantizer.o_valid & append),
            Value.cast(self.o_kv.payload).eq(blocks.r_data),
            self.o_kv.valid.eq(blocks.r_rdy),
            blocks.r_en.eq(self.o_kv.ready),
            taken.eq(self.o_kv.valid & self.o_kv.ready),
            walker.hold.eq(append & (inside == KV_QUEUE)),
            control.appending.eq(walker.running | (inside != 0)),
        ]
        m.d.sync += inside.eq(inside + (walker.begins & append) - taken)


def _is_one_of(operation: Value, *codes: Operation) -> Value:
    result: Value = operation == codes[0]
    for code in codes[1:]:
        result = result | (operation == code)
    return result
