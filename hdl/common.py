"""What units of every area use: bits of an index, choosing and cutting values, queue and skid buffer of streams."""

from collections.abc import Iterable

from amaranth.hdl import Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out


def block_ram(*, shape: ShapeLike, depth: int, init: Iterable[object] = ()) -> Memory:
    """A memory of which a read answers a cycle later, with anything where the word is written in the cycle of the read.

    That is what block RAM does; Yosys would build logic around it that answers with the old word.
    """
    return Memory(shape=shape, depth=depth, init=init, attrs={"no_rw_check": 1})


def bits_for(count: int) -> int:
    """Bits of an index below `count`; 0 for a single one."""
    return (count - 1).bit_length()


def address_bits(count: int) -> int:
    """Bits of a memory address below `count`, one at least: there are no ports without bits."""
    return max(1, bits_for(count))


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


class SkidBuffer(wiring.Component):
    """Cuts a stream's valid, payload and ready with registers; one transfer a cycle, latency one cycle.

    Holds two payloads. A slot follows the input until it is taken, so that neither side's handshake, which may be late
    in a cycle, reaches registers as wide as the payload.

    Parameters
    ----------
    shape : ShapeLike

    Members
    -------
    i : In(stream.Signature(shape))
    o : Out(stream.Signature(shape))
    clear : In(1), forgets both
    """

    def __init__(self, shape: ShapeLike) -> None:
        self.shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)), "clear": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        full = Signal(2)
        write = Signal()
        read = Signal()
        pushed = Signal()
        popped = Signal()
        slots = [Signal(self.shape, name=f"slot_{number}", reset_less=True) for number in range(2)]
        m.d.comb += [
            self.i.ready.eq(~full.all()),
            self.o.valid.eq(full.any()),
            self.o.payload.eq(Mux(read, Value.cast(slots[1]), Value.cast(slots[0]))),
            pushed.eq(self.i.valid & self.i.ready),
            popped.eq(self.o.valid & self.o.ready),
        ]
        m.d.sync += [write.eq(write ^ pushed), read.eq(read ^ popped)]
        for number, slot in enumerate(slots):
            with m.If(~full[number]):
                m.d.sync += [slot.eq(self.i.payload), full[number].eq(pushed & (write == number))]
            with m.Elif(popped & (read == number)):
                m.d.sync += full[number].eq(0)
        with m.If(self.clear):
            m.d.sync += [full.eq(0), write.eq(0), read.eq(0)]
        return m
