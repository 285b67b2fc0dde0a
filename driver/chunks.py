"""How the tokens of a prompt are cut into chunks (docs/numerics.md, 10)."""

from dataclasses import dataclass

from ..arch.config import AcceleratorConfig
from ..arch.formats import BLOCK


@dataclass(frozen=True)
class Chunk:
    """Rows of a pass from a position."""

    position: int
    rows: int


def cut(config: AcceleratorConfig, position: int, rows: int) -> list[Chunk]:
    """Chunks of `rows` tokens from `position`: at most `vector.chunk` tokens each, none across a page."""
    chunks: list[Chunk] = []
    while rows > 0:
        taken = min(config.vector.chunk, rows, BLOCK - position % BLOCK)
        chunks.append(Chunk(position, taken))
        rows, position = rows - taken, position + taken
    return chunks


def paired(config: AcceleratorConfig, position: int, rows: int) -> list[tuple[Chunk, ...]]:
    """The chunks of each pass over `rows` tokens from `position`."""
    chunks, each = cut(config, position, rows), config.vector.chunks
    return [tuple(chunks[start : start + each]) for start in range(0, len(chunks), each)]
