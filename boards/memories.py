"""The two kinds of memory behind an accelerator on a board, and how a model comes into each."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..arch.config import AcceleratorConfig, derive
from ..driver.compiler import CompiledModel
from .boot import flash_file, memory_words
from .contents import hex_text, lanes, pattern
from .errors import SynthesisError
from .flow import Flow
from .gateware.block_memory import COLUMN_BEATS
from .tools import Tick


@dataclass(frozen=True)
class BlockRam:
    """Block RAM. Its content is part of the bitstream: a design has a pattern there, which is then exchanged.

    Attributes:
        columns: of the memory.
    """

    columns: int

    def beats(self) -> int:
        """Words, each as wide as the bus."""
        return self.columns * COLUMN_BEATS

    def size(self, config: AcceleratorConfig) -> int:
        """Bytes."""
        return self.beats() * derive(config).bus_bytes

    def design(self, config: AcceleratorConfig) -> dict[str, Any]:
        """Arguments of the board's top level."""
        return {"contents": pattern(self.beats(), config.bus.data_bits)}

    def contents(self, compiled: CompiledModel) -> list[int]:
        """What the memory shall hold.

        Raises:
            RequestError: it is too much; says by how much.
        """
        return memory_words(compiled, self.size(compiled.config))

    def pack(self, folder: Path, compiled: CompiledModel, flow: Flow, tick: Tick) -> list[str]:
        """Make ``model.*``, text and bitstream, of ``placed.*``; returns the names of further files for the user.

        Raises:
            SynthesisError: a tool is missing or fails, or the pattern was not found.
        """
        data_bits, new = compiled.config.bus.data_bits, self.contents(compiled)
        old = pattern(len(new), data_bits)
        files = {"pattern.hex": old, "image.hex": new}
        for name, words in files.items():
            (folder / name).write_text(hex_text(words, data_bits))
        flow.exchange(folder, lanes(old, data_bits), lanes(new, data_bits), tick)
        flow.pack(folder, tick)
        return [*files]


@dataclass(frozen=True)
class FlashedSdram:
    """SDRAM, which the design fills from the flash that also holds the bitstream: no model is in that.

    Attributes:
        flash_offset: where the model's file stands in the flash, behind the bitstream.
        flash_bytes: of the flash.
        memory_bytes: of the SDRAM.
    """

    flash_offset: int
    flash_bytes: int
    memory_bytes: int

    def size(self, config: AcceleratorConfig) -> int:
        """Bytes of SDRAM."""
        return self.memory_bytes

    def design(self, config: AcceleratorConfig) -> dict[str, Any]:
        """Arguments of the board's top level."""
        return {"flash_offset": self.flash_offset}

    def contents(self, compiled: CompiledModel) -> bytes:
        """The model's file.

        Raises:
            RequestError: the SDRAM or the flash is too small; says by how much.
        """
        return flash_file(compiled, self.size(compiled.config), self.flash_bytes - self.flash_offset)

    def pack(self, folder: Path, compiled: CompiledModel, flow: Flow, tick: Tick) -> list[str]:
        """Make ``model.*``, text and bitstream, of ``placed.*``; returns the names of further files for the user.

        Raises:
            SynthesisError: a tool is missing or fails, or the bitstream reaches into the model's file.
        """
        shutil.copy(folder / f"placed.{flow.text}", folder / f"model.{flow.text}")
        flow.pack(folder, tick)
        size = (folder / f"model.{flow.bitstream}").stat().st_size
        if size > self.flash_offset:
            raise SynthesisError(
                f"the bitstream takes {size:,} bytes of flash, {size - self.flash_offset:,} more than are before the "
                "model: raise flash_offset in boards/board.py"
            )
        (folder / "model.img").write_bytes(self.contents(compiled))
        return ["model.img"]
