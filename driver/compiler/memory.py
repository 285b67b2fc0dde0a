"""Fourth pass: where everything stands in the memory behind the bus."""

from dataclasses import dataclass
from itertools import groupby

from ...arch.config import derive
from ...arch.isa import INSTRUCTION_BYTES
from ...arch.layout import round_up
from .geometry import ModelGeometry
from .program import Operand, Operation

REGION_ALIGNMENT = 64
"""Bytes to which regions of the image are aligned, or a beat if that is more. The reader splits its bursts at 4 KiB
itself, and on-chip memories have no room for more padding."""

CACHE_ALIGNMENT = 4096
"""Bytes to which the KV cache is aligned."""


@dataclass(frozen=True)
class Region:
    """A part of the memory. `offset` is relative to the start of the image."""

    name: str
    offset: int
    bytes: int


@dataclass(frozen=True)
class Placement:
    """Where an operand stands.

    Attributes:
        offset: of the only one, or of that of the first layer of its run.
        stride: from layer to layer of the run; 0: there is one.
        bytes: of each.
    """

    operand: Operand
    offset: int
    stride: int
    bytes: int

    @property
    def base(self) -> int:
        """What an instruction adds layer * stride to; below 0 where a run starts late and its layers are large."""
        return self.offset - self.operand.layers[0] * self.stride

    def at(self, layer: int) -> int:
        """Offset of a layer's copy, by its index in the model."""
        return self.base + layer * self.stride


@dataclass(frozen=True)
class MemoryMap:
    """Regions in ascending order: the program, operands in the order of their first use, the KV cache, rows if any.

    Attributes:
        regions: all of them; "layers" holds one layer after the other. Where formats differ, each run of layers has
            its own: "layers[0:4]" holds layers 0 to 3.
        placements: operands by name.
        image_bytes: bytes up to the end of the last operand: what is loaded.
        kv_offset, kv_bytes: the cache, behind the image.
    """

    regions: tuple[Region, ...]
    placements: dict[str, Placement]
    image_bytes: int
    kv_offset: int
    kv_bytes: int

    @property
    def total_bytes(self) -> int:
        """Image, cache, and what stands behind it."""
        return self.regions[-1].offset + self.regions[-1].bytes

    @property
    def streamed_bytes(self) -> int:
        """Bytes that one decode step streams from the image, padding included.

        The embedding of untied models is gathered; tied models have it as "output", which is streamed.
        """
        return sum(p.bytes * p.operand.copies for name, p in self.placements.items() if name != "embedding")

    def region(self, name: str) -> Region:
        """The region of that name.

        Raises:
            KeyError: there is none.
        """
        for region in self.regions:
            if region.name == name:
                return region
        raise KeyError(name)

    def __str__(self) -> str:
        lines = [f"{r.offset:#012x} {r.bytes:>12,} bytes  {r.name}" for r in self.regions]
        return "\n".join([*lines, f"{self.total_bytes:,} bytes in all, image {self.image_bytes:,}"])


def map_memory(geometry: ModelGeometry, operations: list[Operation]) -> MemoryMap:
    """Place program, operands and cache."""
    config = geometry.config
    operands = list({op.operand.name: op.operand for op in operations if op.operand is not None}.values())
    # The embedding is gathered, not streamed: where it is the output matrix too, it stands where that is streamed.
    tables = [o for o in operands if o.name == "output"]
    ordered = [o for o in operands if o not in tables] + tables
    alignment = max(REGION_ALIGNMENT, derive(config).bus_bytes)
    regions = [Region("program", 0, len(operations) * INSTRUCTION_BYTES)]
    placements: dict[str, Placement] = {}
    end = regions[0].bytes
    for _, group in groupby(ordered, lambda o: o.layers if o.layered else o.name):
        run = list(group)
        sizes = [operand.bytes(config) for operand in run]
        # Layers are as far apart as regions are: what is loaded behind the last one is the head of the next region.
        start, length = round_up(end, alignment), round_up(sum(sizes), alignment)
        at = start
        for operand, size in zip(run, sizes, strict=True):
            placements[operand.name] = Placement(operand, at, length if operand.layered else 0, size)
            at += size
        end = start + (length if run[0].layered else sum(sizes)) * run[0].copies
        name = run[0].name if not run[0].layered else f"layers{run[0].name.removeprefix(run[0].tensor)}"
        regions.append(Region(name, start, end - start))
    kv_offset, kv_bytes = round_up(end, CACHE_ALIGNMENT), config.cache.pages * geometry.cache.page_bytes
    regions.append(Region("kv_cache", kv_offset, kv_bytes))
    return MemoryMap(tuple(regions), placements, end, kv_offset, kv_bytes)
