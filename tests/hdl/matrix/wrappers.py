"""The blocks under test with the memories around them, which the bench fills and reads through ports."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory, WritePort
from amaranth.lib.wiring import In, Out, connect, flipped

from celosia.arch.pipeline import Registers
from celosia.hdl.interfaces import COMMAND, Interfaces
from celosia.hdl.matrix import Engine, MatrixUnit, TopK
from celosia.hdl.matrix.top_k import CANDIDATE, candidates_layout

MEMORY_WORDS = 1024


class Load:
    """Codes of the memories in a load."""

    ACTIVATIONS = 0
    PROBABILITIES = 1
    PARAMETERS = 2
    SCRATCHPAD = 3


def load_layout(layouts: Interfaces) -> data.StructLayout:
    """A word on its way into a memory."""
    widest = max(unsigned_width(words(layouts)), unsigned_width(layouts.vector))
    return data.StructLayout({"memory": 2, "address": 10, "word": widest})


def words(layouts: Interfaces) -> data.ArrayLayout:
    """A word of the activation or probability memory: R blocks."""
    return data.ArrayLayout(layouts.am_word, layouts.rows)


def unsigned_width(layout: data.Layout) -> int:
    """Bits of a layout."""
    return layout.as_shape().width


class _Memories:
    """Memories that one load stream fills."""

    def __init__(self, m: Module, loads: stream.Interface) -> None:
        self.m = m
        self.loads = loads
        m.d.comb += loads.ready.eq(1)

    def add(
        self, code: int, layout: data.Layout, port: object, *, name: str, granularity: int | None = None
    ) -> tuple[Memory, WritePort]:
        """A memory behind a `read_port`: data one cycle after `en`, noise in all other cycles. And its one write port,
        by which it is loaded."""
        width = unsigned_width(layout)
        memory = Memory(shape=unsigned(width), depth=MEMORY_WORDS, init=[])
        self.m.submodules[name] = memory
        read, write = memory.read_port(), memory.write_port(granularity=granularity)
        answered = Signal(name=f"{name}_answered")
        loaded = self.loads.valid & (self.loads.payload.memory == code)
        self.m.d.sync += answered.eq(port.en)
        self.m.d.comb += [
            read.en.eq(1),
            read.addr.eq(port.address),
            Value.cast(port.data).eq(read.data ^ (~answered).replicate(width)),
            write.en.eq(loaded.replicate(len(write.en))),
            write.addr.eq(self.loads.payload.address),
            write.data.eq(self.loads.payload.word),
        ]
        return memory, write


class EngineWithMemories(wiring.Component):
    """`Engine` with both block memories and a sticky overflow flag."""

    def __init__(self, layouts: Interfaces) -> None:
        self.layouts = layouts
        super().__init__(
            {
                "i": In(stream.Signature(layouts.micro_op)),
                "i_tile": In(stream.Signature(layouts.tile)),
                "i_load": In(stream.Signature(load_layout(layouts))),
                "o": Out(stream.Signature(layouts.result)),
                "overflowed": Out(1),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.engine = engine = Engine(self.layouts)
        memories = _Memories(m, self.i_load)
        memories.add(Load.ACTIVATIONS, words(self.layouts), engine.am, name="activations")
        memories.add(Load.PROBABILITIES, words(self.layouts), engine.probabilities, name="probabilities")
        connect(m, flipped(self.i), engine.i)
        connect(m, flipped(self.i_tile), engine.i_tile)
        connect(m, engine.o, flipped(self.o))
        m.d.comb += engine.clear.eq(self.clear)
        m.d.sync += self.overflowed.eq((self.overflowed | engine.overflow) & ~self.clear)
        return m


class MatrixUnitWithMemories(wiring.Component):
    """`MatrixUnit` with all its memories; the bench reads the scratchpad back at `peek_address`."""

    def __init__(self, layouts: Interfaces) -> None:
        self.layouts = layouts
        top_k = layouts.config.control.top_k
        super().__init__(
            {
                "i": In(stream.Signature(COMMAND)),
                "i_raw": In(stream.Signature(layouts.raw_tile)),
                "i_micro_op": In(stream.Signature(layouts.micro_op)),
                "i_tile": In(stream.Signature(layouts.tile)),
                "o_result": Out(stream.Signature(layouts.result)),
                "i_load": In(stream.Signature(load_layout(layouts))),
                "peek_address": In(10),
                "peek": Out(layouts.vector),
                "candidates": Out(data.ArrayLayout(CANDIDATE, top_k)),
                "candidate_count": Out(range(top_k + 1)),
                "finished": Out(16),
                "macs": Out(32),
                "busy": Out(1),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unit = unit = MatrixUnit(self.layouts)
        memories = _Memories(m, self.i_load)
        memories.add(Load.ACTIVATIONS, words(self.layouts), unit.am, name="activations")
        memories.add(Load.PROBABILITIES, words(self.layouts), unit.probabilities, name="probabilities")
        memories.add(Load.PARAMETERS, self.layouts.vector, unit.pm, name="parameters")
        scratchpad, write = memories.add(
            Load.SCRATCHPAD, self.layouts.vector, unit.spm_read, name="scratchpad", granularity=32
        )
        # By the port that loads it, which it does before: with a second one synthesis makes flip-flops of it.
        with m.If(unit.spm_write.en):
            m.d.comb += [
                write.en.eq(unit.spm_write.mask),
                write.addr.eq(unit.spm_write.address),
                write.data.eq(unit.spm_write.data),
            ]
        peek = scratchpad.read_port()
        m.d.comb += [
            peek.en.eq(1),
            peek.addr.eq(self.peek_address),
            Value.cast(self.peek).eq(peek.data),
            self.candidates.eq(unit.candidates),
            self.candidate_count.eq(unit.candidate_count),
            self.busy.eq(unit.busy),
            unit.clear.eq(self.clear),
        ]
        for name in ("i", "i_raw", "i_micro_op", "i_tile"):
            connect(m, flipped(getattr(self, name)), getattr(unit, name))
        connect(m, unit.o_result, flipped(self.o_result))
        m.d.sync += [self.finished.eq(self.finished + unit.done), self.macs.eq(self.macs + unit.macs)]
        return m


class TopKWithReady(wiring.Component):
    """`TopK` with the ready that a top-level stream needs."""

    def __init__(self, *, depth: int, at_once: int, registers: Registers) -> None:
        self.depth, self.at_once, self.registers = depth, at_once, registers
        super().__init__(
            {
                "i": In(stream.Signature(candidates_layout(at_once))),
                "restart": In(1),
                "candidates": Out(data.ArrayLayout(CANDIDATE, depth)),
                "count": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.top_k = top_k = TopK(depth=self.depth, at_once=self.at_once, registers=self.registers)
        m.d.comb += [
            self.i.ready.eq(1),
            top_k.i.valid.eq(self.i.valid),
            top_k.i.payload.eq(self.i.payload),
            top_k.restart.eq(self.restart),
            self.candidates.eq(top_k.candidates),
            self.count.eq(top_k.count),
        ]
        return m
