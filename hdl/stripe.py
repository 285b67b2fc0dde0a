"""A wide memory bus over several AXI4 masters, for memories with many narrow ports."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Value
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect

from ..arch.config import AcceleratorConfig, derive
from .axi import BURST_INCR, axi4_read, axi4_write
from .common import Queue, SkidBuffer, bits_for, parts
from .stream.reader import AUXILIARY_BEATS

_AHEAD = 64
"""Beats by which a port may be ahead of the slowest: a refresh of its memory."""

_WRITES = 16
"""Write bursts without a response."""


class Stripe(wiring.Component):
    """Gives each of N ports its part of every beat: with S = W / N, port p has bytes p x S to (p + 1) x S.

    Address a of the bus is a / N at every port, within a region of its own: port p's begins at
    p x 2^`port_address_bits`. All ports carry the same bursts, on id 0, and a beat or a response counts when the last
    port has it; meanwhile the others may go on. An error at one port is one on the bus. One beat a cycle; addresses
    and write data leave a cycle after they came, read data two, responses two.

    Parameters:
        config: its `bus.ports` is N, 2 at least.

    Members:
        reads : In(axi4_read), writes : In(axi4_write), the bus, which refuses neither data nor responses.
        read_ports : Out(axi4_read).array(N), write_ports : Out(axi4_write).array(N)
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        derived = derive(config)
        self.part_bytes = derived.port_bytes
        wide = {"address_bits": config.bus.address_bits, "data_bits": derived.bus_bytes * 8, "id_bits": 1}
        narrow = {**wide, "data_bits": self.part_bytes * 8}
        super().__init__(
            {
                "reads": In(axi4_read(**wide)),
                "writes": In(axi4_write(**wide)),
                "read_ports": Out(axi4_read(**narrow)).array(config.bus.ports),
                "write_ports": Out(axi4_write(**narrow)).array(config.bus.ports),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._read(m)
        self._write(m)
        return m

    def _read(self, m: Module) -> None:
        bus, ports = self.reads, [self.read_ports[index] for index in range(self.config.bus.ports)]
        bursts = self.config.bus.outstanding + AUXILIARY_BEATS // 2
        m.submodules.read_ids = ids = Queue(shape=1, depth=bursts)
        together, beats = self._join(m, "r", ports, ("data", "last", "resp"), _AHEAD)
        m.d.comb += [
            bus.arready.eq(self._addresses(m, "ar", bus, ports, ids)),
            bus.rvalid.eq(together),
            bus.rdata.eq(Cat(beat.data for beat in beats)),
            bus.rlast.eq(beats[0].last),
            bus.rresp.eq(_worst([beat.resp for beat in beats])),
            bus.rid.eq(ids.o.payload),
            ids.o.ready.eq(bus.rvalid & bus.rlast),
        ]

    def _write(self, m: Module) -> None:
        bus, ports = self.writes, [self.write_ports[index] for index in range(self.config.bus.ports)]
        m.submodules.write_ids = ids = Queue(shape=1, depth=_WRITES)
        together, responses = self._join(m, "b", ports, ("resp",), _WRITES)
        own = zip(parts(bus.wdata, self.part_bytes * 8), parts(bus.wstrb, self.part_bytes), strict=True)
        payloads = [Cat(word, strobes, bus.wlast) for word, strobes in own]
        m.d.comb += [
            bus.awready.eq(self._addresses(m, "aw", bus, ports, ids)),
            bus.wready.eq(self._fork(m, "w", bus.wvalid, payloads, ports, ("data", "strb", "last"))),
            bus.bvalid.eq(together),
            bus.bresp.eq(_worst([response.resp for response in responses])),
            bus.bid.eq(ids.o.payload),
            ids.o.ready.eq(bus.bvalid),
        ]

    def _addresses(self, m: Module, channel: str, bus: Value, ports: Sequence[Value], ids: Queue) -> Value:
        """All ports take a burst at once, and `ids` remembers whose it is; returns whether they can."""
        address, length, valid = (getattr(bus, f"{channel}{name}") for name in ("addr", "len", "valid"))
        payloads = [
            Cat(address >> bits_for(len(ports)) | index << self.config.bus.port_address_bits, length)
            for index in range(len(ports))
        ]
        for port in ports:
            m.d.comb += [
                getattr(port, f"{channel}size").eq(bits_for(self.part_bytes)),
                getattr(port, f"{channel}burst").eq(BURST_INCR),
            ]
        free = self._fork(m, channel, valid & ids.i.ready, payloads, ports, ("addr", "len"))
        ready = free & ids.i.ready
        m.d.comb += [ids.i.payload.eq(getattr(bus, f"{channel}id")), ids.i.valid.eq(valid & free)]
        return ready

    def _fork(
        self,
        m: Module,
        channel: str,
        valid: Value,
        payloads: Sequence[Value],
        ports: Sequence[Value],
        names: Sequence[str],
    ) -> Value:
        """A register towards each port, all loaded at once; returns whether they are free."""
        buffers = [SkidBuffer(len(payload)) for payload in payloads]
        free = Cat(buffer.i.ready for buffer in buffers).all()
        for index, (buffer, payload, port) in enumerate(zip(buffers, payloads, ports, strict=True)):
            m.submodules[f"{channel}_{index}"] = buffer
            m.d.comb += [
                buffer.i.valid.eq(valid & free),
                buffer.i.payload.eq(payload),
                Cat(getattr(port, f"{channel}{name}") for name in names).eq(buffer.o.payload),
                getattr(port, f"{channel}valid").eq(buffer.o.valid),
                buffer.o.ready.eq(getattr(port, f"{channel}ready")),
            ]
        return free

    def _join(
        self, m: Module, channel: str, ports: Sequence[Value], names: Sequence[str], depth: int
    ) -> tuple[Value, list[Any]]:
        """A queue behind each port, all read at once; returns whether all have something, and what."""
        queues, found = [], []
        for index, port in enumerate(ports):
            values = {name: getattr(port, f"{channel}{name}") for name in names}
            layout = data.StructLayout({name: len(value) for name, value in values.items()})
            m.submodules[f"{channel}_{index}"] = queue = SyncFIFOBuffered(width=layout.size, depth=depth)
            m.d.comb += [
                queue.w_data.eq(Cat(values.values())),
                queue.w_en.eq(getattr(port, f"{channel}valid")),
                getattr(port, f"{channel}ready").eq(queue.w_rdy),
            ]
            queues.append(queue)
            found.append(layout(queue.r_data))
        together = Cat(queue.r_rdy for queue in queues).all()
        m.d.comb += [queue.r_en.eq(together) for queue in queues]
        return together, found


def memory_ports(m: Module, config: AcceleratorConfig, reads: Value, writes: Value) -> list[tuple[str, Value]]:
    """The bus by the names of the masters that carry it: one, or those that it is spread over; reads, then writes."""
    if config.bus.ports == 1:
        return [(config.bus.masters[0], half) for half in (reads, writes)]
    m.submodules.stripe = stripe = Stripe(config)
    connect(m, reads, stripe.reads)
    connect(m, writes, stripe.writes)
    return [
        *zip(config.bus.masters, stripe.read_ports, strict=True),
        *zip(config.bus.masters, stripe.write_ports, strict=True),
    ]


def _worst(responses: Sequence[Value]) -> Value:
    """The response of the first port that has an error; OKAY is 0."""
    worst = responses[-1]
    for response in reversed(responses[:-1]):
        worst = Mux(response != 0, response, worst)
    return worst
