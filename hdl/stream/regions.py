"""What the prefetcher asks for: stretches of memory that say what they hold."""

from amaranth.lib import data, enum


class Kind(enum.Enum, shape=2):
    """What a region holds, which decides the output that it comes out of.

    TILES: stripes of a weight matrix: scale beats and payload. BEATS: float32 or constants, beat by beat. PAYLOAD: K or
    V elements of one head in one page, as 8-bit tiles. EXPONENTS: theirs, as beats of the scale FIFO.
    """

    TILES = 0
    BEATS = 1
    PAYLOAD = 2
    EXPONENTS = 3


STREAM_REGION = data.StructLayout(
    {
        "address": 48,
        "beats": 24,
        "kind": Kind,
        "format": 4,
        "units": 24,
    }
)
"""A region: `beats` from `address`; `units` come out of it: tiles, or beats for BEATS and EXPONENTS."""

CONTENT = data.StructLayout({"kind": Kind, "format": 4, "units": 24})
"""What the read sides of the FIFOs know of a region."""
