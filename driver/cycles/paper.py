"""Models that are too large to simulate, on the memory bandwidths of two boards, beside what others published there.

Nobody has built these: the cycle model says what the generated hardware would do. `ASSUMPTIONS` says what it takes for
granted; every one of them belongs to the figures.
"""

from dataclasses import dataclass, replace
from typing import Any

from ...arch.config import AcceleratorConfig, load_config
from ...arch.formats import BLOCK, WEIGHT_FORMATS
from ...arch.layout import ceil_div
from ...arch.model import ModelConfig, rope_frequencies
from ..compiler import Plan, plan, uniform_formats
from .forecast import decode_at

CONTEXT = 512
"""Positions of the sequence, that of the decode step's token included."""

FORMAT = "Q4_0"


LLAMA_2_7B = ModelConfig(
    name="Llama-2-7B",
    dim=4096,
    hidden_dim=11008,
    n_layers=32,
    n_heads=32,
    n_kv_heads=32,
    head_dim=128,
    vocab_size=32000,
    context_length=4096,
    rope_frequencies=rope_frequencies(128, 10000.0),
)
LLAMA_3_8B = ModelConfig(
    name="Llama-3-8B",
    dim=4096,
    hidden_dim=14336,
    n_layers=32,
    n_heads=32,
    n_kv_heads=8,
    head_dim=128,
    vocab_size=128256,
    context_length=8192,
    rope_theta=500000.0,
    rope_frequencies=rope_frequencies(128, 500000.0),
)
LLAMA_3_70B = replace(LLAMA_3_8B, name="Llama-3-70B", dim=8192, hidden_dim=28672, n_layers=80, n_heads=64)
MODELS = (LLAMA_2_7B, LLAMA_3_8B, LLAMA_3_70B)


@dataclass(frozen=True)
class Board:
    """A memory and as many accelerators in front of it as it takes.

    Attributes:
        bandwidth: bytes per second, its peak. capacity: bytes of that memory.
        slices: accelerators with a bus of 64 bytes a cycle each. clock_mhz: theirs, so that they take the bandwidth.
    """

    name: str
    bandwidth: float
    capacity: float
    slices: int

    @property
    def clock_mhz(self) -> float:
        """Clock at which the buses together ask for the bandwidth."""
        return self.bandwidth / (self.slices * 64) / 1e6


U280 = Board("U280", 460e9, 8 * 2**30, 32)
KV260 = Board("KV260", 19.2e9, 4 * 2**30, 1)
PUBLISHED = {("Llama-2-7B", "U280"): ("FlightLLM", 55.0), ("Llama-3-8B", "KV260"): ("Hummingbird", 4.8)}
"""Decode tokens per second as published, by model and board."""

ASSUMPTIONS = (
    f"all weights in {FORMAT} (4.5 bits with scales), embedding and output too; keys and values in 8 bits",
    f"one sequence, greedy, a decode step at a context of {CONTEXT} positions",
    "the memory delivers its peak bandwidth, every beat on time after 32 cycles: no refresh, no row misses",
    "KV260: one accelerator with a 512-bit bus; its clock is what takes 19.2 GB/s",
    "U280: 32 accelerators with a 512-bit bus each, one for each HBM channel; their clock is what takes 460 GB/s",
    "U280: heads, hidden units and vocabulary are divided by 32 (a KV head that does not divide stands in several "
    "channels); adding the slices' partial sums and exchanging them takes no time",
    "what must fit a chip's block RAM, and whether the clock is reached, is not asked",
    "where weights and cache are more than the memory holds, the figure is for a larger memory of the same bandwidth",
    "the config is `kria` with the fields below changed, as far as the model needs",
    "the published machines do other work for the same model: FlightLLM prunes and mixes precisions, Hummingbird "
    "quantizes to 4 bits with other groups",
)


def slice_of(model: ModelConfig, slices: int) -> ModelConfig:
    """The share of one of `slices` accelerators that divide a model between them."""
    return replace(
        model,
        n_heads=ceil_div(model.n_heads, slices),
        n_kv_heads=ceil_div(model.n_kv_heads, slices),
        hidden_dim=ceil_div(model.hidden_dim, slices),
        vocab_size=ceil_div(model.vocab_size, slices),
    )


def config_for(model: ModelConfig, clock_mhz: float) -> AcceleratorConfig:
    """`kria`, one chunk of few rows, with memories as large as the model needs."""
    base = load_config("kria")
    lanes, rows = base.vector.lanes, base.array.rows
    width = max(model.dim, model.hidden_dim, (model.n_heads + 2 * model.n_kv_heads) * model.head_dim)
    words = rows * ceil_div(width, BLOCK) * BLOCK // lanes
    return replace(
        base,
        name=f"paper-{model.name}",
        vector=replace(
            base.vector,
            chunk=rows,
            chunks=1,
            scratchpad_words=8 * words,
            activation_words=8 * ceil_div(width, BLOCK),
            parameter_words=2 * ceil_div(model.dim, lanes),
        ),
        cache=replace(
            base.cache,
            pages=CONTEXT // BLOCK + 2,
            sequences=1,
            pages_per_sequence=CONTEXT // BLOCK + 2,
            tail_words=ceil_div(model.n_kv_heads * model.head_dim, base.array.channels),
        ),
        control=replace(base.control, clock_mhz=clock_mhz),
    )


def changed_fields(config: AcceleratorConfig) -> dict[str, Any]:
    """Fields of a config that differ from `kria`'s."""
    base = load_config("kria").to_dict()
    return {
        f"{group}.{name}": value
        for group, fields in config.to_dict().items()
        if isinstance(fields, dict)
        for name, value in fields.items()
        if value != base[group][name]
    }


def paper_plan(model: ModelConfig, board: Board) -> Plan:
    """One slice of a model, compiled for its accelerator without weights."""
    share = slice_of(model, board.slices)
    config = config_for(share, board.clock_mhz)
    return plan(config, share, uniform_formats(share, FORMAT, FORMAT), config.cache.pages_per_sequence * BLOCK)


def paper_rows() -> list[dict[str, Any]]:
    """Every model on every board: predicted `tokens_per_second`, the `bound` that bandwidth alone sets, `published`."""
    rows = []
    for model in MODELS:
        for board in (U280, KV260):
            made = paper_plan(model, board)
            step = decode_at(made, CONTEXT)
            limit, busy = step.limit("decode")
            read = sum(load.bytes for load in step.decode_classes.values())
            source, published = PUBLISHED.get((model.name, board.name), ("", None))
            weights = made.memory.streamed_bytes * board.slices
            table = model.vocab_size * model.dim * WEIGHT_FORMATS[FORMAT].block_bytes / BLOCK
            rows.append(
                {
                    "model": model.name,
                    "board": board.name,
                    "gigabytes": round((weights + table) / 1e9, 2),
                    "fits": weights + table <= board.capacity,
                    "cycles": round(step.decode[0]),
                    "clock_mhz": round(board.clock_mhz, 1),
                    "tokens_per_second": round(step.tokens_per_second(), 2),
                    "bound": round(board.clock_mhz * 1e6 * 64 / read, 2),
                    "limit": limit,
                    "busy": round(min(busy, 1.0), 4),
                    "published": published,
                    "source": source,
                    "config": changed_fields(made.geometry.config),
                }
            )
    return rows
