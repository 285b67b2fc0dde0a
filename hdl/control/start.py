"""What happens between the doorbell and the first pass: take the job, check it, load the program."""

from amaranth import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...arch.config import AcceleratorConfig
from ...arch.formats import BLOCK
from ...arch.isa import Status
from ..interfaces import FAULT, lookup_port
from ..rows.bursts import ROWS_REGION
from .passes import JOB

SETTINGS = data.StructLayout(
    {
        "image_base": 48,
        "kv_base": 48,
        "program_base": 48,
        "length": 8,
        "rows": ROWS_REGION,
        "job": JOB,
        "end_of_text": 31,
        "end_enable": 1,
    }
)
"""What the registers say of a job. length: instructions. end_of_text: the token that ends it, if `end_enable`."""


class JobStart(wiring.Component):
    """Take a job at the doorbell, check it against its sequence and the context, load the program, start the sequencer.

    A job that is refused starts the sequencer too, and stops it with a fault in the next cycle: one place reports.
    Before it loads the program it looks up every page that the job will use, a page a cycle, so that a missing one is
    found before anything is read or written, and the lowest is the one that is named.

    Members:
        doorbell : In(1), settings : In(SETTINGS), taken with the doorbell; held : Out(SETTINGS), until the next one.
        halt : In(1), pulse: the job is to stop; halted : Out(1), pulse: stop it, now that it has started.
        sequence_open : In(1), whether the sequence of `held` is. lookup : Out(lookup_port()), used while `busy`.
        load : Out(1), pulse; loaded : In(1), pulse. fault_in : In(1), another unit failed while loading.
        start : Out(1), pulse. busy : Out(1).
        fault_valid : Out(1), fault : Out(FAULT): SEQUENCE_CLOSED, POSITION_RANGE (also for a job without tokens),
            PAGE_UNMAPPED; in this order, with the addresses that docs/isa.md says.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.context = config.cache.pages_per_sequence * BLOCK
        super().__init__(
            {
                "doorbell": In(1),
                "settings": In(SETTINGS),
                "held": Out(SETTINGS),
                "halt": In(1),
                "halted": Out(1),
                "sequence_open": In(1),
                "lookup": Out(lookup_port()),
                "load": Out(1),
                "loaded": In(1),
                "fault_in": In(1),
                "fault_in_value": In(FAULT),
                "start": Out(1),
                "busy": Out(1),
                "fault_valid": Out(1),
                "fault": Out(FAULT),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        job = self.held.job
        end = Signal(22)
        page = Signal(15)
        looked = Signal(15)
        last = Signal(15)
        answered = Signal()
        refused = Signal()
        stop = Signal()

        def refuse(status: Status, address: Value) -> None:
            m.d.sync += [self.fault.status.eq(status), self.fault.address.eq(address), refused.eq(1)]
            m.next = "Start"

        m.d.comb += [self.lookup.sequence.eq(job.sequence), self.lookup.index.eq(page)]
        with m.If(self.busy & self.halt):
            m.d.sync += stop.eq(1)
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("Idle"))
            with m.State("Idle"):
                m.d.sync += [refused.eq(0), stop.eq(0)]
                with m.If(self.doorbell):
                    m.d.sync += self.held.eq(self.settings)
                    m.next = "Add"
            with m.State("Add"):
                # The last sampled token is not fed back: it takes no position.
                m.d.sync += end.eq(job.position + job.count + job.steps - job.steps.any())
                m.next = "Check"
            with m.State("Check"):
                m.d.sync += [last.eq((end - 1)[5:]), page.eq(0), answered.eq(0)]
                m.next = "Look Up"
                with m.If(~self.sequence_open):
                    refuse(Status.SEQUENCE_CLOSED, job.sequence)
                with m.Elif(~job.count.any()):
                    refuse(Status.POSITION_RANGE, job.position)
                with m.Elif(end > self.context):
                    refuse(Status.POSITION_RANGE, Mux(job.position > self.context, job.position, self.context))
            with m.State("Look Up"):
                # The answer belongs to the page asked for in the cycle before.
                m.d.sync += [page.eq(page + 1), looked.eq(page), answered.eq(1)]
                with m.If(answered & ~self.lookup.mapped):
                    refuse(Status.PAGE_UNMAPPED, Cat(C(0, 5), looked))
                with m.Elif(answered & (looked == last)):
                    m.next = "Load"
            with m.State("Load"):
                m.d.comb += self.load.eq(1)
                m.next = "Wait For Program"
            with m.State("Wait For Program"):
                with m.If(self.loaded):
                    m.next = "Start"
                with m.If(self.fault_in):
                    m.d.sync += [self.fault.eq(self.fault_in_value), refused.eq(1)]
                    m.next = "Start"
            with m.State("Start"):
                m.d.comb += self.start.eq(1)
                m.next = "Report"
            with m.State("Report"):
                # A pulse of `halt` in this cycle reaches the sequencer itself.
                m.d.comb += [self.fault_valid.eq(refused), self.halted.eq(stop)]
                m.next = "Idle"
        return m
