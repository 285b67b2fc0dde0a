"""How the tokens of a prompt are cut into chunks (docs/numerics.md, 10)."""

from dataclasses import dataclass

from ..arch.config import AcceleratorConfig
from ..arch.formats import BLOCK


@dataclass(frozen=True)
class Chunk:
    """Rows of a pass from a position."""

    position: int
    rows: int


def most_rows(config: AcceleratorConfig, wanted: int) -> int:
    """Tokens of a chunk at most, where a job wants `wanted`: 0 and more than there is room for are `vector.chunk`."""
    return wanted if 1 <= wanted <= config.vector.chunk else config.vector.chunk


def cut(config: AcceleratorConfig, position: int, rows: int, wanted: int = 0) -> list[Chunk]:
    """Chunks of `rows` tokens from `position`: at most `wanted` tokens each, as `most_rows`, none across a page."""
    chunks: list[Chunk] = []
    most = most_rows(config, wanted)
    while rows > 0:
        taken = min(most, rows, BLOCK - position % BLOCK)
        chunks.append(Chunk(position, taken))
        rows, position = rows - taken, position + taken
    return chunks


def paired(config: AcceleratorConfig, position: int, rows: int, wanted: int = 0) -> list[tuple[Chunk, ...]]:
    """The chunks of each pass over `rows` tokens from `position`."""
    chunks, each = cut(config, position, rows, wanted), config.vector.chunks
    return [tuple(chunks[start : start + each]) for start in range(0, len(chunks), each)]
