"""From a placed design to a bitstream of an ECP5: block RAM contents are exchanged by ecpbram, and read back."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from .contents import Content
from .errors import SynthesisError
from .tools import Tick, run_trellis

Blocks = dict[int, Content]
"""Number of a block RAM to its content."""


class Trellis:
    """ECP5: ecpbram and ecppack of Project Trellis, and nextpnr for a design that fills a device.

    With nextpnr's own placer and router wires are a quarter longer there, and the router is not done within hours; a
    wire may leave the box around its ends by 15 tiles and not by 3, the way out of a crowded place; and wires whose
    detours make them too slow are routed again (docs/boards.md).
    """

    constraints, text, bitstream = "lpf", "config", "bit"
    arguments: Sequence[str] = (
        "--placer",
        "static",
        "--router",
        "router2",
        "--tmg-ripup",
        "--lpf",
        "pins.lpf",
        "--textcfg",
        "placed.config",
    )
    settings: Mapping[str, str] = MappingProxyType({f"router2/bbMargin/{axis}": "15" for axis in "xy"})

    def exchange(self, folder: Path, old: Sequence[Content], new: Sequence[Content], tick: Tick) -> None:
        """As `Flow.exchange`; all block RAMs are read back, since ecpbram says nothing when it finds no pattern."""
        configurations = ["--input", "placed.config", "--output", "model.config"]
        run_trellis("ecpbram", [*configurations, "--from", "pattern.hex", "--to", "image.hex"], folder, tick)
        before, after = (
            block_rams((folder / name).read_text().splitlines()) for name in ("placed.config", "model.config")
        )
        check_exchange(before, after, old, new)

    def pack(self, folder: Path, tick: Tick) -> None:
        run_trellis("ecppack", ["--compress", "--input", "model.config", "--bit", "model.bit"], folder, tick)


def check_exchange(before: Blocks, after: Blocks, old: Sequence[Content], new: Sequence[Content]) -> None:
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
