"""Interrupts: none is lost whatever the order, none comes late, and a wire that is missing is said."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from celosia.boards.errors import BoardError
from celosia.boards.host.device import BoardDevice
from celosia.boards.host.files import KernelFiles
from celosia.boards.host.uio import UioDevice
from celosia.boards.host.xdma import XdmaDevice

from ...system.support import WIDE
from .kernel import FakeKernel, Registers, card, zynq


class Tardy(Registers):
    """A device whose interrupt comes when its clock runs, if it comes at all."""

    def __init__(self, comes: bool = True) -> None:
        super().__init__()
        self.comes, self.waited = comes, 0.0
        self.values[0x14] = 3

    def wait_interrupt(self, timeout: float) -> bool:
        self.waited += timeout
        self.values[0x18] |= self.comes
        return bool(self.values[0x14] & self.values[0x18])


def uio(kernel: FakeKernel, device: Registers) -> BoardDevice:
    zynq(kernel, device, 0, 4096)
    return UioDevice(kernel)


def xdma(kernel: FakeKernel, device: Registers) -> BoardDevice:
    card(kernel, device, WIDE.bus, 0)
    return XdmaDevice(kernel, WIDE)


both = pytest.mark.parametrize("make", [uio, xdma])
Make = Callable[[FakeKernel, Registers], BoardDevice]


@both
def test_one_after_the_other(make: Make, tmp_path: Path) -> None:
    device = Tardy()
    with make(FakeKernel(tmp_path), device) as board:
        for _ in range(3):
            assert board.wait_interrupt(5)
            board.write_register("INTERRUPT_STATUS", 3)
    assert device.waited == 15


@both
def test_one_that_came_before_the_wait(make: Make, tmp_path: Path) -> None:
    device = Tardy()
    with make(FakeKernel(tmp_path), device) as board:
        device.values[0x18] = 2
        assert board.wait_interrupt(5)
    assert device.waited == 0


@both
def test_a_cause_between_reading_and_clearing(make: Make, tmp_path: Path) -> None:
    """One comes after INTERRUPT_STATUS was read and before the other is cleared: irq never falls, no edge follows."""
    device = Tardy()
    with make(FakeKernel(tmp_path), device) as board:
        assert board.wait_interrupt(5)
        device.values[0x18] = 3
        board.write_register("INTERRUPT_STATUS", 1)
        assert board.wait_interrupt(5)
    assert device.waited == 5


@both
def test_none_in_time(make: Make, tmp_path: Path) -> None:
    device = Tardy(comes=False)
    with make(FakeKernel(tmp_path), device) as board:
        assert not board.wait_interrupt(0.25)
    assert device.waited == 0.25


@both
def test_a_cause_that_is_not_enabled(make: Make, tmp_path: Path) -> None:
    """INTERRUPT_STATUS alone raises no interrupt, and promises none."""
    device = Tardy(comes=False)
    device.values[0x14], device.values[0x18] = 1, 2
    with make(FakeKernel(tmp_path), device) as board:
        assert not board.wait_interrupt(1)


@both
def test_a_wire_that_is_missing(make: Make, tmp_path: Path) -> None:
    """The accelerator asks for an interrupt while one waits, and none comes."""

    class Unconnected(Tardy):
        def wait_interrupt(self, timeout: float) -> bool:
            self.values[0x18] = 1
            return False

    with make(FakeKernel(tmp_path), Unconnected()) as board:
        file = "uio4" if make is uio else "xdma0_events_0"
        message = rf"^/dev/{file}: no interrupt within 2 s, although INTERRUPT_STATUS is 0x1: .+"
        with pytest.raises(BoardError, match=message):
            board.wait_interrupt(2)


def test_a_node_without_an_interrupt(tmp_path: Path) -> None:
    kernel = FakeKernel(tmp_path)
    zynq(kernel, Tardy(), 0, 4096).wired = False
    message = r"^/dev/uio4: wait for the interrupt: input/output error: the node needs `interrupts`, with the number "
    with UioDevice(kernel) as board, pytest.raises(BoardError, match=message):
        board.wait_interrupt(1)


def test_system_calls_are_those_of_the_kernel(tmp_path: Path) -> None:
    """The calls that the fake stands in for, on files that any kernel has."""
    files = KernelFiles(tmp_path)
    (tmp_path / "sys").mkdir()
    (tmp_path / "sys" / "name").write_text("celosia\n")
    (tmp_path / "dev").write_bytes(bytes(range(256)) * 48)
    assert (files.names("sys"), files.names("nowhere"), files.text("sys/name")) == (["name"], [], "celosia")
    fd = files.open("dev", os.O_RDWR)
    buffer = memoryview(bytearray(6))
    assert files.read_at(fd, buffer, 4098) == 6 and bytes(buffer) == bytes(range(2, 8))
    assert files.read_at(fd, buffer, 256 * 48 - 2) == 2
    assert files.write_at(fd, memoryview(b"abcd"), 4096) == 4
    words = files.words(fd, 4096, 4096, 0)
    assert words[0] == int.from_bytes(b"abcd", "little") and len(words) == 1024
    words[1] = 0x01020304
    assert files.read_at(fd, buffer, 4100) == 6 and bytes(buffer[:4]) == bytes([4, 3, 2, 1])
    assert files.words(fd, 4096, 4096, 4)[0] == words[1]
    files.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        files.read(fd, 1)
    end, begin = os.pipe()
    started = time.monotonic()
    assert not files.poll(end, 0.05)
    assert 0.04 < time.monotonic() - started < 5
    assert files.write(begin, b"12345678") == 8
    assert files.poll(end, 0) and files.read(end, 4) == b"1234"
    files.close(end)
    files.close(begin)
