"""A chip of SDR SDRAM behind an AXI4 port: LiteDRAM's controller, and what starts the chip without a processor."""

from math import ceil

from amaranth.hdl import ClockSignal, Instance, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...hdl.axi import axi4_read, axi4_write
from .controller_ports import controller_ports
from .litedram_module import NAME
from .narrower import Narrower
from .sdram_chip import ADDRESS_BITS, BANK_BITS, CAPACITY, CAS_LATENCY, DATA_BITS, ROW_BITS

POWER_UP_US, PRECHARGE_NS, REFRESH_NS = 200, 21, 70
"""Of the chip, at least: the clock before the first command, from a precharge and from a refresh to the next one."""
REFRESHES, MODE_CYCLES = 8, 2
"""Before it is used; from its mode to the next command."""
ALL_BANKS = 1 << 10
"""Address bit of a precharge."""
PRECHARGE, REFRESH, MODE = 0b101, 0b011, 0b111
"""Commands by what they assert: bit 0 RAS, 1 CAS, 2 WE."""

PADS = {
    "clk_en": Out(1),
    "cs": Out(1),
    "ras": Out(1),
    "cas": Out(1),
    "we": Out(1),
    "ba": Out(BANK_BITS),
    "a": Out(ROW_BITS),
    "dqm": Out(DATA_BITS // 8),
    "dq_o": Out(DATA_BITS),
    "dq_oe": Out(1),
    "dq_i": In(DATA_BITS),
}
"""Of the chip but its clock, 1 for asserted, each with a register to go through at the pad, on the way in too."""


class SdramStart(wiring.Component):
    """The commands that a chip wants after power-up, once after reset: all banks closed, refreshes, the mode.

    Parameters
    ----------
    clock_hz : float

    Members
    -------
    command : Out(3), as `PRECHARGE`; 0 for none. address : Out(13)
    done : Out(1), from then on the chip is the controller's
    """

    def __init__(self, *, clock_hz: float) -> None:
        self.clock_hz = clock_hz
        super().__init__({"command": Out(3), "address": Out(ROW_BITS), "done": Out(1)})

    def _cycles(self, nanoseconds: float) -> int:
        return ceil(nanoseconds * self.clock_hz / 1e9 - 1e-6)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        steps = [
            (PRECHARGE, ALL_BANKS, self._cycles(PRECHARGE_NS)),
            *[(REFRESH, 0, self._cycles(REFRESH_NS))] * REFRESHES,
            # Bursts of one word.
            (MODE, CAS_LATENCY << 4, MODE_CYCLES),
        ]
        power_up = self._cycles(1000 * POWER_UP_US)
        timer = Signal(range(power_up + 1), init=power_up)
        step = Signal(range(len(steps) + 1))
        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(step == len(steps)):
            m.d.sync += self.done.eq(1)
        with m.Else():
            m.d.sync += step.eq(step + 1)
            with m.Switch(step):
                for number, (command, address, cycles) in enumerate(steps):
                    with m.Case(number):
                        m.d.comb += [self.command.eq(command), self.address.eq(address)]
                        m.d.sync += timer.eq(cycles - 1)
        return m


class Sdram(wiring.Component):
    """32 MB of SDRAM, 16 bits wide, behind an AXI4 port. Addresses beyond it repeat it; responses are OKAY always.

    The chip is started after reset, which takes 200 us; addresses are taken from then on. Its clock must be late
    against ours by a part of a cycle in which what leaves the pads' registers arrives, and what it answers is back
    within the rest.

    One word a cycle at most for reads and writes together, less a few cycles for every row of 1 KiB and every refresh:
    `tests/boards/gateware/test_sdram.py` measures it.

    Parameters
    ----------
    clock_hz : float
    data_bits, address_bits, burst_beats : int
        Of the port and its longest burst.

    Members
    -------
    reads : In(axi4_read), writes : In(axi4_write); ids have one bit
    ready : Out(1), the chip has been started
    pads : `PADS`
    """

    capacity = CAPACITY
    """Bytes."""
    failure = None
    """Nothing is tuned, so nothing can fail."""

    def __init__(self, *, clock_hz: float, data_bits: int, address_bits: int, burst_beats: int) -> None:
        self.clock_hz = clock_hz
        self.narrower = Narrower(
            data_bits=data_bits, narrow_bits=DATA_BITS, address_bits=address_bits, burst_beats=burst_beats
        )
        widths = {"address_bits": address_bits, "data_bits": data_bits, "id_bits": 1}
        super().__init__(
            {
                "reads": In(axi4_read(**widths)),
                "writes": In(axi4_write(**widths)),
                "ready": Out(1),
                "pads": Out(wiring.Signature(PADS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.start = start = SdramStart(clock_hz=self.clock_hz)
        m.submodules.narrower = narrower = self.narrower
        wiring.connect(m, wiring.flipped(self.reads), narrower.reads)
        wiring.connect(m, wiring.flipped(self.writes), narrower.writes)
        names = {"address": ROW_BITS, "bank": BANK_BITS, "cas_n": 1, "ras_n": 1, "we_n": 1}
        names |= {"wrdata": DATA_BITS, "wrdata_en": 1, "wrdata_mask": DATA_BITS // 8}
        dfi = {name: Signal(bits, name=name) for name, bits in names.items()}
        m.submodules.controller = Instance(
            NAME,
            i_sys_clk=ClockSignal(),
            i_sys_rst=~start.done,
            i_rddata=self.pads.dq_i,
            **{f"o_{name}": signal for name, signal in dfi.items()},
            **controller_ports(
                m, narrower.narrow_reads, narrower.narrow_writes, address_bits=ADDRESS_BITS, started=start.done
            ),
        )
        pads = self.pads
        ours = zip((pads.ras, pads.cas, pads.we), (dfi["ras_n"], dfi["cas_n"], dfi["we_n"]), start.command, strict=True)
        m.d.comb += [pad.eq(Mux(start.done, ~theirs, first)) for pad, theirs, first in ours]
        m.d.comb += [
            self.ready.eq(start.done),
            pads.clk_en.eq(1),
            pads.cs.eq(1),
            pads.ba.eq(dfi["bank"]),
            pads.a.eq(Mux(start.done, dfi["address"], start.address)),
            pads.dqm.eq(dfi["wrdata_mask"] & dfi["wrdata_en"].replicate(DATA_BITS // 8)),
            pads.dq_o.eq(dfi["wrdata"]),
            pads.dq_oe.eq(dfi["wrdata_en"]),
        ]
        return m
