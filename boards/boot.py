"""What a board without a processor has in its memory: the image, room for the cache, and settings for registers; or in
its flash, from where it is copied into memory: settings and image.

All that depends on the model stands here and none of it in the design, so that another model is another memory content
and not another synthesis.
"""

from collections.abc import Iterable
from zlib import crc32

import numpy as np

from ..arch.config import AcceleratorConfig, derive
from ..arch.formats import BLOCK
from ..arch.layout import ceil_div
from ..arch.model import Tokenizer
from ..arch.registers import offsets
from ..driver.compiler import CompiledModel
from ..driver.registers import IDENTIFICATION, RegisterAccelerator, end_of_text
from ..driver.requests import RequestError

ENTRY_FIELDS = {"value": 32, "register": 16}
"""An entry of the boot list: the low bits of a beat."""

SEND, CONTEXT = 0x1000, 0x1004
"""Registers of the console, behind those of the accelerator: a byte to send; positions of a text."""

LAST = 0xFFFF
"""The register of the entry that ends the list."""

LIST_BEATS = 128
"""Beats of the boot list: the last ones of block RAM, the first ones of what a flash holds."""

MAGIC = b"celosia1"
"""A file in flash begins with it."""

IMAGE_BASE = 4096
"""Where the image stands in a memory that was copied from flash."""


def list_offset(config: AcceleratorConfig, memory_bytes: int) -> int:
    """Where the boot list stands in a memory of that size."""
    return memory_bytes - LIST_BEATS * derive(config).bus_bytes


def check_tokenizer(name: str, tokenizer: Tokenizer | None) -> None:
    """A console sends the bytes of a text and shows tokens as bytes.

    Raises:
        RequestError: the model's tokens are something else, which some pair of characters would show.
    """
    letters = [chr(code) for code in range(0x20, 0x7F)]
    text = "".join(first + second for first in letters for second in letters) + "\n\u00e9\u20ac"
    if tokenizer is None or list(tokenizer.encode(text)) != list(text.encode()):
        raise RequestError(f"model {name!r} is not byte-level, and the console sends bytes; choose one that is")


def memory_words(compiled: CompiledModel, memory_bytes: int) -> list[int]:
    """The content of a memory, a word a beat: the image, zeros, the boot list.

    Raises:
        RequestError: image and cache do not fit; says by how much.
    """
    bus_bytes, start = derive(compiled.config).bus_bytes, list_offset(compiled.config, memory_bytes)
    _check_room(compiled, start, "the board's block RAM")
    content = np.zeros(memory_bytes, np.uint8)
    content[: len(compiled.image)] = compiled.image
    entries = np.frombuffer(_boot_list(compiled, 0), np.uint8)
    content[start : start + len(entries)] = entries
    raw = content.tobytes()
    return [int.from_bytes(raw[at : at + bus_bytes], "little") for at in range(0, memory_bytes, bus_bytes)]


def flash_file(compiled: CompiledModel, memory_bytes: int, flash_bytes: int) -> bytes:
    """What stands in a flash: a beat with `MAGIC`, one with the length and the CRC-32 of what follows, 32 bits each,
    then the memory's content: the boot list from 0 on, the image from `IMAGE_BASE` on, whole beats.

    Args:
        memory_bytes: of the memory.
        flash_bytes: of the flash, from where the file will begin.

    Raises:
        RequestError: image and cache do not fit the memory, or the file does not fit the flash; says by how much.
    """
    bus_bytes = derive(compiled.config).bus_bytes
    _check_room(compiled, memory_bytes - IMAGE_BASE, "the board's SDRAM")
    content = _boot_list(compiled, IMAGE_BASE).ljust(IMAGE_BASE, b"\0") + compiled.image.tobytes()
    content += bytes(-len(content) % bus_bytes)
    header = (MAGIC, len(content).to_bytes(4, "little") + crc32(content).to_bytes(4, "little"))
    file = b"".join(beat.ljust(bus_bytes, b"\0") for beat in header) + content
    if len(file) > flash_bytes:
        raise RequestError(
            f"model {compiled.model.name!r} takes {len(file):,} bytes of flash: {len(file) - flash_bytes:,} more than "
            f"the {flash_bytes:,} behind the bitstream; choose a smaller model or weights of 4 bits"
        )
    return file


def _check_room(compiled: CompiledModel, room: int, where: str) -> None:
    total = compiled.memory.total_bytes
    if total > room:
        parts = f"image {compiled.memory.image_bytes:,} and cache {compiled.memory.kv_bytes:,}"
        raise RequestError(
            f"model {compiled.model.name!r} takes {total:,} bytes ({parts}): {total - room:,} more than the {room:,} "
            f"of {where}; choose a smaller model or lower cache.pages"
        )


def _boot_list(compiled: CompiledModel, base: int) -> bytes:
    """Entries, a beat each; the image stands at `base`.

    Raises:
        RequestError: there are too many.
    """
    entries = [*_settings(compiled, base), (LAST, 0)]
    if len(entries) > LIST_BEATS:
        raise RequestError(f"{len(entries)} settings: the boot list has {LIST_BEATS}; lower cache.pages_per_sequence")
    bus_bytes = derive(compiled.config).bus_bytes
    words = (value | register << ENTRY_FIELDS["value"] for register, value in entries)
    return b"".join(word.to_bytes(bus_bytes, "little") for word in words)


def _settings(compiled: CompiledModel, base: int) -> Iterable[tuple[int, int]]:
    """Registers and their values in the order in which they are written."""
    recorder = _Recorder()
    host = RegisterAccelerator(recorder, base)
    host.load(compiled)
    host.open(0, tuple(range(ceil_div(compiled.context, BLOCK))))
    ends = compiled.model.eos_ids
    recorder.write_register("END_OF_TEXT", end_of_text(ends[0] if ends else None))
    yield from recorder.written
    yield CONTEXT, compiled.context
    for byte in f"\r\n{compiled.model.name} on celosia".encode():
        yield SEND, byte


class _Recorder:
    """A `Device` that does nothing and remembers which registers were written."""

    def __init__(self) -> None:
        self.written: list[tuple[int, int]] = []

    def read_register(self, register: str | int) -> int:
        """There is an accelerator."""
        assert register == "ID"
        return IDENTIFICATION

    def write_register(self, register: str | int, value: int) -> None:
        """Remembered, by byte offset."""
        self.written.append((offsets()[register] if isinstance(register, str) else register, value))

    def read_memory(self, address: int, size: int) -> np.ndarray:
        """Holds nothing."""
        return np.zeros(size, np.uint8)

    def write_memory(self, address: int, data: np.ndarray) -> None:
        """The image is in the memory already."""

    def wait_interrupt(self, timeout: float) -> bool:
        """Never interrupts."""
        return False
