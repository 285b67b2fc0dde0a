"""What the block RAMs of a memory hold, whatever the family: a design has a pattern there, by which they are found."""

from collections.abc import Sequence
from random import Random

from .gateware.block_memory import COLUMN_BEATS, banks

PATTERN_SEED = 1
"""Any will do: a pattern must be the same for every build, so that the design before it is."""

Content = tuple[int, ...]
"""Of a block RAM, in bytes."""


def pattern(beats: int, data_bits: int) -> list[int]:
    """Random words by which the block RAMs of a memory are recognised: no two of their bit lanes are alike."""
    random = Random(PATTERN_SEED)
    return [random.getrandbits(data_bits) for _ in range(beats)]


def hex_text(words: Sequence[int], data_bits: int) -> str:
    """A memory's content as ecpbram and Verilog's `$readmemh` read it, a word a line."""
    return "".join(f"{word:0{data_bits // 4}x}\n" for word in words)


def lanes(words: Sequence[int], data_bits: int) -> list[Content]:
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
