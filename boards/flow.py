"""What differs between families on the way from a netlist to what a board takes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from .contents import Content
from .tools import Tick


class Flow(Protocol):
    """Tools behind Yosys and nextpnr for one family.

    Attributes:
        constraints, text, bitstream: how files end: pins and clocks, a placed design as text, what the board takes.
        arguments: of nextpnr; they name the files ``pins.*`` and ``placed.*``.
        settings: of nextpnr, those that are no arguments.
    """

    constraints: str
    text: str
    bitstream: str
    arguments: Sequence[str]
    settings: Mapping[str, str]

    def exchange(self, folder: Path, old: Sequence[Content], new: Sequence[Content], tick: Tick) -> None:
        """Make ``model.*`` of ``placed.*``, both text: block RAMs that hold `old` get `new`, each to each.

        Args:
            folder: has the memory's content before and after as ``pattern.hex`` and ``image.hex`` too.

        Raises:
            SynthesisError: a tool is missing or fails, or not every block RAM of the memory was found.
        """

    def pack(self, folder: Path, tick: Tick) -> None:
        """Make the bitstream of ``model.*``, called the same.

        Raises:
            SynthesisError: a tool is missing or fails.
        """
