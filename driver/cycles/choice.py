"""Chosen with the cycle model: how many tokens of a prompt are processed together."""

from ...arch.config import AcceleratorConfig
from ...arch.formats import BLOCK
from ...arch.layout import ceil_div, round_up
from ..chunks import paired
from ..compiler import CompiledModel, Plan
from ..device import Job
from .predict import predict

LONGEST = 512
"""Tokens of a prompt for which it is worth asking: what is won is in its last pass, 1 % of one of this length."""


def chunk_for(compiled: Plan | CompiledModel, position: int, tokens: int) -> int:
    """`Job.chunk` that takes the fewest cycles for a prompt; 0, the whole chunk, unless another one is quicker.

    A pass with one chunk does not hide its vector work, one with two small ones does: 28 tokens on `kria` take 15 %
    less in chunks of 16. Three predictions at most, some milliseconds for every ten tokens.
    """
    config = compiled.config if isinstance(compiled, CompiledModel) else compiled.geometry.config
    if config.vector.chunks == 1 or not 1 < tokens <= LONGEST:
        return 0
    cycles = {}
    for chunk in _candidates(config, position, tokens):
        cycles[chunk] = predict(compiled, Job(0, position, (0,) * tokens, 1, chunk=chunk)).prefill
    return min(cycles, key=cycles.__getitem__)


def _candidates(config: AcceleratorConfig, position: int, tokens: int) -> list[int]:
    """All that cut the prompt in different ways: the whole chunk, half of it, half of what the first page takes."""
    first = min(tokens, BLOCK - position % BLOCK)
    halves = (round_up(ceil_div(size, 2), config.array.rows) for size in (config.vector.chunk, first))
    cuts = {tuple(paired(config, position, tokens, chunk)): chunk for chunk in (*halves, 0)}
    return sorted(cuts.values())
