"""The embedding: gathers rows of the table, dequantizes them, writes them to the scratchpad."""

from amaranth import Array, Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..arch.config import INTERLEAVE, AcceleratorConfig, derive
from ..arch.formats import BLOCK, WeightFormat
from ..arch.isa import Status
from ..arch.layout import Stripe
from .arithmetic import FixedToFloat, FloatAdd
from .common import bits_for
from .interfaces import COMMAND, FAULT, Interfaces, auxiliary_port, read_port, write_port


def _words(bits: Value, width: int) -> Array:
    """`bits` cut into words, to be indexed by a signal."""
    return Array(bits.word_select(index, width) for index in range(len(bits) // width))


class RowAddress(wiring.Component):
    """Where the blocks of one row of the table stand (`arch.layout.MatmulLayout`), in the order of reading.

    One address per cycle: a block's scale beat, then its payload beats.

    Members:
        start : In(1), take `token`, `vocabulary`, `blocks` and `format`; the first address is valid four cycles later.
        base : In(48).
        o : Out(stream(48)), beat addresses; ends after `blocks` blocks.
        scale_index : Out, halfword of the scale of the block being received; `next_block` : In(1) ends it.
        channel : Out, of the token within its group.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.bus_bytes = derive(config).bus_bytes
        super().__init__(
            {
                "start": In(1),
                "token": In(20),
                "vocabulary": In(20),
                "blocks": In(12),
                "format": In(4),
                "base": In(48),
                "o": Out(stream.Signature(48)),
                "next_block": In(1),
                "scale_index": Out(range(self.bus_bytes // 2)),
                "channel": Out(range(max(config.array.channels, 2))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, bus = self.config, self.bus_bytes
        channel_bits = bits_for(config.array.channels)
        groups = Signal(20)
        group = Signal(20)
        width = Signal(range(INTERLEAVE + 1))
        tile = Signal(32)
        received = Signal(32)
        left = Signal(12)
        part = Signal(4)
        scale_beat = Signal(40)
        payload_beat = Signal(40)
        parts = Signal(4)
        steps = Signal(3)

        m.d.sync += steps.eq(steps << 1 | self.start)
        with m.If(self.start):
            m.d.sync += [
                groups.eq((self.vocabulary + config.array.channels - 1) >> channel_bits),
                group.eq(self.token >> channel_bits),
                self.channel.eq(self.token[:channel_bits]),
                left.eq(0),
            ]
        with m.If(steps[0]):
            m.d.sync += [
                width.eq(
                    Mux((groups - (group & ~0b111)) < INTERLEAVE, (groups - (group & ~0b111))[:4], INTERLEAVE),
                ),
                tile.eq((group & ~0b111) * self.blocks),
            ]
        with m.If(steps[1]):
            m.d.sync += [tile.eq(tile + group[:3]), received.eq(tile + group[:3]), left.eq(self.blocks), part.eq(0)]

        with m.Switch(self.format):
            for weight_format in derive(config).formats:
                with m.Case(weight_format.code):
                    self._place(m, weight_format, tile, received, scale_beat, payload_beat, parts)
        # An address is computed in one cycle and offered in the next.
        busy = Signal()
        fresh = Signal()
        m.d.comb += busy.eq((left != 0) & ~steps[1])
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(busy & ~fresh):
            m.d.sync += fresh.eq(1)
        with m.Elif(busy & (~self.o.valid | self.o.ready)):
            beat = Mux(part == 0, scale_beat, payload_beat + part - 1)
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.eq(self.base + (beat << bits_for(bus))),
                part.eq(part + 1),
            ]
            with m.If(part == parts):
                m.d.sync += [part.eq(0), left.eq(left - 1), tile.eq(tile + width), fresh.eq(0)]
        with m.If(self.next_block):
            m.d.sync += received.eq(received + width)
        return m

    def _place(
        self,
        m: Module,
        weight_format: WeightFormat,
        tile: Signal,
        received: Signal,
        scale_beat: Signal,
        payload_beat: Signal,
        parts: Signal,
    ) -> None:
        """Beats of the current tile (registered), number of payload beats, and the scale's place in its beat."""
        stripe = Stripe.of(self.config, weight_format)
        index = tile >> bits_for(stripe.tiles)
        within = received[: bits_for(stripe.tiles)] if stripe.tiles > 1 else 0
        halfwords = weight_format.scale_bytes // 2
        row_bytes = weight_format.payload_bytes
        offset = self.channel * row_bytes >> bits_for(self.bus_bytes)
        m.d.sync += [
            scale_beat.eq(index + (index << bits_for(stripe.tiles * stripe.tile_beats))),
            payload_beat.eq(index + 1 + (tile << bits_for(stripe.tile_beats)) + offset),
        ]
        m.d.comb += [
            parts.eq(max(1, row_bytes // self.bus_bytes)),
            self.scale_index.eq((within * self.config.array.channels + self.channel) * halfwords),
        ]


class Dequantizer(wiring.Component):
    """V elements of one block per cycle to float32 (docs/numerics.md, 9); `latency` cycles.

    Members:
        elements : In(V x signed 8), scale, minimum : In(16), fp16 (minimum 0: none). o : Out(V float32).
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        interfaces = Interfaces(config)
        self.lanes = interfaces.lanes
        self.has_minimum = any(f.has_minimum for f in interfaces.derived.formats)
        self.latency = 2 + FixedToFloat.latency + (FloatAdd.latency if self.has_minimum else 0)
        super().__init__(
            {
                "elements": In(data.ArrayLayout(signed(8), self.lanes)),
                "scale": In(16),
                "minimum": In(16),
                "o": Out(interfaces.vector),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # 1. Operands of the multipliers, 2. their products.
        elements = Signal.like(self.elements)
        m.d.sync += elements.eq(self.elements)
        significand, exponent = self._fp16(m, self.scale, "scale")
        if self.has_minimum:
            m.submodules.minimum = minimum = FixedToFloat(width=12)
            low, low_exponent = self._fp16(m, self.minimum, "minimum")
            m.d.comb += minimum.en.eq(1)
            m.d.sync += [minimum.n.eq(low), minimum.e.eq(low_exponent)]
        product_exponent = Signal.like(exponent)
        m.d.sync += product_exponent.eq(exponent)
        for lane in range(self.lanes):
            m.submodules[f"lane_{lane}"] = value = FixedToFloat(width=20)
            m.d.comb += [value.en.eq(1), value.e.eq(product_exponent)]
            m.d.sync += value.n.eq(elements[lane] * significand)
            if self.has_minimum:
                m.submodules[f"add_{lane}"] = add = FloatAdd()
                m.d.comb += [add.en.eq(1), add.a.eq(value.o), add.b.eq(minimum.o), self.o[lane].eq(add.o)]
            else:
                m.d.comb += self.o[lane].eq(value.o)
        return m

    def _fp16(self, m: Module, half: Signal, name: str) -> tuple[Signal, Signal]:
        """Signed significand and exponent of an fp16, subnormals included, a cycle later."""
        normal = half[10:15].any()
        magnitude = Cat(half[:10], normal)
        significand = Signal(signed(12), name=f"{name}_significand")
        exponent = Signal(signed(12), name=f"{name}_exponent")
        m.d.sync += [
            significand.eq(Mux(half[15], -magnitude, magnitude)),
            exponent.eq(Mux(normal, half[10:15], 1) - 25),
        ]
        return significand, exponent


class Embedding(wiring.Component):
    """Executes EMBED.

    Per row and block: a scale beat, the payload beats and 32/V cycles of writing, overlapped with the reads in flight.

    Members:
        i : In(stream(COMMAND)), done : Out(1).
        tokens : Out(read_port), token memory. memory : Out(auxiliary_port). image_base : In(48).
        spm : Out(write_port).
        fault_valid : Out(1), fault : Out(FAULT): TOKEN_RANGE with the id.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.interfaces = interfaces = Interfaces(config)
        super().__init__(
            {
                "i": In(stream.Signature(COMMAND)),
                "done": Out(1),
                "tokens": Out(read_port(20, 32)),
                "memory": Out(auxiliary_port(interfaces.bus_bytes * 8)),
                "image_base": In(48),
                "spm": Out(write_port(interfaces.spm_address, interfaces.vector, interfaces.lanes)),
                "fault_valid": Out(1),
                "fault": Out(FAULT),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.address = address = RowAddress(self.config)
        m.submodules.dequantizer = dequantizer = Dequantizer(self.config)
        command = Signal(COMMAND)
        instruction = command.instruction
        row = Signal(6)
        left = Signal(12)
        word = Signal(20)
        base = Signal(48)
        # The token memory may be far away.
        token = Signal.like(self.tokens.data)
        emitting = self._block(m, address, dequantizer, instruction.format)
        m.d.comb += [
            self.tokens.en.eq(1),
            self.tokens.address.eq(command.token + row),
            address.token.eq(token),
            address.vocabulary.eq(instruction.n),
            address.blocks.eq(instruction.k),
            address.format.eq(instruction.format),
            address.base.eq(base),
            self.memory.o_address.valid.eq(address.o.valid),
            self.memory.o_address.payload.address.eq(address.o.payload),
            self.memory.o_address.payload.beats.eq(1),
            address.o.ready.eq(self.memory.o_address.ready),
            self.fault.status.eq(Status.TOKEN_RANGE),
        ]
        m.d.sync += [self.fault_valid.eq(0), self.fault.address.eq(token)]
        in_flight = self._write(m, dequantizer, emitting, word)
        with m.If(emitting):
            m.d.sync += word.eq(word + 1)
        with m.FSM():
            with m.State("Idle"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += [command.eq(self.i.payload), row.eq(0), word.eq(self.i.payload.instruction.dst)]
                    m.next = "Look Up"
            with m.State("Look Up"):
                m.d.sync += base.eq(self.image_base + instruction.base)
                m.next = "Fetch"
            with m.State("Fetch"):
                m.d.sync += token.eq(self.tokens.data)
                m.next = "Check"
            with m.State("Check"):
                m.d.sync += left.eq(instruction.k)
                with m.If(token >= instruction.n):
                    m.d.sync += self.fault_valid.eq(1)
                    m.next = "Idle"
                with m.Else():
                    m.d.comb += address.start.eq(1)
                    m.next = "Row"
            with m.State("Row"):
                with m.If(address.next_block):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        m.d.sync += row.eq(row + 1)
                        m.next = "Flush"
                        with m.If(row + 1 != command.rows):
                            m.next = "Look Up"
            with m.State("Flush"):
                with m.If(~in_flight):
                    m.d.comb += self.done.eq(1)
                    m.next = "Idle"
        return m

    def _block(self, m: Module, address: RowAddress, dequantizer: Dequantizer, code: Signal) -> Signal:
        """Collect one block after the other and feed it to the dequantizer; return when V elements of it go."""
        lanes, bus_bits = self.interfaces.lanes, self.interfaces.bus_bytes * 8
        formats = self.interfaces.derived.formats
        beat = self.memory.i_beat
        scale = Signal(16)
        minimum = Signal(16)
        payload = Signal(BLOCK * 8)
        part = Signal(4)
        step = Signal(range(BLOCK // lanes))
        emitting = Signal()
        halfwords = _words(beat.payload, 16)
        m.d.comb += [dequantizer.scale.eq(scale), dequantizer.minimum.eq(minimum)]
        elements = Signal(dequantizer.elements.shape())
        m.d.comb += dequantizer.elements.eq(elements)
        last_part = Signal()
        with m.Switch(code):
            for f in formats:
                with m.Case(f.code):
                    self._elements(m, f, payload, step, elements)
                    m.d.comb += last_part.eq(part == max(1, f.payload_bytes * 8 // bus_bits) - 1)
        with m.FSM(name="collect"):
            with m.State("Take Scale"):
                m.d.comb += beat.ready.eq(1)
                m.d.sync += [scale.eq(halfwords[address.scale_index]), minimum.eq(0), part.eq(0), step.eq(0)]
                with m.Switch(code):
                    for f in formats:
                        if f.has_minimum:
                            with m.Case(f.code):
                                m.d.sync += minimum.eq(halfwords[address.scale_index | 1])
                with m.If(beat.valid):
                    m.next = "Take Payload"
            with m.State("Take Payload"):
                m.d.comb += beat.ready.eq(1)
                with m.If(beat.valid):
                    m.d.sync += part.eq(part + 1)
                    self._store(m, code, address.channel, part, payload)
                    with m.If(last_part):
                        m.next = "Emit"
            with m.State("Emit"):
                m.d.comb += emitting.eq(1)
                m.d.sync += step.eq(step + 1)
                with m.If(step == BLOCK // lanes - 1):
                    m.d.comb += address.next_block.eq(1)
                    m.next = "Take Scale"
        return emitting

    def _store(self, m: Module, code: Signal, channel: Signal, part: Signal, payload: Signal) -> None:
        """Put a payload beat where it belongs: it is a part of the block, or the block is a part of it."""
        beat, bus_bits = self.memory.i_beat.payload, self.interfaces.bus_bytes * 8
        with m.Switch(code):
            for f in self.interfaces.derived.formats:
                block_bits = f.payload_bytes * 8
                with m.Case(f.code):
                    if block_bits > bus_bits:
                        with m.Switch(part):
                            for index in range(block_bits // bus_bits):
                                with m.Case(index):
                                    m.d.sync += payload.word_select(index, bus_bits).eq(beat)
                    else:
                        index = channel[: bits_for(bus_bits // block_bits)] if bus_bits > block_bits else 0
                        m.d.sync += payload.eq(_words(beat, block_bits)[index])

    def _elements(self, m: Module, f: WeightFormat, payload: Signal, step: Signal, elements: data.View) -> None:
        lanes = self.interfaces.lanes
        stored = _words(payload[: BLOCK * f.bits], lanes * f.bits)[step]
        for lane in range(lanes):
            element = Signal(signed(8) if f.bits == 8 else unsigned(4), name=f"{f.name.lower()}_{lane}")
            m.d.comb += [element.eq(stored >> (lane * f.bits)), elements[lane].eq(element - f.offset)]

    def _write(self, m: Module, dequantizer: Dequantizer, emitting: Signal, word: Signal) -> Signal:
        """Delay address and enable by the dequantizer's latency; return whether a write is on its way."""
        enables, address = Signal(dequantizer.latency + 1), word
        m.d.comb += enables[0].eq(emitting)
        m.d.sync += enables[1:].eq(enables)
        for stage in range(dequantizer.latency):
            held = Signal(20, name=f"word_{stage}", reset_less=True)
            m.d.sync += held.eq(address)
            address = held
        m.d.comb += [
            self.spm.en.eq(enables[-1]),
            self.spm.address.eq(address),
            self.spm.mask.eq((1 << self.interfaces.lanes) - 1),
            self.spm.data.eq(dequantizer.o),
        ]
        return enables.any()
