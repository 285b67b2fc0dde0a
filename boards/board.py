"""Boards as data: which design, which config, how much memory, and how the tools are called for its device."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..arch.config import AcceleratorConfig, derive, load_config
from .errors import SynthesisError
from .families import TARGETS, Target
from .gateware.block_memory import COLUMN_BEATS
from .projects.project import PROJECTS
from .tools import check_package

PINS_PACKAGE = "amaranth-boards"
"""Of PyPI: knows the pins."""


@dataclass(frozen=True)
class Board:
    """A board whose bitstream open tools make.

    Attributes:
        title: for people.
        module: of this package, with the platform and the top level below.
        platform, top: names of classes in it.
        preset: of the config.
        target: a key of `families.TARGETS`; its default device is the board's.
        columns: of the block RAM behind the accelerator.
        memories: those of the design for which Yosys's own choice between block RAM and LUT RAM is not the board's: a
            pattern of modules, one of memories in them, and ``block`` or ``distributed``.
    """

    title: str
    module: str
    platform: str
    top: str
    preset: str
    target: str
    columns: int
    memories: tuple[tuple[str, str, str], ...]

    @property
    def config(self) -> AcceleratorConfig:
        """The accelerator that is on it."""
        return load_config(self.preset)

    @property
    def family(self) -> Target:
        """How its device is synthesized and placed."""
        return TARGETS[self.target]

    @property
    def memory_beats(self) -> int:
        """Words of the memory, each as wide as the bus."""
        return self.columns * COLUMN_BEATS

    @property
    def memory_bytes(self) -> int:
        """Size of the memory."""
        return self.memory_beats * derive(self.config).bus_bytes

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

    def make(self, contents: Sequence[int]) -> tuple[Any, Any]:
        """A platform of amaranth-boards, and the design for it.

        Raises:
            SynthesisError: amaranth-boards is missing.
        """
        check_package(PINS_PACKAGE)
        module = import_module(f".{self.module}", __package__)
        return getattr(module, self.platform)(), getattr(module, self.top)(self.config, contents=contents)


BOARDS: dict[str, Board] = {
    "ulx3s": Board(
        title="ULX3S 85F (LFE5U-85F-6)",
        module="ulx3s",
        platform="ULX3S_85F_Platform",
        top="Ulx3sTop",
        preset="ulx3s",
        target="ecp5",
        columns=19,
        memories=(
            ("*.tail", "words", "block"),
            ("*.stream.payload*", "bank_*", "block"),
            ("*.tail", "exponents", "distributed"),
            ("*.matrix.engine.accumulators.*", "sums", "distributed"),
            ("*.stream.reader.responses", "storage", "distributed"),
            ("*.softmax.power", "ring", "distributed"),
            ("*.softmax.scale*", "ring", "distributed"),
        ),
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
