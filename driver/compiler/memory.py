"""Fourth pass: where everything stands in the memory behind the bus."""

from dataclasses import dataclass

from ...arch.isa import INSTRUCTION_BYTES
from ...arch.layout import round_up
from .geometry import ModelGeometry
from .program import Operand, Operation

REGION_ALIGNMENT = 64
"""Bytes to which regions of the image are aligned: a beat of the widest bus. The reader splits its bursts at 4 KiB
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
    """Where an operand stands: layer l at offset + l * stride, `bytes` long (stride 0: there is one)."""

    operand: Operand
    offset: int
    stride: int
    bytes: int


@dataclass(frozen=True)
class MemoryMap:
    """Regions in ascending order: the program, operands in the order of their first use, the KV cache.

    Attributes:
        regions: all of them; "layers" holds one layer after the other, each `layer_stride` bytes.
        placements: operands by name.
        layer_stride: bytes of one layer's operands.
        image_bytes: bytes up to the end of the last operand: what is loaded.
        kv_offset, kv_bytes: the cache, behind the image.
    """

    regions: tuple[Region, ...]
    placements: dict[str, Placement]
    layer_stride: int
    image_bytes: int
    kv_offset: int
    kv_bytes: int

    @property
    def total_bytes(self) -> int:
        """Image and cache."""
        return self.kv_offset + self.kv_bytes

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
    config, layers = geometry.config, geometry.model.n_layers
    operands = list({op.operand.name: op.operand for op in operations if op.operand is not None}.values())
    # The embedding is gathered, not streamed: where it is the output matrix too, it stands where that is streamed.
    tables = [o for o in operands if o.name == "output"]
    ordered = [o for o in operands if o not in tables] + tables
    regions = [Region("program", 0, len(operations) * INSTRUCTION_BYTES)]
    placements: dict[str, Placement] = {}
    inner = 0
    for operand in (o for o in ordered if o.layered):
        placements[operand.name] = Placement(operand, inner, 0, operand.bytes(config))
        inner += operand.bytes(config)
    end = regions[0].bytes
    for operand in ordered:
        start = round_up(end, REGION_ALIGNMENT)
        if not operand.layered:
            size = operand.bytes(config)
            placements[operand.name] = Placement(operand, start, 0, size)
            regions.append(Region(operand.name, start, size))
            end = start + size
        elif all(r.name != "layers" for r in regions):
            regions.append(Region("layers", start, inner * layers))
            end = start + inner * layers
            for name, p in placements.items():
                if p.operand.layered:
                    placements[name] = Placement(p.operand, start + p.offset, inner, p.bytes)
    kv_offset, kv_bytes = round_up(end, CACHE_ALIGNMENT), config.cache.pages * geometry.cache.page_bytes
    regions.append(Region("kv_cache", kv_offset, kv_bytes))
    return MemoryMap(tuple(regions), placements, inner, end, kv_offset, kv_bytes)
