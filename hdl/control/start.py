"""What happens between the doorbell and the first pass: check the job, load the program."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...arch.config import AcceleratorConfig
from ...arch.formats import BLOCK
from ...arch.isa import Status
from ..interfaces import FAULT
from .passes import JOB


class JobStart(wiring.Component):
    """Check a job against its sequence and the context, load the program, start the sequencer.

    A job that is refused starts the sequencer too, and stops it with a fault in the next cycle: one place reports.

    Members:
        doorbell : In(1), job : In(JOB). sequence_open : In(1), whether the job's sequence is.
        load : Out(1), pulse; loaded : In(1), pulse. fault_in : In(1), another unit failed while loading.
        start : Out(1), pulse. busy : Out(1).
        fault_valid : Out(1), fault : Out(FAULT): SEQUENCE_CLOSED, POSITION_RANGE (also for a job without tokens).
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.context = config.cache.pages_per_sequence * BLOCK
        super().__init__(
            {
                "doorbell": In(1),
                "job": In(JOB),
                "sequence_open": In(1),
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
        end = Signal(22)
        steps = Signal(20)
        refused = Signal()
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("Idle"))
            with m.State("Idle"):
                m.d.sync += [steps.eq(self.job.steps), refused.eq(0)]
                with m.If(self.doorbell):
                    m.next = "Add"
            with m.State("Add"):
                # The last sampled token is not fed back: it takes no position.
                m.d.sync += end.eq(self.job.position + self.job.count + steps - steps.any())
                m.next = "Check"
            with m.State("Check"):
                m.next = "Load"
                with m.If(~self.sequence_open):
                    m.d.sync += [self.fault.status.eq(Status.SEQUENCE_CLOSED), self.fault.address.eq(self.job.sequence)]
                    m.d.sync += refused.eq(1)
                    m.next = "Start"
                with m.Elif((end > self.context) | ~self.job.count.any()):
                    m.d.sync += [self.fault.status.eq(Status.POSITION_RANGE), self.fault.address.eq(end)]
                    m.d.sync += refused.eq(1)
                    m.next = "Start"
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
                m.next = "Refuse"
            with m.State("Refuse"):
                m.d.comb += self.fault_valid.eq(refused)
                m.next = "Idle"
        return m
