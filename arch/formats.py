"""Number formats of weights, activations and the KV cache, as plain data.

Sources: the GGUF specification for ``Q8_0``, ``Q4_0`` and ``Q4_1``; OCP Microscaling (MX) 1.0 for blocks of 32
integers with one shared power-of-two exponent. ``docs/numerics.md`` defines every operation on them.
"""

from dataclasses import dataclass

BLOCK = 32
"""Elements along K that share one scale; also the lanes of one dot product and the positions of one KV page."""

KV_BITS = 8
"""Bits of a stored key or value element."""

MIN_EXPONENT = -127
MAX_EXPONENT = 127
"""Range of the shared exponent of a quantized activation or KV block."""


@dataclass(frozen=True)
class WeightFormat:
    """A block-scaled integer weight format.

    Attributes:
        name: the GGUF name.
        code: the 4-bit code in an instruction.
        bits: bits per stored element, 4 or 8.
        offset: what is subtracted from a stored unsigned element (``Q4_0``: 8).
        has_minimum: whether every block carries a second fp16, added per element (``Q4_1``).
    """

    name: str
    code: int
    bits: int
    offset: int
    has_minimum: bool

    @property
    def scale_bytes(self) -> int:
        """Bytes of scale data per block: fp16 d, or fp16 d followed by fp16 m."""
        return 4 if self.has_minimum else 2

    @property
    def payload_bytes(self) -> int:
        """Bytes of elements per block of 32."""
        return BLOCK * self.bits // 8

    @property
    def block_bytes(self) -> int:
        """Bytes per block of 32, scales included."""
        return self.payload_bytes + self.scale_bytes


Q8_0 = WeightFormat("Q8_0", code=0, bits=8, offset=0, has_minimum=False)
Q4_0 = WeightFormat("Q4_0", code=1, bits=4, offset=8, has_minimum=False)
Q4_1 = WeightFormat("Q4_1", code=2, bits=4, offset=0, has_minimum=True)

WEIGHT_FORMATS: dict[str, WeightFormat] = {f.name: f for f in (Q8_0, Q4_0, Q4_1)}
FORMAT_BY_CODE: dict[int, WeightFormat] = {f.code: f for f in WEIGHT_FORMATS.values()}
