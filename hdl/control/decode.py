"""Which units an instruction needs, and whether it is legal on this machine."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...arch.config import AcceleratorConfig, derive
from ...arch.formats import BLOCK
from ...arch.isa import Opcode
from ..common import bits_for
from ..interfaces import INSTRUCTION

UNITS = ("embedding", "vector", "matrix", "attention", "cache", "row_reader", "row_writer")
"""Units that take commands; `cache` is the page writer, which takes APPEND beside the vector unit."""

EXECUTED_BY: dict[Opcode, tuple[str, ...]] = {
    Opcode.EMBED: ("embedding",),
    Opcode.ROPE_TABLE: ("vector",),
    Opcode.LOAD: ("vector",),
    Opcode.NORM: ("vector",),
    Opcode.MATMUL: ("matrix",),
    Opcode.QUANTIZE: ("vector",),
    Opcode.QUERY: ("vector",),
    Opcode.APPEND: ("cache", "vector"),
    Opcode.ATTEND: ("attention",),
    Opcode.LOAD_ROWS: ("row_reader",),
    Opcode.STORE_ROWS: ("row_writer",),
}

_ROWS = (Opcode.LOAD_ROWS, Opcode.STORE_ROWS)

_COUNTED = {
    "n": (*_ROWS, Opcode.EMBED, Opcode.ROPE_TABLE, Opcode.LOAD, Opcode.NORM, Opcode.MATMUL, Opcode.QUANTIZE),
    "k": (Opcode.EMBED, Opcode.NORM, Opcode.MATMUL, Opcode.QUANTIZE, Opcode.ATTEND),
}
"""Fields that must not be 0: a count of nothing would never be reached."""


class InstructionCheck(wiring.Component):
    """Decode and check an instruction; combinational.

    Members:
        i : In(INSTRUCTION). counter : In(8), its index. length : In(8), of the program.
        targets : Out(7), bit i: unit i of `UNITS`. legal : Out(1).
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__(
            {
                "i": In(INSTRUCTION),
                "counter": In(8),
                "length": In(8),
                "targets": Out(len(UNITS)),
                "legal": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        instruction, vector = self.i, self.config.vector
        known = Signal()
        built = Signal()
        in_range = Signal()
        m.d.comb += [
            built.eq(1),
            in_range.eq(1),
            self.legal.eq(known & built & in_range & (self.counter < self.length)),
        ]
        with m.Switch(instruction.opcode):
            for opcode, units in EXECUTED_BY.items():
                with m.Case(opcode):
                    m.d.comb += [self.targets.eq(sum(1 << UNITS.index(unit) for unit in units)), known.eq(1)]
            with m.Case(Opcode.END, Opcode.LOOP, Opcode.NEXT, Opcode.SAMPLE):
                m.d.comb += known.eq(1)
        with m.Switch(instruction.opcode):
            with m.Case(Opcode.EMBED, Opcode.MATMUL), m.Switch(instruction.format):
                with m.Case(*(f.code for f in derive(self.config).formats)):
                    m.d.comb += built.eq(1)
                with m.Default():
                    m.d.comb += built.eq(0)
        spm, am, pm = vector.scratchpad_words, vector.activation_words, vector.parameter_words
        limits = {
            Opcode.EMBED: (None, spm),
            Opcode.LOAD: (None, pm),
            Opcode.NORM: (spm, am),
            Opcode.MATMUL: (am, spm),
            Opcode.QUANTIZE: (spm, am),
            Opcode.QUERY: (spm, am),
            Opcode.APPEND: (spm, spm),
            Opcode.ATTEND: (am, spm),
            Opcode.LOAD_ROWS: (None, spm),
            Opcode.STORE_ROWS: (spm, None),
        }
        with m.Switch(instruction.opcode):
            for opcode, (src, dst) in limits.items():
                with m.Case(opcode):
                    source_ok = 1 if src is None else instruction.src < src
                    target_ok = 1 if dst is None else instruction.dst < dst
                    m.d.comb += in_range.eq(source_ok & target_ok)
        for name, opcodes in _COUNTED.items():
            with m.Switch(instruction.opcode):
                with m.Case(*opcodes), m.If(instruction[name] == 0):
                    m.d.comb += in_range.eq(0)
        # Rows are whole beats: 32 float32 are one of the widest bus.
        beat = bits_for(derive(self.config).bus_bytes)
        parts = Cat(instruction.n[: bits_for(BLOCK)], instruction.base[:beat], instruction.stride[:beat])
        with m.Switch(instruction.opcode):
            with m.Case(*_ROWS), m.If(parts.any()):
                m.d.comb += in_range.eq(0)
        return m
