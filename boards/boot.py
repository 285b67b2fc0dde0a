"""What a board without a processor has in its memory: the image, room for the cache, and settings for registers.

All that depends on the model stands here and none of it in the design, so that another model is another memory content
and not another synthesis.
"""

from collections.abc import Iterable

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
"""Beats of the boot list, the last ones of the memory."""


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
    config, total = compiled.config, compiled.memory.total_bytes
    bus_bytes, start = derive(config).bus_bytes, list_offset(config, memory_bytes)
    if total > start:
        parts = f"image {compiled.memory.image_bytes:,} and cache {compiled.memory.kv_bytes:,}"
        raise RequestError(
            f"model {compiled.model.name!r} takes {total:,} bytes ({parts}): {total - start:,} more than the {start:,} "
            "of the board's block RAM; choose a smaller model or lower cache.pages"
        )
    content = np.zeros(memory_bytes, np.uint8)
    content[: len(compiled.image)] = compiled.image
    entries = [*_settings(compiled), (LAST, 0)]
    if len(entries) > LIST_BEATS:
        raise RequestError(f"{len(entries)} settings: the boot list has {LIST_BEATS}; lower cache.pages_per_sequence")
    for index, (register, value) in enumerate(entries):
        word = (value | register << ENTRY_FIELDS["value"]).to_bytes(bus_bytes, "little")
        content[start + index * bus_bytes :][:bus_bytes] = np.frombuffer(word, np.uint8)
    raw = content.tobytes()
    return [int.from_bytes(raw[at : at + bus_bytes], "little") for at in range(0, memory_bytes, bus_bytes)]


def _settings(compiled: CompiledModel) -> Iterable[tuple[int, int]]:
    """Registers and their values in the order in which they are written."""
    recorder = _Recorder()
    host = RegisterAccelerator(recorder)
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
