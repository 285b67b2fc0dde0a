"""Operands of instructions as beats of the stream."""

from collections.abc import Sequence

from ...arch.config import AcceleratorConfig, derive
from ...arch.formats import WEIGHT_FORMATS
from ...arch.isa import Instruction, Opcode
from ...arch.layout import MatmulLayout, Stripe, ceil_div

_ELEMENT_BYTES = {Opcode.LOAD: 4, Opcode.ROPE_TABLE: 8}


class Operands:
    """What instructions take from the stream on one config, pages of the cache apart.

    Attributes:
        formats: weight formats by their code.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config, self.bus_bytes = config, derive(config).bus_bytes
        self.formats = {f.code: f for f in WEIGHT_FORMATS.values()}

    def beats(self, instruction: Instruction) -> int:
        """Beats of an operand; 0 if there is none."""
        if instruction.opcode == Opcode.MATMUL:
            return self.matrix(instruction)[0]
        return ceil_div(instruction.n * _ELEMENT_BYTES.get(instruction.opcode, 0), self.bus_bytes)

    def matrix(self, instruction: Instruction) -> tuple[int, float]:
        """Beats of a MATMUL's weights, and the share of scale beats."""
        weight_format = self.formats[instruction.format]
        layout = MatmulLayout(self.config, weight_format, instruction.n, instruction.k)
        beats = layout.bytes // self.bus_bytes
        return beats, ceil_div(layout.tiles, Stripe.of(self.config, weight_format).tiles) / beats

    def first(self, program: Sequence[Instruction], bursts: int, burst: int) -> int:
        """Beats of a pass's first `bursts` bursts of at most `burst` beats."""
        total = 0
        for instruction in program:
            beats = self.beats(instruction)
            taken = min(bursts, ceil_div(beats, burst))
            total += min(beats, taken * burst)
            bursts -= taken
        return total
