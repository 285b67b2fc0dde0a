"""LOAD_ROWS: float32 rows from memory into the scratchpad."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from ...arch.isa import Status
from ..interfaces import AUXILIARY_BURST, COMMAND, FAULT, Interfaces, auxiliary_port, write_port
from ..vector.loader import Loader
from .bursts import ROWS_REGION, RowBursts

_LARGEST = 0x7F7FFFFF
"""Bits of the largest float32 but for its sign."""


def from_outside(bits: Value) -> Value:
    """Any float32 bits as a machine float32 (docs/numerics.md, 11)."""
    exponent = bits[23:31]
    return Mux(exponent == 0, 0, Mux(exponent == 255, Cat(C(_LARGEST, 31), bits[31]), bits))


class RowReader(wiring.Component):
    """Executes LOAD_ROWS.

    As many floats a cycle as a beat and a word both hold, while the memory delivers: bursts are asked for as long as
    the auxiliary port has room. `done` when the last word is visible, two cycles after it left the beat. After a fault
    it stands still until it is reset. Cost: a beat and a word of registers.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    i : In(stream.Signature(COMMAND)), ready while idle; done : Out(1), pulse
    region : In(ROWS_REGION), of the job
    memory : Out(auxiliary_port), spm : Out(write_port), one mask bit a lane
    fault_valid : Out(1), fault : Out(FAULT): ROWS_RANGE with the row's index
    """

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        super().__init__(
            {
                "i": In(stream.Signature(COMMAND)),
                "done": Out(1),
                "region": In(ROWS_REGION),
                "memory": Out(auxiliary_port(interfaces.bus_bytes * 8)),
                "spm": Out(write_port(interfaces.spm_address, interfaces.vector, interfaces.lanes)),
                "fault_valid": Out(1),
                "fault": Out(FAULT),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        interfaces = self.interfaces
        longest = min(AUXILIARY_BURST, interfaces.config.bus.burst_beats)
        m.submodules.bursts = bursts = RowBursts(bus_bytes=interfaces.bus_bytes, longest=longest)
        m.submodules.loader = loader = Loader(interfaces, address=interfaces.spm_address)
        command = Signal(COMMAND)
        floats = Signal(24)
        asked, burst = self.memory.o_address, bursts.o
        connect(m, wiring.flipped(self.memory).i_beat, loader.i)
        m.d.comb += [
            bursts.command.eq(command),
            bursts.region.eq(self.region),
            asked.valid.eq(burst.valid),
            asked.payload.address.eq(burst.payload.address),
            asked.payload.beats.eq(burst.payload.beats),
            burst.ready.eq(asked.ready),
            loader.n.eq(floats),
            loader.address.eq(command.instruction.dst),
            self.fault.status.eq(Status.ROWS_RANGE),
            self.fault.address.eq(bursts.row),
        ]
        m.d.sync += [
            floats.eq(command.rows * command.instruction.n),
            self.spm.en.eq(loader.write.en),
            self.spm.address.eq(loader.write.address),
            self.spm.mask.eq(loader.write.mask),
            *(self.spm.data[lane].eq(from_outside(loader.write.data[lane])) for lane in range(interfaces.lanes)),
        ]
        with m.FSM():
            with m.State("Idle"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += command.eq(self.i.payload)
                with m.If(self.i.valid):
                    m.next = "Start"
            with m.State("Start"):
                m.d.comb += bursts.start.eq(1)
                m.next = "Prepare"
            with m.State("Prepare"):
                m.d.comb += loader.start.eq(1)
                m.next = "Load"
            with m.State("Load"):
                with m.If(loader.done):
                    m.next = "Finish"
                with m.If(bursts.outside):
                    m.d.comb += self.fault_valid.eq(1)
                    m.next = "Stopped"
            with m.State("Finish"):
                m.d.comb += self.done.eq(1)
                m.next = "Idle"
            with m.State("Stopped"):
                pass
        return m
