"""Page writer, tail buffer and block table together, with the AXI port flat at the top."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from celosia.hdl.axi import axi4_write, connect_flat, flat_ports
from celosia.hdl.cache.block_table import BlockTable
from celosia.hdl.cache.page_writer import PageWriter
from celosia.hdl.cache.tail_buffer import TailBuffer, tail_ports
from celosia.hdl.interfaces import COMMAND, FAULT, Interfaces, lookup_port

TABLE_PORTS = ("write", "control", "control_open", "write_sequence", "write_index", "write_page")


class Append(wiring.Component):
    """An APPEND from quantized blocks to AXI; the tail buffer can be read as the merger does."""

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.table = BlockTable(interfaces=interfaces)
        config = interfaces.config
        axi = axi4_write(address_bits=config.bus.address_bits, data_bits=config.bus.data_bits, id_bits=1)
        super().__init__(
            {name: self.table.signature.members[name] for name in TABLE_PORTS}
            | flat_ports("m_axi", axi)
            | {
                "i": In(stream.Signature(COMMAND)),
                "i_kv": In(stream.Signature(interfaces.kv_block)),
                "kv_base": In(48),
                "append_complete": Out(1),
                "bytes": Out(range(interfaces.bus_bytes + 1)),
                "fault_valid": Out(1),
                "fault": Out(FAULT),
                "clear": In(1),
                "drained": Out(1),
                "lookup": In(lookup_port()),
                "status_sequence": In(6),
                "sequence_open": Out(1),
                "merger_chunk": In(1),
            }
            | {name: In(port) for name, port in tail_ports(interfaces).items()}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.table = table = self.table
        m.submodules.tail = tail = TailBuffer(interfaces=self.interfaces)
        m.submodules.writer = writer = PageWriter(interfaces=self.interfaces)
        connect_flat(m, self, "m_axi", writer.axi)
        connect(m, flipped(self.i), writer.i)
        connect(m, flipped(self.i_kv), tail.i)
        connect(m, flipped(self.lookup), table.stream)
        connect(m, writer.lookup, table.writer)
        connect(m, writer.tail_words, tail.writer_words)
        connect(m, writer.tail_exponents, tail.writer_exponents)
        connect(m, flipped(self.words), tail.merger_words)
        connect(m, flipped(self.exponents), tail.merger_exponents)
        m.d.comb += [getattr(table, name).eq(getattr(self, name)) for name in TABLE_PORTS]
        m.d.comb += [
            table.status_sequence.eq(self.status_sequence),
            self.sequence_open.eq(table.sequence_open),
            tail.enable.eq(writer.tail_enable),
            tail.chunk.eq(writer.tail_chunk),
            tail.merger_chunk.eq(self.merger_chunk),
            tail.position.eq(writer.tail_position),
            tail.head_blocks.eq(writer.tail_head_blocks),
            writer.tail_taken.eq(tail.i.valid & tail.i.ready),
            writer.kv_base.eq(self.kv_base),
            writer.clear.eq(self.clear),
            self.append_complete.eq(writer.append_complete),
            self.bytes.eq(writer.bytes),
            self.fault_valid.eq(writer.fault_valid),
            self.fault.eq(writer.fault),
            self.drained.eq(writer.drained),
        ]
        return m
