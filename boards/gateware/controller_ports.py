"""LiteDRAM's AXI4 port as ports of its Verilog module."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from .litedram_module import CHANNELS


def controller_ports(
    m: Module, reads: wiring.PureInterface, writes: wiring.PureInterface, *, address_bits: int, started: Signal
) -> dict[str, object]:
    """Arguments of the instance of a controller.

    Args:
        reads, writes: whose slave it is.
        address_bits: of the controller.
        started: it is not in reset, in which it would take what comes, and forget it.
    """
    ports: dict[str, object] = {}
    for channel, members in CHANNELS.items():
        bus = reads if channel in ("ar", "r") else writes
        answers = channel in ("b", "r")
        for member in members:
            name = f"{channel}{member}"
            signal = getattr(bus, name)
            if member == "addr":
                signal = signal[:address_bits]
            if member == "ready" and not answers:
                ready = Signal(name=f"controller_{name}")
                m.d.comb += signal.eq(ready & started)
                signal = ready
            ports[f"{'i' if (member == 'ready') == answers else 'o'}_{name}"] = signal
    return ports
