"""Instruction memory with its loader, and token memory."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...arch.config import AcceleratorConfig, derive
from ...arch.formats import BLOCK
from ...arch.isa import INSTRUCTION_BYTES
from ..common import block_ram
from ..interfaces import INSTRUCTION, auxiliary_port, read_port

INSTRUCTION_BITS = INSTRUCTION_BYTES * 8


class InstructionMemory(wiring.Component):
    """The program, loaded from memory when a job starts; two read ports, one cycle of latency.

    Loading asks for one beat per cycle and takes about the memory's latency plus one cycle per beat. A reset stops it.

    Parameters:
        config: bus width and `control.program_words`.

    Members:
        load : In(1), pulse: load `length` instructions from bus address `base`. done : Out(1), pulse: loaded.
        memory : Out(auxiliary_port).
        sequencer, stream : In(read_port), the two readers.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.words = config.control.program_words
        self.bus_bytes = derive(config).bus_bytes
        port = read_port(range(self.words), INSTRUCTION)
        super().__init__(
            {
                "load": In(1),
                "base": In(48),
                "length": In(8),
                "done": Out(1),
                "memory": Out(auxiliary_port(self.bus_bytes * 8)),
                "sequencer": In(port),
                "stream": In(port),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.words = words = block_ram(shape=INSTRUCTION_BITS, depth=self.words)
        write = words.write_port()
        for reader in (self.sequencer, self.stream):
            port = words.read_port()
            m.d.comb += [port.en.eq(reader.en), port.addr.eq(reader.address), reader.data.as_value().eq(port.data)]

        # Beats are shifted into one instruction (narrow bus) or cut into several (wide bus: up to two of 32 bytes).
        beat_bits = self.bus_bytes * 8
        asked = Signal(12)
        taken = Signal(12)
        written = Signal(12)
        beats = Signal(12)
        shift = Signal(max(beat_bits, INSTRUCTION_BITS))
        pending = Signal(range(max(beat_bits // INSTRUCTION_BITS, 1) + 1))
        per_instruction = max(INSTRUCTION_BITS // beat_bits, 1)
        per_beat = max(beat_bits // INSTRUCTION_BITS, 1)
        m.d.comb += [
            beats.eq((self.length * per_instruction + per_beat - 1) >> (per_beat - 1).bit_length()),
            self.memory.o_address.payload.address.eq(self.base + asked * self.bus_bytes),
            self.memory.o_address.payload.beats.eq(1),
            write.addr.eq(written),
            write.data.eq(shift[:INSTRUCTION_BITS]),
        ]
        with m.FSM():
            with m.State("Idle"):
                with m.If(self.load):
                    m.d.sync += [asked.eq(0), taken.eq(0), written.eq(0), pending.eq(0)]
                    m.next = "Load"
            with m.State("Load"):
                m.d.comb += self.memory.o_address.valid.eq(asked != beats)
                with m.If(self.memory.o_address.valid & self.memory.o_address.ready):
                    m.d.sync += asked.eq(asked + 1)
                with m.If(pending != 0):
                    m.d.comb += write.en.eq(written < self.words)
                    m.d.sync += [written.eq(written + 1), pending.eq(pending - 1), shift.eq(shift >> INSTRUCTION_BITS)]
                with m.Else():
                    m.d.comb += self.memory.i_beat.ready.eq(1)
                    with m.If(self.memory.i_beat.valid):
                        whole = taken[: (per_instruction - 1).bit_length()].all() if per_instruction > 1 else 1
                        m.d.sync += [
                            taken.eq(taken + 1),
                            shift.eq((self.memory.i_beat.payload << len(shift)) + shift >> beat_bits),
                        ]
                        with m.If(whole):
                            m.d.sync += pending.eq(per_beat)
                with m.If(written >= self.length):
                    m.d.comb += self.done.eq(1)
                    m.next = "Idle"
        return m


class TokenMemory(wiring.Component):
    """Token ids of the running job and the cycle at which each sampled one was sampled.

    As deep as the context, rounded up to a power of two; an index wraps (the one past a full context stands at 0).

    Members:
        index : In(20), host index; token, cycle : Out(32) one cycle later.
        host_write : In(1), store `host_token` at `index` (while no job runs).
        sample : In(1), store `sampled` and `now` at `sample_index`.
        reader : In(read_port), the embedding's.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.depth = 1 << (config.cache.pages_per_sequence * BLOCK - 1).bit_length()
        super().__init__(
            {
                "index": In(20),
                "token": Out(32),
                "cycle": Out(32),
                "host_write": In(1),
                "host_token": In(32),
                "sample": In(1),
                "sample_index": In(20),
                "sampled": In(32),
                "now": In(32),
                "reader": In(read_port(20, 32)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # A token is read once SAMPLED, or the next pass, says that it is there.
        m.submodules.tokens = tokens = block_ram(shape=32, depth=self.depth)
        m.submodules.cycles = cycles = block_ram(shape=32, depth=self.depth)
        write, stamp = tokens.write_port(), cycles.write_port()
        host, embedding, cycle = tokens.read_port(), tokens.read_port(), cycles.read_port()
        m.d.comb += [
            write.en.eq(self.host_write | self.sample),
            write.addr.eq(self.index),
            write.data.eq(self.host_token),
            stamp.en.eq(self.sample),
            stamp.addr.eq(self.sample_index),
            stamp.data.eq(self.now),
            host.addr.eq(self.index),
            self.token.eq(host.data),
            cycle.addr.eq(self.index),
            self.cycle.eq(cycle.data),
            embedding.en.eq(self.reader.en),
            embedding.addr.eq(self.reader.address),
            self.reader.data.eq(embedding.data),
        ]
        with m.If(self.sample):
            m.d.comb += [write.addr.eq(self.sample_index), write.data.eq(self.sampled)]
        return m
