"""Block RAM contents of an ECP5 bitstream: exchanged by ecpbram, and read back to see that they were."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

from .errors import SynthesisError
from .gateware.block_memory import COLUMN_BEATS, banks
from .tools import Tick, run_trellis

PATTERN_SEED = 1
"""Any will do: a pattern must be the same for every build, so that the design before it is."""

Blocks = dict[int, tuple[int, ...]]
"""Number of a block RAM to its words."""


def pattern(beats: int, data_bits: int) -> list[int]:
    """Random words by which ecpbram recognises the block RAMs of a memory: no two of their bit lanes are alike."""
    random = Random(PATTERN_SEED)
    return [random.getrandbits(data_bits) for _ in range(beats)]


def hex_text(words: Sequence[int], data_bits: int) -> str:
    """A memory's content as ecpbram and Verilog's `$readmemh` read it, a word a line."""
    return "".join(f"{word:0{data_bits // 4}x}\n" for word in words)


def exchange(folder: Path, config: str, new: Sequence[int], result: str, *, data_bits: int, tick: Tick) -> None:
    """Write a text configuration in which a memory holds `new` words where it had the pattern.

    Parameters
    ----------
    folder : where `config`, a file name, is and `result` will be.
    new : as many words as the memory has.
    data_bits : of a word.

    Raises
    ------
    SynthesisError
        ecpbram is missing or fails, or not every block RAM of the memory holds its part of `new` afterwards.
    """
    old = pattern(len(new), data_bits)
    for name, words in (("pattern.hex", old), ("image.hex", new)):
        (folder / name).write_text(hex_text(words, data_bits))
    files = ["--input", config, "--output", result, "--from", "pattern.hex", "--to", "image.hex"]
    run_trellis("ecpbram", files, folder, tick)
    before, after = (block_rams((folder / name).read_text().splitlines()) for name in (config, result))
    check_exchange(before, after, lanes(old, data_bits), lanes(new, data_bits))


def lanes(words: Sequence[int], data_bits: int) -> list[tuple[int, ...]]:
    """What the block RAMs of a memory hold, a byte an entry: of every bank some bits of each word, four, or one, words
    in a byte."""
    found = []
    for beats in banks(len(words)):
        width = 8 * COLUMN_BEATS // len(beats)
        for low in range(0, data_bits, width):
            values = [words[beat] >> low & (1 << width) - 1 for beat in beats]
            places = range(0, 8, width)
            packed = zip(*(values[index :: len(places)] for index in range(len(places))), strict=True)
            found.append(tuple(sum(v << place for v, place in zip(group, places, strict=True)) for group in packed))
    return found


def check_exchange(before: Blocks, after: Blocks, old: list[tuple[int, ...]], new: list[tuple[int, ...]]) -> None:
    """See that every part of `old` stood in a block RAM, that `new` stands there now, and that nothing else changed.

    ecpbram ends successfully whether it found the pattern or not.

    Raises
    ------
    SynthesisError
        It is not so.
    """
    numbers = {content: number for number, content in before.items()}
    places = [numbers.get(content) for content in old]
    if None in places:
        missing = places.count(None)
        raise SynthesisError(f"{missing} of {len(old)} block RAMs were not found by their pattern: synthesize again")
    expected = before | {number: content for number, content in zip(places, new, strict=True) if number is not None}
    if after != expected:
        wrong = sum(after.get(number) != content for number, content in expected.items())
        raise SynthesisError(f"ecpbram left {wrong} block RAMs with a wrong content: install another release of it")


def block_rams(lines: Iterable[str]) -> Blocks:
    """Contents of the block RAMs in a text configuration (`.bram_init` sections of Project Trellis)."""
    found: dict[int, list[int]] = {}
    words: list[int] | None = None
    for line in lines:
        if line.startswith("."):
            section, *rest = line.split()
            words = found.setdefault(int(rest[0]), []) if section == ".bram_init" else None
        elif words is not None:
            words.extend(int(word, 16) for word in line.split())
    return {number: tuple(content) for number, content in found.items()}
