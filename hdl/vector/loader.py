"""Float32 from beats into a memory: LOAD's into the parameter memory, LOAD_ROWS' into the scratchpad."""

from amaranth.hdl import C, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..common import bits_for
from ..interfaces import Interfaces, write_port
from .beats import BeatCutter


class Loader(wiring.Component):
    """Writes `n` floats to consecutive words, as many a cycle as a beat and a word both hold.

    Cost: a register of a beat. `done` comes when the last write is visible.

    Parameters
    ----------
    interfaces : Interfaces
    address : range
        Word addresses of the memory.

    Members
    -------
    start : In(1), pulse
    n : In(24), floats, a multiple of 32
    address : In(20), of the first word
    i : In(stream.Signature(W * 8))
    write : Out(write_port), one mask bit a lane
    done : Out(1)
    """

    def __init__(self, interfaces: Interfaces, *, address: range) -> None:
        self.bus_bits = interfaces.bus_bytes * 8
        self.lanes = interfaces.lanes
        self.step = min(self.lanes, interfaces.bus_bytes // 4)
        super().__init__(
            {
                "start": In(1),
                "n": In(24),
                "address": In(20),
                "i": In(stream.Signature(self.bus_bits)),
                "write": Out(write_port(address, interfaces.vector, self.lanes)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.cutter = cutter = BeatCutter(beat_bits=self.bus_bits, part_bits=32 * self.step)
        connect(m, flipped(self.i), cutter.i)
        parts = self.lanes // self.step
        part_bits = bits_for(parts)
        steps = self.n >> bits_for(self.step)
        place = Signal(20 + part_bits)
        left = Signal(24)
        m.d.comb += [
            cutter.start.eq(self.start),
            cutter.count.eq(steps),
            cutter.o.ready.eq(1),
            self.write.en.eq(cutter.o.valid),
            self.write.address.eq(place[part_bits:]),
            self.write.mask.eq(C((1 << self.step) - 1, self.lanes) << (place[:part_bits] * self.step)),
            Value.cast(self.write.data).eq(cutter.o.payload.replicate(parts)),
        ]
        with m.If(cutter.o.valid):
            m.d.sync += [place.eq(place + 1), left.eq(left - 1)]
        with m.If(self.start):
            m.d.sync += [place.eq(self.address << part_bits), left.eq(steps)]
        m.d.sync += self.done.eq(cutter.o.valid & (left == 1))
        return m
