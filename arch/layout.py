"""Memory layouts: where every byte of the image and of the KV cache stands, as arithmetic on plain integers.

`docs/memory.md` draws them. Everything is little endian and every region starts on a bus beat.

Weights of a MATMUL: output channels in groups of C; groups in superblocks of `INTERLEAVE` (the last may be shorter).
Tiles (C channels x 32 inputs) in the order of consumption: for each superblock, for each block along K, for each group.
Tiles travel in stripes: one beat of scales for `Stripe.tiles` tiles, then those tiles' payload beats. The last stripe
keeps its whole scale beat and has only the payload beats that it needs.

- payload of a tile: channel-major; channel c, input i: byte c*32 + i (8 bits) or nibble c*32 + i (4 bits, low first).
- scales of the j-th tile of a stripe: at byte j * C * scale_bytes, channel-major; fp16 d, then fp16 m (``Q4_1``).

LOAD and ROPE_TABLE operands: float32, or unsigned 64-bit words, padded with zeros to whole beats.

KV cache: physical page p, layer l, virtual KV head h at ``KV_BASE + p*page_bytes + l*layer_bytes + h*head_bytes``:

- exponents, int8: K's ``[block][position]`` then V's ``[block][position]``, padded with zeros to whole beats;
- K, int8 ``[block][position][32 dims]``;
- V, int8 ``[dim][32 positions]``.
"""

from dataclasses import dataclass

from .config import INTERLEAVE, AcceleratorConfig, derive
from .formats import BLOCK, WeightFormat


def ceil_div(a: int, b: int) -> int:
    """a / b rounded up."""
    return -(-a // b)


def round_up(a: int, b: int) -> int:
    """The smallest multiple of b that is at least a."""
    return ceil_div(a, b) * b


@dataclass(frozen=True)
class Stripe:
    """How tiles of a format travel: one scale beat, then `tiles` tiles of `tile_beats` payload beats each."""

    tiles: int
    tile_beats: int

    @classmethod
    def of(cls, config: AcceleratorConfig, weight_format: WeightFormat) -> "Stripe":
        """The stripe of a weight format on this bus."""
        bus = derive(config).bus_bytes
        channels = config.array.channels
        return cls(
            tiles=bus // (channels * weight_format.scale_bytes),
            tile_beats=channels * weight_format.payload_bytes // bus,
        )


@dataclass(frozen=True)
class MatmulLayout:
    """Where the tiles of one weight matrix stand, relative to the start of its region.

    Attributes:
        channels: output channels (n) as in the instruction.
        blocks: blocks of 32 along K (k).
    """

    config: AcceleratorConfig
    weight_format: WeightFormat
    channels: int
    blocks: int

    @property
    def groups(self) -> int:
        """Groups of C channels, the last one padded with zero channels."""
        return ceil_div(self.channels, self.config.array.channels)

    @property
    def tiles(self) -> int:
        """Tiles in the region."""
        return self.groups * self.blocks

    @property
    def bytes(self) -> int:
        """Size of the region: whole beats."""
        stripe = Stripe.of(self.config, self.weight_format)
        beats = ceil_div(self.tiles, stripe.tiles) + self.tiles * stripe.tile_beats
        return beats * derive(self.config).bus_bytes

    def tile_index(self, group: int, block: int) -> int:
        """Position of a tile in the order of consumption."""
        superblock, lane = divmod(group, INTERLEAVE)
        width = min(INTERLEAVE, self.groups - superblock * INTERLEAVE)
        return superblock * INTERLEAVE * self.blocks + block * width + lane

    def scale_offset(self, tile: int) -> int:
        """Byte offset of a tile's scales."""
        stripe = Stripe.of(self.config, self.weight_format)
        index, within = divmod(tile, stripe.tiles)
        beat = index * (1 + stripe.tiles * stripe.tile_beats)
        scale_bytes = self.config.array.channels * self.weight_format.scale_bytes
        return beat * derive(self.config).bus_bytes + within * scale_bytes

    def payload_offset(self, tile: int) -> int:
        """Byte offset of a tile's payload."""
        stripe = Stripe.of(self.config, self.weight_format)
        beat = tile // stripe.tiles + 1 + tile * stripe.tile_beats
        return beat * derive(self.config).bus_bytes


@dataclass(frozen=True)
class CacheLayout:
    """Where a key, a value and their exponents stand in a physical page.

    Attributes:
        kv_heads: virtual KV heads (HV).
        head_blocks: blocks of 32 lanes per virtual head (KB).
        layers: layers of the model.
    """

    config: AcceleratorConfig
    kv_heads: int
    head_blocks: int
    layers: int

    @property
    def exponent_bytes(self) -> int:
        """Exponents of one head in one page, padded to whole beats."""
        return round_up(2 * self.head_blocks * BLOCK, derive(self.config).bus_bytes)

    @property
    def payload_bytes(self) -> int:
        """K (or V) elements of one head in one page."""
        return BLOCK * BLOCK * self.head_blocks

    @property
    def head_bytes(self) -> int:
        """One head in one page of one layer: exponents, K, V."""
        return self.exponent_bytes + 2 * self.payload_bytes

    @property
    def layer_bytes(self) -> int:
        """All heads of one layer in one page."""
        return self.kv_heads * self.head_bytes

    @property
    def page_bytes(self) -> int:
        """All layers of one page."""
        return self.layers * self.layer_bytes
