"""Queues of instructions in front of the units, and the order in which they begin."""

from collections.abc import Sequence

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.isa import Flag
from ...arch.pipeline import SHALLOW, Registers
from ..interfaces import COMMAND, flag
from .decode import UNITS

NUMBER_BITS = 5
"""Of an instruction's number within its chunk. Not done before the first one of a queue are those in the three other
queues, 12 at most, and two that run: a difference of two numbers has a sign.
"""

DEPTH = 4
"""Instructions that wait in front of a unit."""

RUNNING = data.StructLayout(
    {"targets": len(UNITS), "chunk": 1, "number": NUMBER_BITS, "index": 8, "layer": 12, "pass": 20}
)
"""An instruction that a unit has: its units, its chunk, its number within it and, for who watches, its index in the
program, layer and pass.
"""

QUEUED = data.StructLayout(
    {"number": NUMBER_BITS, "targets": len(UNITS), "index": 8, "pass": 20, "command": COMMAND},
)
"""An instruction on its way to its units. number: within its chunk."""

PIPELINED = "matrix"
"""The unit that takes an instruction while it still writes the results of the one before."""


class IssueQueue(wiring.Component):
    """A queue for units of which one runs at a time.

    Its first instruction begins as soon as the queue's last one and all earlier ones of its chunk are done (BESIDE: all
    but one): one cycle after that is known. Instructions that need two units get them in the order of
    `units`. Of `PIPELINED` two may run: they are done in their order.

    Parameters:
        units: names, of `UNITS`; the last one that an instruction needs says when it is done.
        registers: where they stand, `arch.pipeline.BEGIN`; with one more an instruction stands in a register before it
            begins, a cycle later if it finds its queue empty.

    Members:
        i : In(stream(QUEUED)).
        finished : In(NUMBER_BITS) x 2, instructions that each chunk has finished.
        o_<unit> : Out(stream(COMMAND)), for each unit; <unit>_done : In(1), not of "cache", never the last one.
        active : Out(7), units that are running (or about to be told).
        running : Out(RUNNING), what runs, the older one of two.
        done : Out(1), pulse: `running` is done. settled : Out(1), all instructions before `running` in its chunk are.

    Attributes:
        working: Signal(RUNNING), of two that run the one whose work its unit does now; for the trace.
    """

    def __init__(self, units: Sequence[str], *, registers: Registers = SHALLOW.begin) -> None:
        self.units = tuple(units)
        self.registers = registers
        ports: dict[str, object] = {
            "i": In(stream.Signature(QUEUED)),
            "finished": In(data.ArrayLayout(NUMBER_BITS, 2)),
            "active": Out(len(UNITS)),
            "running": Out(RUNNING),
            "done": Out(1),
            "settled": Out(1),
        }
        for unit in self.units:
            ports[f"o_{unit}"] = Out(stream.Signature(COMMAND))
            if unit != "cache":
                ports[f"{unit}_done"] = In(1)
        self.working = Signal(RUNNING)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        buffer = fifo.SyncFIFOBuffered if self.registers.latency > 1 else fifo.SyncFIFO
        m.submodules.queue = queue = buffer(width=QUEUED.size, depth=DEPTH)
        head = Signal(QUEUED)
        begun = Signal(RUNNING)
        newest = Signal(RUNNING)
        command = Signal(COMMAND, reset_less=True)
        busy = Signal(2)
        begins = Signal()
        pending = Signal(len(UNITS))
        joins = Signal()
        m.d.comb += [
            Cat(head).eq(queue.r_data),
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            queue.r_en.eq(begins),
            *(begun[name].eq(head[name]) for name in ("targets", "number", "index", "pass")),
            begun.chunk.eq(head.command.chunk),
            begun.layer.eq(head.command.layer),
            self.active.eq(self.running.targets & busy[0].replicate(len(UNITS))),
            self.working.eq(Mux(pending.any(), self.running, newest)),
        ]
        if PIPELINED in self.units:
            alone = 1 << UNITS.index(PIPELINED)
            one_runs = busy[0] & ~busy[1] & (pending == 0)
            m.d.comb += joins.eq(one_runs & (self.running.targets == alone) & (head.targets == alone))
        # Those that are done may be later ones: if one of them began, all but one before this one were done.
        mine = Mux(head.command.chunk, self.finished[1], self.finished[0])
        beside = flag(head.command.instruction, Flag.BESIDE)
        ahead = Signal(NUMBER_BITS)
        m.d.comb += [
            ahead.eq(mine + beside - head.number),
            begins.eq(queue.r_rdy & ~ahead[-1] & (~busy[0] | joins)),
        ]
        behind = Signal(NUMBER_BITS)
        m.d.comb += [
            behind.eq(Mux(self.running.chunk, self.finished[1], self.finished[0]) - self.running.number),
            self.settled.eq(~behind[-1]),
        ]
        self._offer(m, command, pending)
        # Whether an instruction begins is known late in the cycle, and a command is wide: it is taken over in any case.
        with m.If(~pending.any()):
            m.d.sync += command.eq(head.command)
        with m.If(begins):
            m.d.sync += [pending.eq(head.targets), newest.eq(begun)]
        # `running` is the oldest that is not done, `newest` the last one that began: the same one if only one runs.
        with m.If(begins & (~busy[0] | (self.done & ~busy[1]))):
            m.d.sync += [self.running.eq(begun), busy.eq(1)]
        with m.Elif(begins):
            m.d.sync += busy.eq(3)
        with m.Elif(self.done):
            m.d.sync += [self.running.eq(newest), busy.eq(busy >> 1)]
        return m

    def _offer(self, m: Module, command: Signal, pending: Signal) -> None:
        """Offers the command to its units, one after the other; knows when the older one that runs is done."""
        ended = Signal()
        for order, unit in enumerate(self.units):
            bit = UNITS.index(unit)
            offer = getattr(self, f"o_{unit}")
            earlier = Cat(pending[UNITS.index(other)] for other in self.units[:order])
            m.d.comb += [offer.payload.eq(command), offer.valid.eq(pending[bit] & ~earlier.any())]
            with m.If(offer.valid & offer.ready):
                m.d.sync += pending[bit].eq(0)
            if unit != "cache":
                with m.If(self.running.targets[bit]):
                    m.d.comb += ended.eq(getattr(self, f"{unit}_done"))
        m.d.comb += self.done.eq(ended)
