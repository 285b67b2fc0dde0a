"""LiteDRAM's controller for a chip of SDR SDRAM as one Verilog module, made when a design is.

No processor starts the chip and no pads are in it: `sdram.py` does the one, the board the other.
"""

from typing import ClassVar

from litedram.common import PhySettings
from litedram.modules import MT48LC16M16, _SpeedgradeTimings

from .litedram_module import NAME, LiteDramModule, module_verilog
from .sdram_chip import ADDRESS_BITS, CAS_LATENCY, DATA_BITS

READ_BUFFER, WRITE_BUFFER = 16, 16
"""Words of the port's buffers: more than a read takes in cycles, so that one comes every cycle."""

COMMAND = ("address", "bank", "cas_n", "ras_n", "we_n")
WRITE = ("wrdata", "wrdata_en", "wrdata_mask")
"""Signals of the DFI interface that the pads need, which are those of the chip and who drives its data."""


class Chip(MT48LC16M16):
    """Slowest in every respect of what is on boards of this kind, in ns: AS4C32M16SB, IS42S16160G, MT48LC16M16."""

    speedgrade_timings: ClassVar = {
        "default": _SpeedgradeTimings(tRP=21, tRCD=21, tWR=28, tRFC=(None, 70), tFAW=None, tRAS=45)
    }


class _Controller(LiteDramModule):
    """Controller and AXI4 port; its further ports are called as in `COMMAND` and `WRITE`."""

    def __init__(self, clock_hz: float) -> None:
        super().__init__()
        settings = PhySettings(
            phytype="pads",
            memtype="SDR",
            databits=DATA_BITS,
            dfi_databits=DATA_BITS,
            nphases=1,
            rdphase=0,
            wrphase=0,
            cl=CAS_LATENCY,
            # Registers at the pads on both ways; the chip's clock is a part of a cycle late, so that one cycle counts.
            read_latency=CAS_LATENCY + 1,
            write_latency=0,
        )
        chip = Chip(clock_hz, "1:1")
        buffers = (READ_BUFFER, WRITE_BUFFER)
        self.add_controller(settings, chip, clock_hz, data_bits=DATA_BITS, address_bits=ADDRESS_BITS, buffers=buffers)
        phase = self.controller.dfi.phases[0]
        for name in (*COMMAND, *WRITE):
            self.add_port(name, getattr(phase, name), comes=False)
        self.add_port("rddata", phase.rddata, comes=True)


def controller_verilog(clock_hz: float) -> str:
    """Module `litedram`: an AXI4 slave of 16 bits, and what happens at the chip's pads in the next cycle."""
    return module_verilog(lambda: _Controller(clock_hz), NAME, {})
