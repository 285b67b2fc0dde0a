"""From stored tiles to what the engine multiplies."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...arch.formats import BLOCK, WeightFormat
from ..common import SkidBuffer
from ..interfaces import Interfaces

FP16 = data.StructLayout({"mantissa": 10, "exponent": 5, "sign": 1})
"""A scale as it is stored; infinities and NaN do not occur (rejected on import)."""


class Unpacker(wiring.Component):
    """Raw tiles to signed weights and exact scales.

    A tile leaves one cycle after it came, one tile a cycle, through a `SkidBuffer`. Only the enabled formats are built.
    Subnormal fp16 scales are exact: a significand without its leading one.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    format : In(4), code of the format of the tile at `i`; must be one of the enabled formats
    i : In(stream.Signature(raw_tile)); payload and scales of 4-bit and 2-byte formats stand in the low part
    o : Out(stream.Signature(tile))
    clear : In(1), forgets the tiles held

    Attributes
    ----------
    latency : int
    """

    latency = 1

    def __init__(self, interfaces: Interfaces) -> None:
        self.formats: tuple[WeightFormat, ...] = interfaces.derived.formats
        self.channels = interfaces.channels
        super().__init__(
            {
                "format": In(4),
                "i": In(stream.Signature(interfaces.raw_tile)),
                "o": Out(stream.Signature(interfaces.tile)),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.buffer = buffer = SkidBuffer(self.o.payload.shape())
        connect(m, buffer.o, flipped(self.o))
        m.d.comb += [
            buffer.clear.eq(self.clear),
            buffer.i.valid.eq(self.i.valid),
            self.i.ready.eq(buffer.i.ready),
        ]
        for channel in range(self.channels):
            self._weights(m, channel, buffer.i.payload)
            self._scales(m, channel, buffer.i.payload)
        return m

    def _select(self, choices: dict[int, Value]) -> Value:
        """The choice that belongs to `format`; the keys are format codes."""
        (_, selected), *others = choices.items()
        for code, choice in others:
            selected = Mux(self.format == code, choice, selected)
        return selected

    def _weights(self, m: Module, channel: int, tile: data.View) -> None:
        payload = self.i.payload.payload
        for lane in range(BLOCK):
            index = channel * BLOCK + lane
            choices = {}
            for f in self.formats:
                stored = payload.word_select(index, f.bits)
                # Eight-bit weights are stored signed; four-bit ones unsigned, and subtracting 8 flips the top bit.
                choices[f.code] = stored if f.bits == 8 else _nibble(stored, offset=f.offset)
            m.d.comb += tile.weights[channel][lane].eq(self._select(choices))

    def _scales(self, m: Module, channel: int, tile: data.View) -> None:
        scales = Value.cast(self.i.payload.scales)
        half = self._select(
            {f.code: scales.word_select(channel * f.scale_bytes // 2, 16) for f in self.formats},
        )
        significand, exponent, negative = _decode(m, half, name=f"scale_{channel}")
        m.d.comb += [
            tile.significand[channel].eq(significand),
            tile.exponent[channel].eq(exponent),
            tile.scale_negative[channel].eq(negative),
        ]
        if any(f.has_minimum for f in self.formats):
            minimum = {f.code: scales.word_select(channel * 2 + 1, 16) if f.has_minimum else C(0) for f in self.formats}
            significand, exponent, negative = _decode(m, self._select(minimum), name=f"minimum_{channel}")
            m.d.comb += [
                tile.minimum_significand[channel].eq(significand),
                tile.minimum_exponent[channel].eq(exponent),
                tile.minimum_negative[channel].eq(negative),
            ]


def _nibble(stored: Value, *, offset: int) -> Value:
    """Stored nibble minus `offset` (0 or 8), as a byte."""
    top, sign = (~stored[3], ~stored[3]) if offset else (stored[3], C(0))
    return Cat(stored[:3], top, sign.replicate(4))


def _decode(m: Module, half: Value, *, name: str) -> tuple[Value, Value, Value]:
    """Significand, exponent and sign of an fp16: its value is significand x 2^exponent, subnormal or not."""
    word = Signal(FP16, name=name)
    m.d.comb += word.eq(half)
    normal = word.exponent.any()
    exponent = Mux(normal, word.exponent, 1) - 25
    return Cat(word.mantissa, normal), exponent, word.sign
