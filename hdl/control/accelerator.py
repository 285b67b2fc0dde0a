"""The top level: every unit, wired."""

from amaranth import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect

from ...arch.config import AcceleratorConfig
from ...arch.registers import offsets
from ..attention.attention import AttentionUnit
from ..axi import axi4_lite, axi4_read, axi4_write, connect_flat, flat_ports
from ..cache.block_table import BlockTable
from ..cache.page_writer import PageWriter
from ..cache.tail_buffer import TailBuffer
from ..embedding import Embedding
from ..interfaces import Interfaces
from ..matrix.unit import MatrixUnit
from ..rows.arbiter import WriteArbiter
from ..rows.reader import RowReader
from ..rows.writer import RowWriter
from ..stream.auxiliary import share_auxiliary
from ..stream.unit import StreamUnit
from ..stripe import memory_ports
from ..vector.memories import ActivationMemory, ParameterMemory, Scratchpad, share_read, share_write
from ..vector.unit import VectorUnit
from .counters import COUNTERS, Counters
from .decode import UNITS
from .gating import clocked, connect_gates, gate_ports, row_domain
from .memories import InstructionMemory, TokenMemory
from .registers import ADDRESS_BITS, RegisterBlock
from .saturation import Saturation
from .sequencer import Sequencer
from .start import JobStart
from .trace import connect_ledgers, connect_trace, trace_ports

ALWAYS = (
    "registers",
    "starter",
    "sequencer",
    "counters",
    "stream",
    "matrix",
    "attention",
    "table",
    "writer",
    "row_writer",
    "arbiter",
)
"""Units that handle `clear` themselves or must survive it."""

MEMORIES = ("tokens", "activations", "tail")
CLEARED = ("program", "embedding", "row_reader", "vector")
OFFSETS = offsets()


class Accelerator(wiring.Component):
    """A Celosia accelerator.

    Ports: `clk`, `rst` (synchronous, high); `m_axi_*`, an AXI4 master (read id 0: stream, 1: embedding, rows, program;
    write id 0: KV cache, 1: rows), or several, `m_axi_0_*` and so on, that `Stripe` spreads it over; `s_axil_*`,
    AXI4-Lite registers (arch/registers.rdl); `irq`, level, high while an enabled interrupt is pending. With `trace`,
    `trace_*` outputs show what is written and when instructions retire.

    Parameters:
        config: checked by `arch.config.derive`.
        trace: for simulation only.
        gated: for simulation only: units have clocks of their own, `unit_clk`, which must tick with `clk` at the end of
            cycles in which they are `awake`. Otherwise all of them are `clk`.
    """

    def __init__(self, config: AcceleratorConfig, *, trace: bool = False, gated: bool = False) -> None:
        self.config = config
        self.trace = trace
        self.gated = gated
        self.interfaces = interfaces = Interfaces(config)
        widths = {"address_bits": config.bus.address_bits, "data_bits": interfaces.derived.port_bytes * 8}
        ports: dict[str, object] = {}
        for name in config.bus.masters:
            ports |= flat_ports(name, axi4_read(**widths, id_bits=1))
            ports |= flat_ports(name, axi4_write(**widths, id_bits=1))
        ports |= {
            **flat_ports("s_axil", axi4_lite(address_bits=ADDRESS_BITS), subordinate=True),
            "irq": Out(1),
        }
        self.chunks = range(config.vector.chunks)
        if trace:
            ports |= trace_ports(interfaces)
        if gated:
            ports |= gate_ports(interfaces.rows)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, interfaces = self.config, self.interfaces
        self._clear = Signal()
        self._registers = RegisterBlock()
        self._sequencer = sequencer = Sequencer(config)
        self._program = InstructionMemory(config)
        self._tokens = TokenMemory(config)
        self._starter = JobStart(config)
        self._counters = Counters()
        self._saturations = [Saturation(interfaces) for _ in self.chunks]
        self._stream = StreamUnit(config)
        self._embedding = Embedding(config)
        rows = [row_domain(row) if self.gated else "sync" for row in range(interfaces.rows)]
        self._matrix = MatrixUnit(interfaces, row_domains=rows)
        self._vector = VectorUnit(interfaces)
        self._attention = AttentionUnit(interfaces=interfaces)
        self._table = BlockTable(interfaces=interfaces)
        self._tail = TailBuffer(interfaces=interfaces)
        self._writer = PageWriter(interfaces=interfaces)
        self._row_reader = RowReader(interfaces=interfaces)
        self._row_writer = RowWriter(interfaces=interfaces)
        self._arbiter = WriteArbiter(address_bits=config.bus.address_bits, data_bits=config.bus.data_bits)
        self._scratchpads = [Scratchpad(interfaces) for _ in self.chunks]
        self._parameters = [ParameterMemory(interfaces) for _ in self.chunks]
        self._activations = ActivationMemory(interfaces)
        for name in ALWAYS + MEMORIES:
            m.submodules[name] = clocked(name, getattr(self, f"_{name}"), gated=self.gated)
        for chunk in self.chunks:
            m.submodules[f"scratchpad_{chunk}"] = self._scratchpads[chunk]
            m.submodules[f"parameters_{chunk}"] = self._parameters[chunk]
            m.submodules[f"saturation_{chunk}"] = self._saturations[chunk]
        for name in CLEARED:
            unit = ResetInserter(self._clear)(getattr(self, f"_{name}"))
            m.submodules[name] = clocked(name, unit, gated=self.gated)
        m.d.comb += [
            self._clear.eq(sequencer.clear),
            self._stream.clear.eq(self._clear),
            self._matrix.clear.eq(self._clear),
            self._attention.clear.eq(self._clear),
            self._writer.clear.eq(self._clear),
            self._row_writer.clear.eq(self._clear),
            sequencer.drained.eq(self._stream.drained & self._writer.drained & self._row_writer.drained),
        ]
        self._buses(m)
        self._jobs(m)
        self._start(m)
        self._units(m)
        self._memories(m)
        self._cache(m)
        self._count(m)
        self._interrupts(m)
        if self.gated:
            connect_gates(m, self, clear=self._clear, sequencer=sequencer, matrix=self._matrix, tail=self._tail)
        if self.trace:
            connect_trace(
                m,
                self,
                scratchpads=[memory.write for memory in self._scratchpads],
                activations=self._activations,
                blocks=self._vector.o_kv,
                sequencer=self._sequencer,
            )
            connect_ledgers(
                m,
                self,
                sequencer=self._sequencer,
                stream=self._stream,
                matrix=self._matrix,
                attention=self._attention,
                starter=self._starter,
                writer=self._writer,
            )
        return m

    def _buses(self, m: Module) -> None:
        connect(m, self._writer.axi, self._arbiter.pages)
        connect(m, self._row_writer.axi, self._arbiter.rows)
        masters = memory_ports(m, self.config, self._stream.axi, self._arbiter.axi)
        for prefix, bus in (*masters, ("s_axil", self._registers.bus)):
            connect_flat(m, self, prefix, bus)

    def _jobs(self, m: Module) -> None:
        registers, sequencer, program, tokens = self._registers, self._sequencer, self._program, self._tokens
        connect(m, sequencer.program, program.sequencer)
        connect(m, self._stream.program, program.stream)
        connect(m, sequencer.o_stream, self._stream.i)
        held = self._starter.held
        candidate = self._matrix.candidates
        chosen = candidate[registers.candidate_index]
        m.d.comb += [
            sequencer.job.eq(held.job),
            sequencer.length.eq(held.length),
            sequencer.end_of_text.eq(held.end_of_text),
            sequencer.end_enable.eq(held.end_enable),
            sequencer.best.eq(candidate[0].id),
            sequencer.abort.eq(registers.control_abort | self._starter.halted),
            program.base.eq(held.program_base),
            program.length.eq(held.length),
            self._stream.image_base.eq(held.image_base),
            self._stream.kv_base.eq(held.kv_base),
            self._stream.appended.eq(sequencer.appended),
            self._embedding.image_base.eq(held.image_base),
            self._writer.kv_base.eq(held.kv_base),
            self._row_reader.region.eq(held.rows),
            self._row_writer.region.eq(held.rows),
            registers.status_error.eq(sequencer.fault_status),
            registers.error_address_lo.eq(sequencer.fault_address[:32]),
            registers.error_address_hi.eq(sequencer.fault_address[32:]),
            # Until the sequencer starts, it has the number of the job before.
            registers.sampled.eq(Mux(self._starter.busy, 0, sequencer.sampled)),
            registers.candidate_id.eq(chosen.id),
            registers.candidate_value.eq(chosen.value),
            tokens.index.eq(registers.token_index),
            tokens.host_token.eq(registers.written),
            tokens.host_write.eq(
                registers.write & (registers.address == OFFSETS["TOKEN_DATA"]) & ~registers.status_busy,
            ),
            tokens.sample.eq(sequencer.sample),
            tokens.sample_index.eq(sequencer.sample_index),
            tokens.sampled.eq(sequencer.best),
            tokens.now.eq(self._counters.cycles[:32]),
            registers.token_data.eq(tokens.token),
            registers.token_cycle.eq(tokens.cycle),
            registers.token_index_value.eq(registers.token_index + 1),
            registers.token_index_load.eq(
                (registers.write | registers.read) & (registers.address == OFFSETS["TOKEN_DATA"]),
            ),
        ]
        connect(m, self._embedding.tokens, tokens.reader)
        with m.If(sequencer.finished):
            m.d.sync += registers.status_done.eq(1)
        with m.If(self._starter.doorbell):
            m.d.sync += registers.status_done.eq(0)

    def _start(self, m: Module) -> None:
        registers, sequencer, start, program = self._registers, self._sequencer, self._starter, self._program
        stream = self._stream
        units = (stream, self._embedding, self._writer, self._row_reader, self._row_writer)
        # A register: settings and counters, a thousand registers, take it.
        m.d.sync += start.doorbell.eq(registers.control_start & ~registers.status_busy)
        settings = start.settings
        m.d.comb += [
            settings.image_base.eq(Cat(registers.image_base_lo, registers.image_base_hi)),
            settings.kv_base.eq(Cat(registers.kv_base_lo, registers.kv_base_hi)),
            settings.program_base.eq(Cat(registers.program_base_lo, registers.program_base_hi)),
            settings.rows.base.eq(Cat(registers.rows_base_lo, registers.rows_base_hi)),
            settings.rows.bytes.eq(Cat(registers.rows_bytes_lo, registers.rows_bytes_hi)),
            settings.length.eq(registers.program_length),
            settings.end_of_text.eq(registers.end_of_text_token),
            settings.end_enable.eq(registers.end_of_text_enable),
            start.halt.eq(registers.control_abort),
            start.sequence_open.eq(self._table.sequence_open),
            program.load.eq(start.load),
            start.loaded.eq(program.done),
            start.fault_in.eq(stream.fault_valid),
            start.fault_in_value.eq(stream.fault),
            sequencer.start.eq(start.start),
            registers.status_busy.eq(start.doorbell | start.busy | sequencer.busy),
            sequencer.fault_valid.eq(start.fault_valid | Cat(unit.fault_valid for unit in units).any()),
            sequencer.fault.eq(start.fault),
        ]
        for name in ("sequence", "position", "count", "steps", "chunk"):
            m.d.comb += settings.job[name].eq(getattr(registers, name))
        for unit in units:
            with m.If(unit.fault_valid):
                m.d.comb += sequencer.fault.eq(unit.fault)

    def _units(self, m: Module) -> None:
        sequencer, matrix, attention, stream = self._sequencer, self._matrix, self._attention, self._stream
        for name, unit in (
            ("embedding", self._embedding),
            ("vector", self._vector),
            ("matrix", matrix),
            ("attention", attention),
            ("row_reader", self._row_reader),
            ("row_writer", self._row_writer),
        ):
            connect(m, getattr(sequencer, f"o_{name}"), unit.i)
            m.d.comb += getattr(sequencer, f"{name}_done").eq(unit.done)
        connect(m, sequencer.o_cache, self._writer.i)
        connect(m, stream.o_tile, matrix.i_raw)
        connect(m, stream.o_payload, attention.i_payload)
        connect(m, stream.o_exponents, attention.i_exponents)
        connect(m, stream.o_beat, self._vector.i_beat)
        connect(m, attention.o, matrix.i_micro_op)
        connect(m, attention.o_tile, matrix.i_tile)
        connect(m, matrix.o_result, attention.i_result)
        connect(m, matrix.probabilities, attention.probabilities)
        m.d.comb += attention.settled.eq(sequencer.engine_settled)
        starting, rows = self._starter.busy, sequencer.active[UNITS.index("row_reader")]
        askers = (
            (self._program.memory, starting),
            (self._row_reader.memory, ~starting & rows),
            (self._embedding.memory, ~starting & ~rows),
        )
        share_auxiliary(m, stream.auxiliary, askers)

    def _memories(self, m: Module) -> None:
        """A chunk's memories serve who works on that chunk, one unit at a time: askers of a port are OR-ed."""
        sequencer, matrix, vector = self._sequencer, self._matrix, self._vector
        vector_chunk, attention_chunk = sequencer.chunk_vector, sequencer.chunk_engine
        connect(m, vector.am_write, self._activations.write)
        connect(m, matrix.am, self._activations.read)
        m.d.comb += [
            self._activations.write_chunk.eq(vector_chunk),
            self._activations.read_chunk.eq(matrix.am_chunk),
        ]
        writers = (
            (matrix.spm_write, matrix.spm_chunk),
            (self._attention.spm, attention_chunk),
            (self._embedding.spm, sequencer.chunk_embedding),
            (self._row_reader.spm, sequencer.chunk_embedding),
        )
        readers = (
            (matrix.spm_read, matrix.spm_chunk),
            (vector.spm, vector_chunk),
            (self._row_writer.spm, sequencer.chunk_store),
        )
        share_read(m, self._scratchpads, readers)
        share_read(m, self._parameters, ((matrix.pm, matrix.spm_chunk), (vector.pm, vector_chunk)))
        share_write(m, self._scratchpads, writers)
        share_write(m, self._parameters, ((vector.pm_write, vector_chunk),))
        for saturation, scratchpad in zip(self._saturations, self._scratchpads, strict=True):
            m.d.comb += saturation.clear.eq(self._starter.doorbell)
            for field in ("en", "address", "mask", "data"):
                m.d.comb += getattr(saturation.write, field).eq(getattr(scratchpad.write, field))
        m.d.comb += self._registers.status_saturated.eq(Cat(s.saturated for s in self._saturations).any())

    def _cache(self, m: Module) -> None:
        registers, table, tail, writer = self._registers, self._table, self._tail, self._writer
        attention, blocks = self._attention, self._vector.o_kv
        connect(m, self._stream.lookup, table.stream)
        self._look_up(m)
        connect(m, blocks, tail.i)
        for ours, theirs in (
            (attention.tail_words, tail.merger_words),
            (attention.tail_exponents, tail.merger_exponents),
            (writer.tail_words, tail.writer_words),
            (writer.tail_exponents, tail.writer_exponents),
        ):
            connect(m, ours, theirs)
        # A register has its new value in the cycle after its write.
        for pulse, name in ((table.write, "TABLE_PAGE"), (table.control, "TABLE_SEQUENCE")):
            m.d.sync += pulse.eq(registers.write & (registers.address == OFFSETS[name]))
        m.d.comb += [
            table.write_sequence.eq(registers.table_entry_sequence),
            table.write_index.eq(registers.table_entry_index),
            table.write_page.eq(registers.table_page),
            table.control_open.eq(registers.table_sequence),
            table.status_sequence.eq(self._starter.held.job.sequence),
            tail.enable.eq(writer.tail_enable),
            tail.chunk.eq(writer.tail_chunk),
            tail.merger_chunk.eq(self._sequencer.chunk_engine),
            tail.position.eq(writer.tail_position),
            tail.head_blocks.eq(writer.tail_head_blocks),
            writer.tail_taken.eq(blocks.valid & blocks.ready),
            self._sequencer.append_complete.eq(writer.append_complete),
        ]

    def _look_up(self, m: Module) -> None:
        """Before a job runs, its start looks up what the page writer will."""
        start, writer, answer = self._starter, self._writer, self._table.writer
        for field in ("sequence", "index"):
            asked = Mux(start.busy, getattr(start.lookup, field), getattr(writer.lookup, field))
            m.d.comb += getattr(answer, field).eq(asked)
        for port in (start.lookup, writer.lookup):
            m.d.comb += [port.page.eq(answer.page), port.mapped.eq(answer.mapped)]

    def _count(self, m: Module) -> None:
        registers, counters, sequencer, stream = self._registers, self._counters, self._sequencer, self._stream
        bus = self.interfaces.bus_bytes
        active = dict(zip(UNITS, sequencer.active, strict=True))
        waiting = stream.o_tile.ready & ~stream.o_tile.valid
        m.d.comb += counters.clear.eq(self._starter.doorbell)
        counters.add(
            m,
            {
                "cycles": registers.status_busy,
                "stream_bytes": Mux(stream.stream_beat, bus, 0),
                "auxiliary_bytes": Mux(stream.auxiliary_beat, bus, 0),
                "written_bytes": self._writer.bytes | self._row_writer.bytes,
                "macs": self._matrix.macs,
                "stall_stream": active["matrix"] & waiting,
                "stall_write": sequencer.waits_for_write,
                "stall_full": stream.full,
                "busy_matrix": active["matrix"],
                "busy_vector": active["vector"] | active["embedding"] | active["row_reader"],
                "busy_attention": active["attention"],
            },
        )
        for name in COUNTERS:
            value = getattr(counters, name)
            m.d.comb += [
                getattr(registers, f"{name}_lo").eq(value[:32]),
                getattr(registers, f"{name}_hi").eq(value[32:]),
            ]

    def _interrupts(self, m: Module) -> None:
        registers, sequencer = self._registers, self._sequencer
        m.d.comb += [
            registers.interrupt_status_done_set.eq(sequencer.finished),
            registers.interrupt_status_token_set.eq(sequencer.sample),
        ]
        m.d.sync += self.irq.eq(
            (registers.interrupt_status_done & registers.interrupt_enable_done)
            | (registers.interrupt_status_token & registers.interrupt_enable_token)
        )
