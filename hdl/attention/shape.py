"""What the parts of the attention unit share: their sizes and the page job."""

from amaranth.lib import data

from ...arch.formats import BLOCK
from ..common import address_bits, bits_for
from ..interfaces import FLOAT, Interfaces


class AttentionShape:
    """Sizes that follow from a config.

    Attributes
    ----------
    rows, channels, lanes : int
        R, C and V.
    slots : int
        Pages between the load of their exponents and the end of their P x V: attention_lag + 2.
    groups : int
        Row groups that a pass over the pages may have: what the accumulators hold for one block of 32 lanes.
    blocks : int
        Blocks of 32 lanes of the largest head.
    tiles : int
        Tiles of one block: 32 / C.
    words : int
        Words of V lanes in a block: 32 / V.
    quantizers : int
        Blocks of V against which a row's probabilities are quantized at once.
    slot_bits, group_bits, block_bits, row_bits : int
        Bits of an index of a slot, a row group of a pass, a block and a row of a group.
    results : int
        Results of P x V in a pass over the pages, at most.
    factors : data.ArrayLayout
        1 / total of the R rows of a group.
    normal : data.StructLayout
        A result of P x V and the factors of its rows.
    page_job : data.StructLayout
        One K or V segment of one page. value: V, not K. slot: of the page. first, last: page of the pass over the
        pages; the last one is the tail page. start: the first row group of this pass. groups: how many it has. address:
        in the activation memory, of the first row group's first block. head_block: virtual head x head blocks.
    """

    def __init__(self, interfaces: Interfaces) -> None:
        config = interfaces.config
        self.rows, self.channels, self.lanes = interfaces.rows, interfaces.channels, interfaces.lanes
        self.slots = config.stream.attention_lag + 2
        accumulators = 1 << (interfaces.derived.accumulators - 1).bit_length()
        self.accumulator_bits = bits_for(accumulators)
        self.groups = accumulators * self.channels // BLOCK
        self.blocks = config.vector.max_head_dim // BLOCK
        self.tiles = BLOCK // self.channels
        self.words = BLOCK // self.lanes
        self.quantizers = interfaces.derived.softmax_quantizers
        self.slot_bits = bits_for(self.slots)
        self.group_bits = address_bits(self.groups)
        self.block_bits = address_bits(self.blocks)
        self.row_bits = bits_for(self.rows)
        self.results = self.groups * self.blocks * self.tiles
        self.factors = data.ArrayLayout(FLOAT, self.rows)
        self.normal = data.StructLayout({"result": interfaces.result, "factors": self.factors})
        self.page_job = data.StructLayout(
            {
                "value": 1,
                "slot": self.slot_bits,
                "first": 1,
                "last": 1,
                "start": 10,
                "groups": 10,
                "address": 20,
                "head_block": 12,
            }
        )

    @property
    def probability_bits(self) -> int:
        """Bits of an address of the probability memory: block, then row group, then slot."""
        return self.block_bits + self.group_bits + self.slot_bits

    @property
    def exponent_bits(self) -> int:
        """Bits of an address of V's exponents: group of as many blocks as there are quantizers, then slot."""
        return self.block_bits - bits_for(self.quantizers) + self.slot_bits

    @property
    def state_bits(self) -> int:
        """Bits of a row's index within a pass: row of a group, then row group."""
        return self.row_bits + self.group_bits
