"""The serial line against another implementation of it."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from celosia.boards.gateware.uart import UartReceiver, UartTransmitter, divisor_for
from celosia.hdl.common import Queue

from ...harness.runner import run_bench


class Echo(wiring.Component):
    """Sends what it receives."""

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"rx": In(1), "tx": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(divisor=self.divisor)
        m.submodules.queue = queue = Queue(shape=8, depth=4)
        m.submodules.transmitter = transmitter = UartTransmitter(divisor=self.divisor)
        connect(m, receiver.o, queue.i)
        connect(m, queue.o, transmitter.i)
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)]
        return m


@pytest.mark.parametrize("divisor", [4, 5, 434])
def test_uart(divisor: int) -> None:
    """The fewest cycles of a bit, an odd number, and 115200 baud of 50 MHz."""
    run_bench(
        Echo(divisor), "tests.boards.gateware.bench_uart", name=f"uart-{divisor}", parameters={"divisor": divisor}
    )


def test_divisor() -> None:
    assert divisor_for(50e6, 115200) == 434
    assert divisor_for(460800, 115200) == 4


@pytest.mark.parametrize("clock_hz", [115200 * 3, 115200 * 4.5])
def test_divisor_wrong(clock_hz: float) -> None:
    with pytest.raises(ValueError, match=r"^baud = 115200: a bit is no whole number of cycles, 4 at least, of \d+ Hz$"):
        divisor_for(clock_hz, 115200)


@pytest.mark.parametrize("end", [UartReceiver, UartTransmitter])
def test_divisor_of_component_wrong(end: type[UartReceiver | UartTransmitter]) -> None:
    with pytest.raises(ValueError, match=r"^divisor = 3: must be 4 or more"):
        end(divisor=3)
