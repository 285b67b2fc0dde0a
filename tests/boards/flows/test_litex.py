"""A LiteX SoC with SDRAM and accelerator: what LiteX generates says the golden machine's text."""

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from litedram.modules import MT41K64M16, MT48LC16M16
from litex.soc.integration.soc_core import SoCCore

from celosia.arch.config import Bus, ConfigError, load_config
from celosia.arch.registers import offsets
from celosia.boards.flows.litex import add_celosia

from ...harness.runner import TOP, run_bench
from . import litex_host  # noqa: F401, a CPU by name
from .litex_memory import CLOCK_HZ, MemorySoC

EXAMPLE_FILE = Path(__file__).parents[3] / "examples" / "litex_soc.py"
REMARK = re.compile(r"^//.*\n", re.MULTILINE)
"""Among them the date, which would have every build differ."""


def load_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("litex_soc", EXAMPLE_FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLE = load_example()
NO_MEMORIES = {"integrated_rom_size": 0, "integrated_sram_size": 0}


def new_platform() -> Any:
    return EXAMPLE.VerilogPlatform("none", list(EXAMPLE.PINS), name="soc")


def built(soc: Any, folder: Path) -> tuple[str, dict[str, Any]]:
    """Verilog of a SoC and all that is in it, and its csr.json."""
    soc.cpu_type = None  # or LiteX prepares the compilation of a BIOS
    EXAMPLE.build(soc, folder, TOP)
    verilog = [path.read_text() for path in (folder / "gateware" / f"{TOP}.v", *folder.glob("*.v"))]
    return REMARK.sub("", "".join(verilog)), json.loads((folder / "csr.json").read_text())


def test_soc_says_what_the_golden_machine_says(tmp_path: Path) -> None:
    config = load_config("ecp5")
    verilog, soc = built(EXAMPLE.AcceleratedSoC(new_platform(), config, cpu_type="host", **NO_MEMORIES), tmp_path)
    region = soc["memories"]["celosia"]
    assert region == {"base": 0xF001_0000, "size": 4096, "type": "io"}
    header = (tmp_path / "software" / "include" / "generated" / "csr.h").read_text()
    for name, offset in offsets().items():
        assert soc["csr_registers"][f"celosia_{name.lower()}"]["addr"] == region["base"] + offset
        assert f"#define CSR_CELOSIA_{name}_ADDR (CSR_BASE + {0x1_0000 + offset:#x}L)" in header
    parameters = {"config": config.to_dict(), "soc": soc, "prompt": "The cat", "steps": 3}
    run_bench(verilog, "tests.boards.flows.bench_litex", name="litex", parameters=parameters, ours=False)


def test_example_runs_as_it_says(tmp_path: Path) -> None:
    process = subprocess.run([sys.executable, EXAMPLE_FILE, tmp_path], capture_output=True, text=True, check=True)
    assert process.stdout == "registers at 0x10000; image and cache in 64 MiB from 0x40000000 on\n"
    assert (tmp_path / "celosia.v").is_file() and (tmp_path / "gateware" / "soc.v").is_file()
    assert "csr_register,celosia_control,0x00010004,1,rw" in (tmp_path / "csr.csv").read_text()


# A quarter of the bus's width, and all of it.
SDRAMS = {"sdr16": (MT48LC16M16, "1:1", 16), "ddr3x8": (MT41K64M16, "1:4", 8)}


@pytest.mark.parametrize("name", SDRAMS)
def test_memory_keeps_every_byte(name: str, tmp_path: Path) -> None:
    module, rate, bits = SDRAMS[name]
    soc = MemorySoC(new_platform(), Bus(), module(CLOCK_HZ, rate), bits, **NO_MEMORIES)
    verilog, description = built(soc, tmp_path)
    parameters = {"base": description["memories"]["main_ram"]["base"]}
    bench = "tests.boards.flows.bench_litex_memory"
    run_bench(verilog, bench, name=f"litex memory {name}", parameters=parameters, ours=False)


@pytest.mark.parametrize(
    ("bus", "bits", "said"),
    [
        (Bus(data_bits=64), 16, "bus.data_bits = 64: no multiple of LiteDRAM's 128 bits; nearest legal value: 128"),
        (
            Bus(data_bits=64),
            24,
            "bus.data_bits = 64: no multiple of LiteDRAM's 192 bits; nearest legal value: 'an SDRAM",
        ),
        (Bus(address_bits=30), 8, "bus.address_bits = 30: main_ram ends at 0x44000000; nearest legal value: 31"),
    ],
)
def test_memory_that_does_not_fit_is_refused(bus: Bus, bits: int, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        MemorySoC(new_platform(), bus, MT41K64M16(CLOCK_HZ, "1:4"), bits, **NO_MEMORIES)


def plain_soc(**options: Any) -> SoCCore:
    """Without SDRAM."""
    return SoCCore(new_platform(), CLOCK_HZ, cpu_type=None, with_uart=False, **options)


def test_accelerator_that_does_not_fit_is_refused() -> None:
    several = replace(load_config("default"), bus=Bus(data_bits=128, ports=2))
    with pytest.raises(ConfigError, match=r"bus\.ports = 2: .*; nearest legal value: 1"):
        add_celosia(plain_soc(), several)
    with pytest.raises(ConfigError, match=r"soc = 'SoCCore': .*add_sdram"):
        add_celosia(plain_soc(), load_config("ecp5"))


@pytest.mark.parametrize("origin", [0xF000_0000, 0xF001_0800])
def test_registers_where_they_cannot_be_are_refused(origin: int) -> None:
    soc = EXAMPLE.AcceleratedSoC(new_platform(), load_config("ecp5"), cpu_type="host", **NO_MEMORIES)
    with pytest.raises(ConfigError, match=rf"origin = '{origin:#x}': .*; nearest legal value: '0xf0011000'"):
        add_celosia(soc, load_config("ecp5"), name="second", origin=origin)


def test_registers_stand_where_the_user_says() -> None:
    class Elsewhere(EXAMPLE.AcceleratedSoC):
        mem_map: ClassVar = {**SoCCore.mem_map, "celosia": 0xF800_0000}

    soc = Elsewhere(new_platform(), load_config("ecp5"), cpu_type="host", **NO_MEMORIES)
    assert soc.bus.regions["celosia"].origin == soc.csr.regions["celosia"].origin == 0xF800_0000
