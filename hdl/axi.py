"""AXI4 and AXI4-Lite port signatures with AXI's own member names (AMBA AXI protocol, IHI 0022, A2 and B1).

Members are flat, so that a port called ``m_axi`` becomes ``m_axi__araddr``, ... in Verilog inside the design; the top
level renames them to ``m_axi_araddr``. Signatures are seen from the master.
"""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

BURST_INCR = 0b01
RESPONSE_OKAY, RESPONSE_DECERR = 0b00, 0b11


def axi4_read(*, address_bits: int, data_bits: int, id_bits: int) -> wiring.Signature:
    """The read channels of an AXI4 master."""
    return wiring.Signature(
        {
            "arid": Out(id_bits),
            "araddr": Out(address_bits),
            "arlen": Out(8),
            "arsize": Out(3),
            "arburst": Out(2),
            "arvalid": Out(1),
            "arready": In(1),
            "rid": In(id_bits),
            "rdata": In(data_bits),
            "rresp": In(2),
            "rlast": In(1),
            "rvalid": In(1),
            "rready": Out(1),
        }
    )


def axi4_write(*, address_bits: int, data_bits: int, id_bits: int) -> wiring.Signature:
    """The write channels of an AXI4 master."""
    return wiring.Signature(
        {
            "awid": Out(id_bits),
            "awaddr": Out(address_bits),
            "awlen": Out(8),
            "awsize": Out(3),
            "awburst": Out(2),
            "awvalid": Out(1),
            "awready": In(1),
            "wdata": Out(data_bits),
            "wstrb": Out(data_bits // 8),
            "wlast": Out(1),
            "wvalid": Out(1),
            "wready": In(1),
            "bid": In(id_bits),
            "bresp": In(2),
            "bvalid": In(1),
            "bready": Out(1),
        }
    )


def axi4_lite(*, address_bits: int, data_bits: int = 32) -> wiring.Signature:
    """An AXI4-Lite master."""
    return wiring.Signature(
        {
            "awaddr": Out(address_bits),
            "awprot": Out(3),
            "awvalid": Out(1),
            "awready": In(1),
            "wdata": Out(data_bits),
            "wstrb": Out(data_bits // 8),
            "wvalid": Out(1),
            "wready": In(1),
            "bresp": In(2),
            "bvalid": In(1),
            "bready": Out(1),
            "araddr": Out(address_bits),
            "arprot": Out(3),
            "arvalid": Out(1),
            "arready": In(1),
            "rdata": In(data_bits),
            "rresp": In(2),
            "rvalid": In(1),
            "rready": Out(1),
        }
    )


def flat_ports(prefix: str, signature: wiring.Signature, *, subordinate: bool = False) -> dict[str, object]:
    """Members of a bus as top-level ports `prefix_member`, so that they get AXI's own names in Verilog."""
    signature = signature.flip() if subordinate else signature
    return {f"{prefix}_{name}": member for name, member in signature.members.items()}


def connect_flat(m: Module, flat: Any, prefix: str, bus: Any) -> None:
    """Connect a bus to ports `prefix_member` of `flat`: of the component around the bus, or of one beside it."""
    for name, member in bus.signature.members.items():
        port, ours = getattr(flat, f"{prefix}_{name}"), getattr(bus, name)
        m.d.comb += port.eq(ours) if member.flow is Out else ours.eq(port)
