"""An accelerator with its memory and a console: a computer that talks on two wires."""

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from ...arch.config import AcceleratorConfig
from ...hdl.axi import axi4_read, connect_flat
from ...hdl.common import Queue
from ...hdl.control.accelerator import Accelerator
from ...hdl.control.registers import ADDRESS_BITS
from .console import Console
from .loader import Loader
from .uart import UartReceiver, UartTransmitter, divisor_for

BAUD = 115200
KEYS = 16
"""Keys that wait while the console is at work, as when a line is pasted."""


class ConsoleSystem(wiring.Component):
    """All of a board's design but its clock and pins.

    Parameters
    ----------
    config : AcceleratorConfig
        Its `control.clock_mhz` must be the clock's.
    memory : wiring.Component
        With an AXI4 port, `reads` and `writes`, of the config's bus and ids of one bit. Becomes a part of it.
    boot_list : int
        Address of the boot list in it.

    Members
    -------
    hold : In(1), keeps the console in reset; nothing else moves before it does, so nothing else needs one
    rx : In(1), tx : Out(1), 115200 baud, 8N1
    busy : Out(1), it works on an answer; failed : Out(1), the last one ended with an error
    """

    def __init__(self, config: AcceleratorConfig, *, memory: wiring.Component, boot_list: int) -> None:
        self.config, self.memory, self.boot_list = config, memory, boot_list
        self.clock_hz = round(config.control.clock_mhz * 1e6)
        self.divisor = divisor_for(self.clock_hz, BAUD)
        super().__init__({"hold": In(1), "rx": In(1, init=1), "tx": Out(1, init=1), "busy": Out(1), "failed": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, bus = self.config, self.config.bus
        ports = {"data_bits": bus.data_bits, "address_bits": bus.address_bits}
        m.submodules.accelerator = accelerator = Accelerator(config)
        m.submodules.memory = memory = self.memory
        loader = Loader(base=self.boot_list, **ports)
        console = Console(clock_hz=self.clock_hz, address_bits=ADDRESS_BITS)
        receiver, transmitter = UartReceiver(divisor=self.divisor), UartTransmitter(divisor=self.divisor)
        keys = Queue(shape=8, depth=KEYS)
        parts = {"loader": loader, "console": console, "receiver": receiver, "keys": keys, "transmitter": transmitter}
        for name, part in parts.items():
            m.submodules[name] = ResetInserter(self.hold)(part)
        connect(m, receiver.o, keys.i)
        connect(m, keys.o, console.i)
        connect(m, console.o, transmitter.i)
        connect(m, loader.o, console.i_settings)
        m.d.comb += [
            console.loading.eq(loader.busy | loader.o.valid),
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            self.busy.eq(console.busy),
            self.failed.eq(console.failed),
        ]
        connect_flat(m, accelerator, "s_axil", console.bus)
        connect_flat(m, accelerator, "m_axi", memory.writes)
        self._share_reads(m, accelerator, loader, memory, ports)
        return m

    def _share_reads(
        self, m: Module, accelerator: Accelerator, loader: Loader, memory: wiring.Component, ports: dict[str, int]
    ) -> None:
        """The loader reads before the accelerator has been started, so neither is ever in the other's way.

        Nor does a register at what decides, for memory and accelerator may be far apart.
        """
        loading = Signal(init=1)
        m.d.sync += loading.eq(loader.busy)
        for name, member in axi4_read(**ports, id_bits=1).members.items():
            ours, its = getattr(accelerator, f"m_axi_{name}"), getattr(loader.reads, name)
            theirs = getattr(memory.reads, name)
            if member.flow is In:
                m.d.comb += [ours.eq(theirs), its.eq(theirs)]
            else:
                with m.If(loading):
                    m.d.comb += theirs.eq(its)
                with m.Else():
                    m.d.comb += theirs.eq(ours)
        with m.If(loading):
            m.d.comb += [accelerator.m_axi_rvalid.eq(0), accelerator.m_axi_arready.eq(0)]
        with m.Else():
            m.d.comb += [loader.reads.rvalid.eq(0), loader.reads.arready.eq(0)]
