"""Boards as data: which design, which config, how much memory, and how the tools are called for its device."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..arch.config import AcceleratorConfig, load_config
from .apicula import Apicula
from .errors import SynthesisError
from .families import DEVICES, TARGETS, Target
from .flow import Flow
from .gateware import ddr3_chip, sdram_chip
from .memories import BlockRam, FlashedSdram
from .projects.project import PROJECTS
from .tools import check_package
from .trellis import Trellis

PINS_PACKAGE = "amaranth-boards"
"""Of PyPI: knows the pins."""

WIDE_MEMORIES = (
    ("*.tail", "words", "block"),
    ("*.stream.payload*", "bank_*", "block"),
)
"""Memories for which Yosys would take LUT RAM, and wires to all of it."""

SPARE_MEMORIES = (
    *WIDE_MEMORIES,
    ("*.tail", "exponents", "block"),
    ("*.attention.unit", "probabilities_*", "block"),
    ("*.rope", "table", "block"),
)
"""More of them, where block RAM holds no model: it takes what would be as much LUT RAM.

Not all that it could: wires to a word of 256 bits in a row of block RAMs are longer than to one in LUTs.
"""


ALL_MEMORIES = (
    *SPARE_MEMORIES,
    ("*.program", "words", "block"),
    ("*.activations", "bank_*", "block"),
    ("*.merger.buffer", "*", "block"),
    ("*.quantizer", "ring", "block"),
    ("*.quantizer_0", "ring", "block"),
)
"""Those as well, where there is block RAM to spare and LUT RAM costs most: on Gowin 16 x 4 bits take eight LUTs."""


@dataclass(frozen=True)
class Board:
    """A board whose bitstream open tools make.

    Attributes:
        title: for people.
        module: of this package, with the platform and the top level below.
        platform, top: names of classes in it.
        preset: of the config.
        target: a key of `families.TARGETS`, if its default device is the board's, or of `families.DEVICES`.
        flow: from its netlist to a bitstream.
        memory: behind the accelerator.
        packages: of PyPI, that design and flow need besides Yosys, nextpnr and `PINS_PACKAGE`.
        memories: those of the design for which Yosys's own choice between block RAM and LUT RAM is not the board's: a
            pattern of modules, one of memories in them, and ``block`` or ``distributed``.
    """

    title: str
    module: str
    platform: str
    top: str
    preset: str
    target: str
    flow: Flow
    memory: BlockRam | FlashedSdram
    memories: tuple[tuple[str, str, str], ...]
    packages: tuple[str, ...] = ()

    @property
    def config(self) -> AcceleratorConfig:
        """The accelerator that is on it."""
        return load_config(self.preset)

    @property
    def family(self) -> Target:
        """How its device is synthesized and placed."""
        return {**TARGETS, **DEVICES}[self.target]

    @property
    def memory_bytes(self) -> int:
        """Size of the memory."""
        return self.memory.size(self.config)

    @property
    def attributes(self) -> list[str]:
        """Yosys commands that choose block RAM or LUT RAM; one that finds no memory fails."""
        return [
            command
            for module, name, style in self.memories
            for command in (
                f"select -assert-min 1 {module}/m:{name}",
                f'setattr -set ram_style "{style}" {module}/m:{name}',
            )
        ]

    def make(self, **arguments: Any) -> tuple[Any, Any]:
        """A platform of amaranth-boards, and the design for it.

        Args:
            arguments: of the top level, those that are not as in the bitstream (`memory.design`).

        Raises:
            SynthesisError: a package is missing.
        """
        for package in (PINS_PACKAGE, *self.packages):
            check_package(package)
        module = import_module(f".{self.module}", __package__)
        top = getattr(module, self.top)(self.config, **{**self.memory.design(self.config), **arguments})
        return getattr(module, self.platform)(), top


BOARDS: dict[str, Board] = {
    "ulx3s": Board(
        title="ULX3S 85F (LFE5U-85F-6)",
        module="ulx3s",
        platform="ULX3S_85F_Platform",
        top="Ulx3sTop",
        preset="ulx3s",
        target="ecp5",
        flow=Trellis(),
        memory=BlockRam(columns=19),
        memories=(
            *WIDE_MEMORIES,
            ("*.tail", "exponents", "distributed"),
            ("*.matrix.engine.accumulators.*", "sums", "distributed"),
            ("*.stream.reader.responses", "storage", "distributed"),
            ("*.softmax.power", "ring", "distributed"),
            ("*.softmax.scale*", "ring", "distributed"),
        ),
    ),
    "ulx3s-sdram": Board(
        title="ULX3S 85F (LFE5U-85F-6) with SDRAM",
        module="ulx3s_sdram",
        platform="ULX3S_85F_Platform",
        top="Ulx3sSdramTop",
        preset="ulx3s-sdram",
        target="ecp5",
        flow=Trellis(),
        memory=FlashedSdram(flash_offset=0x20_0000, flash_bytes=16 << 20, memory_bytes=sdram_chip.CAPACITY),
        memories=SPARE_MEMORIES,
        packages=("litex", "litedram"),
    ),
    "ecpix5": Board(
        title="ECPIX-5 85F (LFE5UM5G-85F-8) with DDR3",
        module="ecpix5",
        platform="ECPIX585Platform",
        top="Ecpix5Top",
        preset="ecpix5",
        target="LFE5UM5G-85F-8",
        flow=Trellis(),
        memory=FlashedSdram(flash_offset=0x20_0000, flash_bytes=16 << 20, memory_bytes=ddr3_chip.CAPACITY),
        memories=SPARE_MEMORIES,
        packages=("litex", "litedram"),
    ),
    "tang-mega-138k": Board(
        title="Tang Mega 138K Pro (GW5AST-138C)",
        module="tang_mega",
        platform="TangMegaPlatform",
        top="TangMegaTop",
        preset="ulx3s",
        target="gw5a",
        flow=Apicula(TARGETS["gw5a"].device),
        memory=BlockRam(columns=19),
        memories=ALL_MEMORIES,
        packages=("apycula",),
    ),
}
"""Name to board."""


def find_board(name: str) -> Board:
    """A board by name.

    Raises:
        SynthesisError: there is none; the message lists all.
    """
    if name not in BOARDS:
        raise SynthesisError(f"board {name!r} does not exist: choose one of {', '.join([*BOARDS, *PROJECTS])}")
    return BOARDS[name]
