"""The accelerator in a LiteX SoC: its registers on the SoC's bus and in its register map, its memory behind LiteDRAM.

    from celosia.arch.config import load_config
    from celosia.boards.flows.litex import add_celosia

    soc = BaseSoC(...)  # with SDRAM: of litex-boards, or your own
    add_celosia(soc, load_config("ecp5"))

Needs the packages litex and litedram (`pip install 'celosia[litex]'`). docs/litex.md says what software then finds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from litedram.frontend.axi import LiteDRAMAXI2Native
from litex.gen import LiteXModule
from litex.soc.integration.soc import SoCCSRRegion, SoCRegion
from litex.soc.interconnect.axi import AXIInterface, AXILiteInterface
from litex.soc.interconnect.csr import CSRField, CSRStatus, CSRStorage
from migen import ClockSignal, Instance, ResetSignal, Signal

from ...arch.config import AcceleratorConfig, Bus, ConfigError, derive
from ...arch.registers import Register, registers
from ...hdl.verilog import accelerator_ports, accelerator_verilog
from .design import CLOCK, INTERRUPT, REGISTER_PORT, REGISTER_SPACE, RESET

NAME = "celosia"
"""Of the Verilog's top module and its file; of all else in the SoC, too, unless the user says another."""

WORD_BYTES = 4

READ_BUFFER_BEATS = 32
"""Beats that LiteDRAM's bridge asks for ahead: more than a read takes in cycles, so that one comes every cycle. Its own
default, 16, is not, where the PHY takes as long as that of an ECP5: 6.4 bytes a cycle and not 7.0."""


class Interrupt(LiteXModule):
    """What a SoC looks for as `ev` in a module with an interrupt.

    Not LiteX's EventManager: the accelerator has status and enable registers of its own.
    """

    def __init__(self) -> None:
        self.irq = Signal()


class Celosia(LiteXModule):
    """An accelerator in clock domain `sys`; the platform gets its Verilog when the SoC is finalized.

    Most SoCs want `add_celosia`, which connects all of it.

    Parameters:
        platform: of the SoC.
        config: of the accelerator.

    Attributes:
        registers: AXI4-Lite slave, 4 KiB.
        memory: AXI4 master, `bus.data_bits` wide.
        ev: its `irq` is high while an enabled interrupt waits.

    Raises:
        ConfigError: the config is illegal, or has several memory ports.
    """

    def __init__(self, platform: Any, config: AcceleratorConfig) -> None:
        derive(config)
        if config.bus.ports > 1:
            raise ConfigError("bus.ports", config.bus.ports, "a LiteX SoC has one SDRAM, and it gets one port", 1)
        self._platform, self._config = platform, config
        ports = accelerator_ports(config)
        widths = {name: bits for name, _, bits in ports}
        (master,) = config.bus.masters
        self.registers = AXILiteInterface(data_width=8 * WORD_BYTES, address_width=32)
        self.memory = AXIInterface(
            data_width=config.bus.data_bits,
            address_width=config.bus.address_bits,
            id_width=widths[f"{master}_arid"],
        )
        self.ev = Interrupt()
        signals = {CLOCK: ClockSignal("sys"), RESET: ResetSignal("sys"), INTERRUPT: self.ev.irq}
        for name, bits in widths.items():
            if name not in signals:
                bus = self.registers if name.startswith(REGISTER_PORT) else self.memory
                signal = _channel_signal(bus, name.rpartition("_")[2])
                # The SoC's bus gives whole addresses, the accelerator takes those within its region.
                signals[name] = signal if len(signal) == bits else signal[:bits]
        self.specials += Instance(NAME, **{f"{direction[0]}_{name}": signals[name] for name, direction, _ in ports})

    def do_finalize(self) -> None:
        """Write the Verilog into the build's folder and tell the platform."""
        folder = Path(self._platform.output_dir or Path("build") / self._platform.name)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{NAME}.v"
        path.write_text(accelerator_verilog(self._config, name=NAME))
        self._platform.add_source(str(path))


def _channel_signal(bus: Any, member: str) -> Any:
    """Signal of one of LiteX's AXI interfaces by AXI's own name: `araddr`, `wready`."""
    channel = next(name for name in ("aw", "ar", "w", "b", "r") if member.startswith(name))
    return getattr(getattr(bus, channel), member.removeprefix(channel))


def add_celosia(soc: Any, config: AcceleratorConfig, *, name: str = NAME, origin: int | None = None) -> Celosia:
    """Put an accelerator into a SoC that has its SDRAM already (`soc.add_sdram`).

    Its registers get a region of the bus and stand in the SoC's register map, so that csr.csv, csr.json, csr.h and the
    SVD file have them (`celosia_control` and so on). Its memory port is one of LiteDRAM's. Its interrupt, if the CPU
    takes any, is one of the SoC's.

    Args:
        soc: a LiteXSoC.
        config: of the accelerator; `bus.data_bits` is what LiteDRAM's controller has, which is fastest, or a multiple.
        name: of instance, region, registers and interrupt.
        origin: address of the registers, a multiple of 4 KiB behind the SoC's own registers; None: what `soc.mem_map`
            says, or the first that is free.

    Raises:
        ConfigError: an illegal config, one that does not fit LiteDRAM's port, an illegal origin, or there is no SDRAM.
    """
    celosia = Celosia(soc.platform, config)
    celosia.bridge = litedram_bridge(soc, celosia.memory, config.bus)
    _add_registers(soc, celosia, name, origin)
    if soc.irq.enabled:
        soc.irq.add(name, use_loc_if_exists=True)
    soc.add_module(name=name, module=celosia)
    return celosia


def litedram_bridge(soc: Any, memory: AXIInterface, bus: Bus) -> LiteDRAMAXI2Native:
    """A port of the SoC's LiteDRAM for an accelerator's memory port, at the addresses of the SoC's bus.

    Responses are OKAY always, also beyond the SDRAM, whose addresses repeat there.

    Raises:
        ConfigError: there is no SDRAM, or the bus cannot reach all of it or is narrower than it.
    """
    region = soc.bus.regions.get("main_ram")
    if region is None or not hasattr(soc, "sdram"):
        raise ConfigError("soc", type(soc).__name__, "has no LiteDRAM behind main_ram", "soc.add_sdram() before")
    end = region.origin + region.size
    if end > 1 << bus.address_bits:
        raise ConfigError("bus.address_bits", bus.address_bits, f"main_ram ends at {end:#x}", (end - 1).bit_length())
    own = soc.sdram.crossbar.controller.data_width
    if bus.data_bits % own:
        # Its converter from a narrow port takes data before the address, which its AXI bridge counts below zero: the
        # first writes lock up. It also reads one wide word at a time, an eighth of the speed.
        legal = "an SDRAM of another width" if own & (own - 1) else own
        raise ConfigError("bus.data_bits", bus.data_bits, f"no multiple of LiteDRAM's {own} bits", legal)
    if hasattr(soc, "l2_cache"):
        soc.logger.warning("The accelerator reads SDRAM, not the L2 cache: call flush_l2_cache() before it starts.")
    return LiteDRAMAXI2Native(
        memory,
        soc.sdram.crossbar.get_port(data_width=bus.data_bits),
        r_buffer_depth=READ_BUFFER_BEATS,
        base_address=region.origin,
    )


def _add_registers(soc: Any, celosia: Celosia, name: str, origin: int | None) -> None:
    """Give the registers a region of the bus, and tell the SoC's register map what is in it."""
    # LiteX writes addresses of registers relative to the lowest one, which must be the SoC's own.
    first = soc.mem_map["csr"] + (WORD_BYTES << soc.csr.address_width)
    if origin is None:
        origin = soc.mem_map.get(name)
    if origin is None:
        origin = _free(soc, first)
    if origin < first or origin % REGISTER_SPACE:
        reason = f"must be a multiple of {REGISTER_SPACE:#x} behind the SoC's own registers, which end at {first:#x}"
        raise ConfigError("origin", f"{origin:#x}", reason, f"{_free(soc, first):#x}")
    region = SoCRegion(origin=origin, size=REGISTER_SPACE, cached=False)
    soc.bus.add_slave(name=name, slave=celosia.registers, region=region)
    soc.csr.add_region(name, SoCCSRRegion(origin=origin, busword=8 * WORD_BYTES, obj=list(_described())))


def _free(soc: Any, first: int) -> int:
    """The first address from `first` on where a region of the registers overlaps nothing."""
    while True:
        region = SoCRegion(origin=first, size=REGISTER_SPACE, cached=False)
        if all(soc.bus.check_regions_overlap({"0": region, "1": other}) is None for other in soc.bus.regions.values()):
            return first
        first += REGISTER_SPACE


def _described() -> Iterator[CSRStatus | CSRStorage]:
    """The registers as LiteX's own, for its register maps only; a word that the map lacks is reserved."""
    known = {register.offset: register for register in registers()}
    for offset in range(0, max(known) + WORD_BYTES, WORD_BYTES):
        reserved = CSRStatus(8 * WORD_BYTES, name=f"reserved_{offset:03x}")
        yield _as_csr(known[offset]) if offset in known else reserved


def _as_csr(register: Register) -> CSRStatus | CSRStorage:
    fields = [CSRField(f.name, size=f.width, offset=f.low, reset=f.reset) for f in register.fields]
    kind = CSRStorage if any(f.writable for f in register.fields) else CSRStatus
    return kind(fields=fields, name=register.name.lower())
