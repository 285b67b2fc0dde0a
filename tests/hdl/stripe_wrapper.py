"""The stripe with flat ports: `bus_*` as its master sees it, `port_0_*` and so on."""

from amaranth.hdl import Module
from amaranth.lib import wiring

from celosia.arch.config import AcceleratorConfig
from celosia.hdl.axi import connect_flat, flat_ports
from celosia.hdl.stripe import Stripe


class FlatStripe(wiring.Component):
    """All members of AXI's own names."""

    def __init__(self, config: AcceleratorConfig) -> None:
        self.stripe = stripe = Stripe(config)
        buses = [("bus", stripe.reads), ("bus", stripe.writes)]
        buses += [(f"port_{index}", port) for index, port in enumerate(stripe.read_ports)]
        buses += [(f"port_{index}", port) for index, port in enumerate(stripe.write_ports)]
        self.buses = buses
        ports: dict[str, object] = {}
        for name, bus in buses:
            ports |= flat_ports(name, bus.signature)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.stripe = self.stripe
        for prefix, bus in self.buses:
            connect_flat(m, self, prefix, bus)
        return m
