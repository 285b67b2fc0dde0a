"""What the parts of the attention unit share: their sizes, the page job, a queue and valid bits of pipelines."""

from amaranth.hdl import Module, ShapeLike, Signal, Value
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.formats import BLOCK
from ..interfaces import Interfaces


def bits_for(count: int) -> int:
    """Bits of an index below `count`; 0 for a single one."""
    return (count - 1).bit_length()


def address_bits(count: int) -> int:
    """Bits of a memory address below `count`, one at least: there are no ports without bits."""
    return max(1, bits_for(count))


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
    slot_bits, group_bits, block_bits, row_bits : int
        Bits of an index of a slot, a row group of a pass, a block and a row of a group.
    page_job : data.StructLayout
        One K or V segment of one page. value: V, not K. slot: of the page. first, last: page of the pass over the
        pages; the last one is the tail page. groups: row groups of this pass. address: in the activation memory, of the
        first row group's first block. head_block: virtual head x head blocks.
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
        self.slot_bits = bits_for(self.slots)
        self.group_bits = address_bits(self.groups)
        self.block_bits = address_bits(self.blocks)
        self.row_bits = bits_for(self.rows)
        self.page_job = data.StructLayout(
            {
                "value": 1,
                "slot": self.slot_bits,
                "first": 1,
                "last": 1,
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
    def state_bits(self) -> int:
        """Bits of a row's index within a pass: row of a group, then row group."""
        return self.row_bits + self.group_bits


def pick(m: Module, values: list[Value], index: Value, *, name: str) -> Value:
    """One of some values of equal width, by a case statement; the only one where there is no choice."""
    if len(values) == 1:
        return values[0]
    result = Signal(len(values[0]), name=name)
    with m.Switch(index):
        for number, value in enumerate(values):
            with m.Case(number):
                m.d.comb += result.eq(value)
    return result


def parts(value: Value, width: int) -> list[Value]:
    """A value cut into words of `width` bits, lowest first."""
    return [value[low : low + width] for low in range(0, len(value), width)]


class Queue(wiring.Component):
    """A queue in LUT RAM or registers; an element is visible at `o` the cycle after it was taken at `i`.

    Parameters
    ----------
    shape : ShapeLike
        Payload.
    depth : int
        Elements it holds, 1 at least.

    Members
    -------
    i : In(stream.Signature(shape))
    o : Out(stream.Signature(shape))
    """

    def __init__(self, *, shape: ShapeLike, depth: int) -> None:
        self.depth = depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        payload = Value.cast(self.i.payload)
        m.submodules.fifo = queue = fifo.SyncFIFO(width=len(payload), depth=self.depth)
        m.d.comb += [
            queue.w_data.eq(payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            Value.cast(self.o.payload).eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
        ]
        return m


def delay_valid(m: Module, valid: Value, cycles: int, *, name: str) -> Signal:
    """A valid bit as it was `cycles` clock cycles ago, in registers with reset."""
    for stage in range(cycles):
        register = Signal(name=f"{name}_{stage + 1}")
        m.d.sync += register.eq(valid)
        valid = register
    result = Signal(name=name)
    m.d.comb += result.eq(valid)
    return result
