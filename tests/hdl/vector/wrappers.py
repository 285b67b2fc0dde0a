"""The vector unit with its memories, which the bench fills and reads through ports."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from celosia.hdl.interfaces import COMMAND, Interfaces
from celosia.hdl.vector.memories import ActivationMemory, ParameterMemory, Scratchpad
from celosia.hdl.vector.unit import VectorUnit


def load_layout(layouts: Interfaces) -> data.StructLayout:
    """A masked write to the scratchpad."""
    return data.StructLayout({"address": 20, "mask": layouts.lanes, "word": layouts.vector})


class VectorUnitWithMemories(wiring.Component):
    """`VectorUnit` between its three memories; `peek_address` reads parameter and activation memory while it is idle.

    A read address that nobody enables is noise in the real machine's ORed ports; here data is noise unless asked for.
    """

    def __init__(self, layouts: Interfaces) -> None:
        self.layouts = layouts
        super().__init__(
            {
                "i": In(stream.Signature(COMMAND)),
                "i_beat": In(stream.Signature(layouts.bus_bytes * 8)),
                "i_load": In(stream.Signature(load_layout(layouts))),
                "o_kv": Out(stream.Signature(layouts.kv_block)),
                "peek": In(1),
                "chunk": In(1),
                "peek_address": In(20),
                "pm_word": Out(layouts.vector),
                "am_words": Out(data.ArrayLayout(layouts.am_word, layouts.rows)),
                "finished": Out(16),
                "overflowed": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unit = unit = VectorUnit(self.layouts)
        m.submodules.scratchpad = scratchpad = Scratchpad(self.layouts)
        m.submodules.parameters = parameters = ParameterMemory(self.layouts)
        m.submodules.activations = activations = ActivationMemory(self.layouts)
        for name in ("i", "i_beat"):
            connect(m, flipped(getattr(self, name)), getattr(unit, name))
        connect(m, unit.o_kv, flipped(self.o_kv))
        connect(m, unit.pm_write, parameters.write)
        connect(m, unit.am_write, activations.write)
        read = Signal()
        m.d.sync += read.eq(unit.spm.en)
        m.d.comb += [
            self.i_load.ready.eq(1),
            scratchpad.write.en.eq(self.i_load.valid),
            scratchpad.write.address.eq(self.i_load.payload.address),
            scratchpad.write.mask.eq(self.i_load.payload.mask),
            scratchpad.write.data.eq(self.i_load.payload.word),
            scratchpad.read.en.eq(unit.spm.en),
            scratchpad.read.address.eq(unit.spm.address),
            unit.spm.data.as_value().eq(
                scratchpad.read.data.as_value() ^ (~read).replicate(len(unit.spm.data.as_value()))
            ),
            parameters.read.en.eq(unit.pm.en | self.peek),
            parameters.read.address.eq(unit.pm.address | Mux(self.peek, self.peek_address, 0)),
            unit.pm.data.eq(parameters.read.data),
            activations.write_chunk.eq(self.chunk),
            activations.read_chunk.eq(self.chunk),
            activations.read.en.eq(self.peek),
            activations.read.address.eq(self.peek_address),
            self.pm_word.eq(parameters.read.data),
            self.am_words.eq(activations.read.data),
        ]
        m.d.sync += [
            self.finished.eq(self.finished + unit.done),
            self.overflowed.eq(self.overflowed | unit.overflow),
        ]
        return m
