"""Queues of instructions in front of the units, and the order in which they begin."""

from collections.abc import Sequence

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ..interfaces import COMMAND
from .decode import UNITS

NUMBER_BITS = 5
"""Of an instruction's number within its chunk: more than there are places in all queues."""

DEPTH = 4
"""Instructions that wait in front of a unit."""

ISSUED = data.StructLayout({"targets": len(UNITS), "index": 8, "pass": 20, "command": COMMAND})
"""An instruction on its way to its units. index: in the program. pass: of the job, for who watches."""

QUEUED = data.StructLayout({"number": NUMBER_BITS, "issued": ISSUED})


class IssueQueue(wiring.Component):
    """One queue for units of which one runs at a time.

    Its first instruction begins as soon as the queue's last one and all earlier ones of its chunk are done: one cycle
    after that is known. Instructions that need two units get them in the order of `units`.

    Parameters:
        units: names, of `UNITS`; the last one that an instruction needs says when it is done.

    Members:
        i : In(stream(QUEUED)).
        finished : In(NUMBER_BITS) x 2, instructions that each chunk has finished.
        o_<unit> : Out(stream(COMMAND)), for each unit. <unit>_done : In(1), not of "cache", which is never last.
        active : Out(5), units that are running (or about to be told). running : Out(ISSUED), what runs or ran last.
        done : Out(1), pulse: `running` is done.
    """

    def __init__(self, units: Sequence[str]) -> None:
        self.units = tuple(units)
        ports: dict[str, object] = {
            "i": In(stream.Signature(QUEUED)),
            "finished": In(data.ArrayLayout(NUMBER_BITS, 2)),
            "active": Out(len(UNITS)),
            "running": Out(ISSUED),
            "done": Out(1),
        }
        for unit in self.units:
            ports[f"o_{unit}"] = Out(stream.Signature(COMMAND))
            if unit != "cache":
                ports[f"{unit}_done"] = In(1)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.queue = queue = fifo.SyncFIFO(width=QUEUED.size, depth=DEPTH)
        head = Signal(QUEUED)
        busy = Signal()
        begins = Signal()
        pending = Signal(len(UNITS))
        m.d.comb += [
            Cat(head).eq(queue.r_data),
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
        ]
        issued = head.issued
        mine = Mux(issued.command.chunk, self.finished[1], self.finished[0])
        m.d.comb += [
            begins.eq(queue.r_rdy & ~busy & (mine == head.number)),
            queue.r_en.eq(begins),
            self.active.eq(self.running.targets & busy.replicate(len(UNITS))),
        ]
        ended = Signal()
        for order, unit in enumerate(self.units):
            bit = UNITS.index(unit)
            offer = getattr(self, f"o_{unit}")
            earlier = Cat(pending[UNITS.index(other)] for other in self.units[:order])
            m.d.comb += [
                offer.payload.eq(self.running.command),
                offer.valid.eq(pending[bit] & ~earlier.any()),
            ]
            with m.If(offer.valid & offer.ready):
                m.d.sync += pending[bit].eq(0)
            if unit != "cache":
                with m.If(self.running.targets[bit]):
                    m.d.comb += ended.eq(getattr(self, f"{unit}_done"))
        m.d.comb += self.done.eq(busy & (pending == 0) & ended)
        with m.If(begins):
            m.d.sync += [self.running.eq(issued), pending.eq(issued.targets), busy.eq(1)]
        with m.If(self.done):
            m.d.sync += busy.eq(0)
        return m
