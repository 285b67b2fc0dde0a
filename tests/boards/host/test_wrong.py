"""Boards that are not as they should be: one line that names the file, what is wrong and what to do."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from celosia.boards.errors import BoardError
from celosia.boards.host.board import board_accelerator
from celosia.boards.host.device import REGISTER_BYTES
from celosia.boards.host.uio import UioDevice
from celosia.boards.host.xdma import XdmaDevice
from celosia.driver.compiler import CompiledModel

from ...system.support import WIDE, WIDEST, small_model
from .kernel import FakeKernel, Registers, card, refuse, zynq


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[FakeKernel]:
    """A kernel without a board; nothing may be open in the end."""
    made = FakeKernel(tmp_path)
    yield made
    assert made.opened == {}


@pytest.fixture(scope="module")
def compiled() -> CompiledModel:
    return small_model(WIDE)


def refused(kind: str, compiled: CompiledModel, kernel: FakeKernel) -> str:
    with pytest.raises(BoardError) as caught, board_accelerator(kind, compiled, kernel):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_uio_at_all(compiled: CompiledModel, kernel: FakeKernel) -> None:
    assert refused("uio", compiled, kernel) == (
        "/sys/class/uio: no device is called 'celosia', there is no device at all: load the bitstream and its device "
        "tree overlay"
    )


def test_only_other_devices(compiled: CompiledModel, kernel: FakeKernel) -> None:
    kernel.attribute("sys/class/uio/uio0/name", "axi-pmon")
    kernel.attribute("sys/class/uio/uio1/name", "celosia2")
    assert "there is only axi-pmon, celosia2: load" in refused("uio", compiled, kernel)


@pytest.mark.parametrize(
    "missing", ["sys/class/uio/uio4/maps/map0/size", "sys/class/u-dma-buf/celosia-memory/phys_addr"]
)
def test_a_map_that_is_missing(missing: str, compiled: CompiledModel, kernel: FakeKernel) -> None:
    zynq(kernel, Registers(), 0, 1 << 22)
    (kernel.root / missing).unlink()
    assert refused("uio", compiled, kernel) == (
        f"/{missing}: read: no such file or directory: load the bitstream and its device tree overlay"
    )


@pytest.mark.parametrize(("size", "offset"), [(REGISTER_BYTES - 4, 0), (4096, 4096 - REGISTER_BYTES + 4)])
def test_a_map_that_is_too_small(size: int, offset: int, compiled: CompiledModel, kernel: FakeKernel) -> None:
    zynq(kernel, Registers(), 0, 1 << 22, map_size=size, offset=offset)
    assert refused("uio", compiled, kernel) == (
        f"/sys/class/uio/uio4/maps/map0/size is {size:#x}: the registers take {REGISTER_BYTES:#x} bytes; set `reg` of "
        "the device tree's node to 4 KiB"
    )


@pytest.mark.parametrize(("size", "offset"), [(REGISTER_BYTES, 0), (4096, 4096 - REGISTER_BYTES), (65536, 0x800)])
def test_maps_that_are_large_enough(size: int, offset: int, kernel: FakeKernel) -> None:
    """Registers that begin within a page are found there."""
    device = Registers()
    zynq(kernel, device, 0, 1 << 22, map_size=size, offset=offset)
    with UioDevice(kernel) as board:
        assert board.read_register("ID") == device.read_register("ID")


def test_a_memory_that_is_too_small(compiled: CompiledModel, kernel: FakeKernel) -> None:
    needed = compiled.memory.total_bytes
    zynq(kernel, Registers(), 0, needed - 1)
    assert refused("uio", compiled, kernel) == (
        f"/sys/class/u-dma-buf/celosia-memory/size is {needed - 1:,}: image and cache take {needed:,} bytes, 1 more; "
        "give the accelerator more memory, lower cache.pages or choose a smaller model"
    )


def test_ports_that_are_too_small(kernel: FakeKernel) -> None:
    compiled = small_model(WIDEST)
    bus = replace(WIDEST.bus, port_address_bits=14)
    card(kernel, Registers(), bus, 0)
    config = replace(compiled.config, bus=bus)
    assert refused("xdma", replace(compiled, config=config), kernel).startswith(
        "bus.ports x 2^bus.port_address_bits is 65,536: image and cache take "
    )


def test_a_memory_out_of_reach(compiled: CompiledModel, kernel: FakeKernel) -> None:
    zynq(kernel, Registers(), (1 << 40) - 4096, 1 << 22)
    assert refused("uio", compiled, kernel).endswith(
        ": bus.address_bits = 40 do not reach it; place it below 0x10000000000"
    )


def test_several_ports_on_a_zynq(kernel: FakeKernel) -> None:
    zynq(kernel, Registers(), 0, 1 << 22)
    assert refused("uio", small_model(WIDEST), kernel) == (
        "bus.ports is 4: a memory that is shared with the processor is one; choose a config with bus.ports = 1"
    )


@pytest.mark.parametrize(
    "device", ["uio4", "celosia-memory", "xdma0_user", "xdma0_events_0", "xdma0_h2c_0", "xdma0_c2h_0"]
)
def test_no_right(device: str, compiled: CompiledModel, kernel: FakeKernel) -> None:
    zynq(kernel, Registers(), 0, 1 << 22)
    card(kernel, Registers(), WIDE.bus, 0)
    (kernel.root / "dev" / device).chmod(0)
    assert refused("xdma" if "xdma" in device else "uio", compiled, kernel) == (
        f"/dev/{device}: open: permission denied: run as root, or give your user the right to it with a udev rule"
    )


def test_no_card(compiled: CompiledModel, kernel: FakeKernel) -> None:
    assert refused("xdma", compiled, kernel) == (
        "/dev/xdma0_user: open: no such file or directory: load the bitstream and the driver xdma, and look with lspci "
        "whether the card is there"
    )


def test_another_program_has_it(compiled: CompiledModel, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_(path: str, flags: int) -> int:
        raise refuse(errno.EBUSY)

    card(kernel, Registers(), WIDE.bus, 0)
    monkeypatch.setattr(kernel, "open", open_)
    assert refused("xdma", compiled, kernel).endswith("busy: another program has it: end that first")


@pytest.mark.parametrize("kind", ["uio", "xdma"])
def test_something_else_at_the_registers(kind: str, compiled: CompiledModel, kernel: FakeKernel) -> None:
    """What a card reads that does not answer."""
    device = Registers()
    device.values[0] = 0xFFFFFFFF
    zynq(kernel, device, 0, 1 << 22)
    card(kernel, device, WIDE.bus, 0)
    assert refused(kind, compiled, kernel) == (
        "register ID is 0xffffffff, and 0x43454c4f on an accelerator: load the bitstream of one"
    )


def shortened(call: Callable[..., int], count: int) -> Callable[..., int]:
    return lambda *arguments: min(call(*arguments), count)


@pytest.mark.parametrize(("operation", "direction"), [("write_at", "h2c"), ("read_at", "c2h")])
def test_a_short_transfer(operation: str, direction: str, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    card(kernel, Registers(4096), WIDE.bus, 4096)
    word = operation.removesuffix("_at")
    with XdmaDevice(kernel, WIDE) as board:
        monkeypatch.setattr(kernel, operation, shortened(getattr(kernel, operation), 100))
        message = (
            rf"^/dev/xdma0_{direction}_0: {word} 640 bytes at 0x40: only 100 of 640 were transferred: there must be "
        )
        with pytest.raises(BoardError, match=message):
            board.write_memory(64, np.zeros(640, np.uint8)) if word == "write" else board.read_memory(64, 640)


def test_behind_the_end_of_a_buffer(kernel: FakeKernel) -> None:
    """u-dma-buf transfers what there is, then nothing."""
    zynq(kernel, Registers(8192), 0, 8192)
    with UioDevice(kernel) as board:
        for address, done in ((8000, 192), (8192, 0)):
            with pytest.raises(
                BoardError, match=rf"^/dev/celosia-memory: read 500 bytes at .*: only {done} of 500 were "
            ):
                board.read_memory(address, 500)
            with pytest.raises(BoardError, match=rf"^/dev/celosia-memory: write 500 bytes at .*: only {done} of 500 "):
                board.write_memory(address, np.zeros(500, np.uint8))


def test_no_memory_at_an_address(kernel: FakeKernel) -> None:
    card(kernel, Registers(4096), WIDE.bus, 4096)
    fix = r"there must be memory at this address in the design; look for xdma in the kernel's log$"
    with XdmaDevice(kernel, WIDE) as board:
        with pytest.raises(
            BoardError, match=rf"^/dev/xdma0_h2c_0: write 64 bytes at 0x1000: input/output error: {fix}"
        ):
            board.write_memory(4096, np.zeros(64, np.uint8))
        with pytest.raises(BoardError, match=rf"^/dev/xdma0_c2h_0: read 64 bytes at 0x1000: input/output error: {fix}"):
            board.read_memory(4096, 64)


def test_registers_that_do_not_answer(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> int:
        raise refuse(errno.ENODEV)

    card(kernel, Registers(), WIDE.bus, 0)
    with XdmaDevice(kernel, WIDE) as board:
        monkeypatch.setattr(kernel, "read_at", gone)
        with pytest.raises(
            BoardError, match=r"^/dev/xdma0_user: read 4 bytes at 0x8: no such device: the device is gone"
        ):
            board.read_register("STATUS")
