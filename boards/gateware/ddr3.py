"""A chip of DDR3 behind an AXI4 port: LiteDRAM's controller, and what starts the chip without a processor."""

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...hdl.axi import axi4_read, axi4_write
from .controller_ports import controller_ports
from .ddr3_chip import ADDRESS_BITS, BANK_BITS, BURST, CAPACITY, DATA_BITS, FASTEST_HZ, LANES, PHASES, ROW_BITS
from .ddr3_controller import COMMANDS, PULSES
from .ddr3_start import READ, WRITE, Ddr3Start
from .litedram_module import NAME
from .widener import Widener

BURST_BITS = DATA_BITS * BURST

PHY = {
    "address": Out(PHASES * ROW_BITS),
    "bank": Out(PHASES * BANK_BITS),
    **{name: Out(PHASES, init=(1 << PHASES) - 1) for name in ("ras_n", "cas_n", "we_n")},
    "wrdata": Out(BURST_BITS),
    "wrdata_mask": Out(BURST_BITS // 8),
    "wrdata_en": Out(PHASES),
    "rddata_en": Out(PHASES),
    "cke": Out(1),
    "rddata": In(BURST_BITS),
    "rddata_valid": In(1),
    "select": Out(LANES),
    **{name: Out(1) for name in PULSES},
    "burst_seen": In(LANES),
}
"""Of the PHY (`ddr3_controller.phy_verilog`) but its clocks and pads."""


class Ddr3(wiring.Component):
    """512 MB of DDR3, 16 bits wide, behind an AXI4 port of 64. Addresses beyond it repeat it; responses are OKAY.

    The chip is started after reset (`Ddr3Start`); addresses are taken from then on.

    A burst of the chip is two beats in two cycles, at most, less some cycles for every refresh and where reads and
    writes take turns: `tests/boards/gateware/test_ddr3.py` measures it.

    Parameters
    ----------
    clock_hz : float
        Half the chip's, which may have 125 MHz without its DLL.
    address_bits : int
        Of the port.

    Members
    -------
    reads : In(axi4_read), writes : In(axi4_write); ids have one bit
    ready : Out(1), the chip has been started; failed : Out(1), it could not be
    pads : `PHY`, what the PHY makes of them
    """

    capacity = CAPACITY
    """Bytes."""
    failure = "DDR3 cannot be read: switch the board off and on"
    """What people are told when it has failed."""

    def __init__(self, *, clock_hz: float, address_bits: int) -> None:
        if PHASES * clock_hz > FASTEST_HZ:
            raise ValueError(f"clock_hz = {clock_hz!r}: must be {FASTEST_HZ / PHASES} at most, as the chip has no DLL")
        self.clock_hz = clock_hz
        self.widener = Widener(data_bits=BURST_BITS // 2, address_bits=address_bits)
        widths = {"address_bits": address_bits, "data_bits": BURST_BITS // 2, "id_bits": 1}
        super().__init__(
            {
                "reads": In(axi4_read(**widths)),
                "writes": In(axi4_write(**widths)),
                "ready": Out(1),
                "failed": Out(1),
                "pads": Out(wiring.Signature(PHY)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.start = start = Ddr3Start(clock_hz=self.clock_hz)
        m.submodules.widener = widener = self.widener
        wiring.connect(m, wiring.flipped(self.reads), widener.reads)
        wiring.connect(m, wiring.flipped(self.writes), widener.writes)
        phy = self.pads
        theirs = {name: Signal.like(getattr(phy, name), name=f"controller_{name}") for name in COMMANDS}
        m.submodules.controller = Instance(
            NAME,
            i_sys_clk=ClockSignal(),
            i_sys_rst=~start.done,
            i_rddata=phy.rddata,
            i_rddata_valid=phy.rddata_valid,
            i_read_phase=start.read_phase,
            **{f"o_{name}": signal for name, signal in theirs.items()},
            **controller_ports(
                m, widener.wide_reads, widener.wide_writes, address_bits=ADDRESS_BITS, started=start.done
            ),
        )
        ours = self._first_commands(start)
        m.d.comb += [
            *(getattr(phy, name).eq(Mux(start.done, theirs[name], ours[name])) for name in COMMANDS),
            phy.cke.eq(start.enable),
            start.seen.eq(phy.rddata),
            start.seen_valid.eq(phy.rddata_valid),
            phy.select.eq(start.select),
            *(getattr(phy, name).eq(getattr(start, name)) for name in PULSES),
            start.burst_seen.eq(phy.burst_seen),
            self.ready.eq(start.done),
            self.failed.eq(start.failed),
        ]
        return m

    def _first_commands(self, start: Ddr3Start) -> dict[str, object]:
        """Those with which the chip is started, each in its phase."""
        reads = start.command == READ
        in_phase_1 = reads & start.read_phase
        phases = Cat(~in_phase_1, in_phase_1)
        pins = zip(("ras_n", "cas_n", "we_n"), start.command, strict=True)
        return {
            "address": start.address.replicate(PHASES),
            "bank": start.bank.replicate(PHASES),
            **{name: ~(pin.replicate(PHASES) & phases) for name, pin in pins},
            "wrdata": start.data,
            "wrdata_mask": Const(0, BURST_BITS // 8),
            "wrdata_en": Cat(start.command == WRITE, Const(0, 1)),
            "rddata_en": reads.replicate(PHASES) & phases,
        }
