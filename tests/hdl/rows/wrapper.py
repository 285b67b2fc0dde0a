"""Two row writers at the arbiter, with the AXI port flat at the top."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from celosia.hdl.axi import axi4_write, connect_flat, flat_ports
from celosia.hdl.interfaces import COMMAND, FAULT, Interfaces, read_port
from celosia.hdl.rows.arbiter import MASTERS, WriteArbiter
from celosia.hdl.rows.bursts import ROWS_REGION
from celosia.hdl.rows.writer import RowWriter


class Writers(wiring.Component):
    """Ports of the writers end in 0 (id 0) and 1 (id 1)."""

    def __init__(self, *, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        bus = interfaces.config.bus
        self.widths = {"address_bits": bus.address_bits, "data_bits": bus.data_bits}
        ports: dict[str, object] = flat_ports("m_axi", axi4_write(**self.widths, id_bits=1))
        for index in range(2):
            ports |= {
                f"i_{index}": In(stream.Signature(COMMAND)),
                f"spm_{index}": Out(read_port(interfaces.spm_address, interfaces.vector)),
                f"region_{index}": In(ROWS_REGION),
                f"done_{index}": Out(1),
                f"bytes_{index}": Out(range(interfaces.bus_bytes + 1)),
                f"fault_valid_{index}": Out(1),
                f"fault_{index}": Out(FAULT),
                f"clear_{index}": In(1),
                f"drained_{index}": Out(1),
            }
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.arbiter = arbiter = WriteArbiter(**self.widths)
        connect_flat(m, self, "m_axi", arbiter.axi)
        for index, master in enumerate(MASTERS):
            writer = RowWriter(interfaces=self.interfaces)
            m.submodules[f"writer_{index}"] = writer
            connect(m, writer.axi, getattr(arbiter, master))
            connect(m, flipped(getattr(self, f"i_{index}")), writer.i)
            connect(m, writer.spm, flipped(getattr(self, f"spm_{index}")))
            for name in ("region", "clear"):
                m.d.comb += getattr(writer, name).eq(getattr(self, f"{name}_{index}"))
            for name in ("done", "bytes", "fault_valid", "fault", "drained"):
                m.d.comb += getattr(self, f"{name}_{index}").eq(getattr(writer, name))
        return m
