"""A LiteX SoC with an accelerator on its SDRAM, as Verilog for any simulator: prints where software finds what.

    pip install 'celosia[litex]'
    python examples/litex_soc.py build/litex_soc

The SDRAM is LiteDRAM's controller and LiteDRAM's own model of a DDR3 chip with 8 data pins: 64 bits a cycle, as many as
the accelerator's bus has. There is no CPU unless the caller wants one: `AcceleratedSoC(..., cpu_type="vexriscv")`.
"""

import argparse
from contextlib import chdir
from pathlib import Path
from typing import Any

from litedram.modules import MT41K64M16
from litedram.phy.model import SDRAMPHYModel
from litex.build.generic_platform import GenericPlatform, Pins
from litex.build.io import CRG
from litex.soc.integration.builder import Builder
from litex.soc.integration.soc_core import SoCCore

from celosia.arch.config import AcceleratorConfig, load_config
from celosia.boards.flows.litex import add_celosia

CLOCK_HZ = 100_000_000
SDRAM_BITS = 8
PINS = (("sys_clk", 0, Pins(1)), ("sys_rst", 0, Pins(1)))


class VerilogPlatform(GenericPlatform):
    """No FPGA: the Verilog is all that it builds. LiteX's own SimPlatform also builds a simulator around it."""

    def build(self, soc: Any, build_dir: str, build_name: str, **_: Any) -> Any:
        """Write build_dir/build_name.v; the names that signals have there."""
        fragment = soc.get_fragment()
        self.finalize(fragment)
        verilog = self.get_verilog(fragment, name=build_name)
        with chdir(build_dir):  # where it also writes what memories start with
            verilog.write(f"{build_name}.v")
        return verilog.ns


class AcceleratedSoC(SoCCore):
    """Bus, SDRAM and accelerator. What else a SoC has, `options` choose: they are SoCCore's."""

    def __init__(self, platform: Any, config: AcceleratorConfig, **options: Any) -> None:
        super().__init__(platform, CLOCK_HZ, **{"cpu_type": None, "with_uart": False, **options})
        self.crg = CRG(platform.request("sys_clk"), platform.request("sys_rst"))
        module = MT41K64M16(CLOCK_HZ, "1:4")
        self.sdram_phy = SDRAMPHYModel(module, data_width=SDRAM_BITS, clk_freq=CLOCK_HZ)
        # Without an L2 cache, what software writes is in the SDRAM at once.
        self.add_sdram("sdram", phy=self.sdram_phy, module=module, l2_cache_size=0)
        add_celosia(self, config)


def build(soc: AcceleratedSoC, folder: Path, name: str = "soc") -> None:
    """Write gateware/{name}.v, celosia.v, csr.csv, csr.json, csr.svd and software/include/generated/csr.h."""
    builder = Builder(soc, output_dir=str(folder), compile_software=False, csr_svd=str(folder / "csr.svd"))
    builder.build(build_name=name)


def main() -> None:
    """Build the SoC into a folder that the command line names; exit code 2 if that cannot be written."""
    parser = argparse.ArgumentParser(description="Write a LiteX SoC with an accelerator on its SDRAM as Verilog.")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where to write it; made if it is not there")
    folder = parser.parse_args().folder
    try:
        folder.mkdir(parents=True, exist_ok=True)  # before the work, of which nothing could be kept
        soc = AcceleratedSoC(VerilogPlatform("none", list(PINS), name="soc"), load_config("ecp5"))
        build(soc, folder)
    except OSError as error:
        parser.exit(2, f"{parser.prog}: {error.filename or folder}: {error.strerror}: give another folder\n")
    registers, memory = soc.bus.regions["celosia"], soc.bus.regions["main_ram"]
    print(f"registers at {registers.origin:#x}; image and cache in {memory.size >> 20} MiB from {memory.origin:#x} on")


if __name__ == "__main__":
    main()
