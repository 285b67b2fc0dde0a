"""First pass: every width that follows from a model on a config, before anything is placed."""

from dataclasses import dataclass

from ...arch.config import AcceleratorConfig, derive
from ...arch.formats import BLOCK
from ...arch.isa import Geometry
from ...arch.layout import CacheLayout, ceil_div, round_up
from ...arch.model import ModelConfig

SHARED_HEAD_SIZES = (8, 16)
"""Head sizes of which 32 / size KV heads share a block; all others are padded per head to whole blocks."""


@dataclass(frozen=True)
class ModelGeometry:
    """Widths in elements, blocks of 32 and memory words.

    Attributes:
        config, model: what was asked for.
        attention: geometry field of the attention instructions.
    """

    config: AcceleratorConfig
    model: ModelConfig
    attention: Geometry

    @classmethod
    def of(cls, config: AcceleratorConfig, model: ModelConfig) -> "ModelGeometry":
        """Geometry of `model` on `config`.

        Head sizes 8 and 16 share a block where the KV heads fill it; where they don't, each is padded to a block.
        """
        shared = BLOCK // model.head_dim if model.head_dim in SHARED_HEAD_SIZES else 1
        sub_heads = shared if model.n_kv_heads % shared == 0 else 1
        attention = Geometry(
            kv_heads=model.n_kv_heads // sub_heads,
            group=model.group_size,
            head_blocks=ceil_div(model.head_dim, BLOCK),
            sub_heads_log2=sub_heads.bit_length() - 1,
            head_dim=model.head_dim,
        )
        return cls(config, model, attention)

    @property
    def dim_blocks(self) -> int:
        """Blocks of the residual stream."""
        return ceil_div(self.model.dim, BLOCK)

    @property
    def hidden_blocks(self) -> int:
        """Blocks of the feed-forward layer."""
        return ceil_div(self.model.hidden_dim, BLOCK)

    @property
    def head_lanes(self) -> int:
        """Lanes of a virtual head: whole blocks."""
        return self.attention.head_blocks * BLOCK

    @property
    def query_width(self) -> int:
        """Channels of wq as packed: [virtual head][query of the group][lanes]."""
        return self.kv_width * self.attention.group

    @property
    def kv_width(self) -> int:
        """Channels of wk and wv as packed: [virtual head][lanes]."""
        return self.attention.kv_heads * self.head_lanes

    @property
    def output_elements(self) -> int:
        """Elements that ATTEND writes per row: heads side by side, without padding."""
        return self.model.n_heads * self.model.head_dim

    @property
    def output_width(self) -> int:
        """Row width of ATTEND's result, whole blocks."""
        return round_up(self.output_elements, BLOCK)

    @property
    def row_groups(self) -> int:
        """Groups of R rows in a full chunk."""
        return derive(self.config).row_groups

    @property
    def query_row_groups(self) -> int:
        """Groups of R attention rows of one virtual head in a full chunk."""
        return ceil_div(self.config.vector.chunk * self.attention.rows_per_token, self.config.array.rows)

    @property
    def query_words(self) -> int:
        """Activation words of one virtual head's query rows."""
        return self.query_row_groups * self.attention.head_blocks

    @property
    def attend_row_groups(self) -> int:
        """Row groups that ATTEND serves in one pass over the pages, as the accumulators allow; 0 if none."""
        per_group = max(self.head_lanes, BLOCK) // self.config.array.channels
        return min(self.query_row_groups, derive(self.config).accumulators // per_group)

    @property
    def cache(self) -> CacheLayout:
        """Layout of the KV cache."""
        return CacheLayout(self.config, self.attention.kv_heads, self.attention.head_blocks, self.model.n_layers)

    @property
    def tail_words(self) -> int:
        """Words of the tail buffer, keys (or values) of all virtual heads."""
        return ceil_div(self.kv_width, self.config.array.channels)

    def scratchpad_words(self, width: int) -> int:
        """Scratchpad words of a chunk of rows of `width` float32."""
        return self.config.vector.chunk * round_up(width, BLOCK) // self.config.vector.lanes

    def activation_words(self, blocks: int) -> int:
        """Activation words of a chunk of rows of `blocks` blocks."""
        return self.row_groups * blocks

    def __str__(self) -> str:
        a, m = self.attention, self.model
        return "\n".join(
            (
                f"residual stream   {m.dim} elements, {self.dim_blocks} blocks; feed-forward {m.hidden_dim}, "
                f"{self.hidden_blocks} blocks",
                f"attention         {m.n_heads} heads of {m.head_dim} over {m.n_kv_heads} KV heads; {a.kv_heads} "
                f"virtual KV heads of {a.head_blocks} x 32 lanes, {a.sub_heads} KV heads each, "
                f"{a.rows_per_token} rows a token",
                f"query rows        {self.query_row_groups} groups of {self.config.array.rows} per virtual head, "
                f"{self.attend_row_groups} in a pass over the pages",
                f"KV cache          {self.cache.page_bytes} bytes per page of 32 positions",
            )
        )
