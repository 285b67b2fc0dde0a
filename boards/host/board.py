"""From the name of a kind of board to an accelerator that runs jobs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ...arch.config import AcceleratorConfig
from ...driver.compiler import CompiledProgram
from ...driver.registers import ABORT, BUSY, IDENTIFICATION, RegisterAccelerator
from ..errors import BoardError
from .device import BoardDevice
from .files import KernelFiles
from .uio import UioDevice
from .xdma import XdmaDevice

BOARD_DEVICES = ("uio", "xdma")
"""A Zynq on which this runs; a card in a slot."""

STOP_SECONDS = 1.0
"""An abort waits for the bursts in flight only."""


@contextmanager
def board_accelerator(kind: str, compiled: CompiledProgram, files: KernelFiles) -> Iterator[RegisterAccelerator]:
    """The accelerator of this machine, for a program that fits its memory.

    Parameters
    ----------
    kind : one of BOARD_DEVICES.

    Raises
    ------
    BoardError
        It is not there, or something else is, or its memory is too small or out of the bus's reach.
    """
    with _open(kind, compiled.config, files) as device:
        _check_memory(device, compiled)
        found = device.read_register("ID")
        if found != IDENTIFICATION:
            raise BoardError(
                f"register ID is {found:#x}, and {IDENTIFICATION:#x} on an accelerator: load the bitstream of one"
            )
        accelerator = RegisterAccelerator(device, device.base)
        _stop(device)
        try:
            yield accelerator
        finally:
            # Whatever ended this, such as Ctrl-C: no job goes on that nobody waits for. A dead board has said so.
            with suppress(BoardError):
                device.write_register("INTERRUPT_ENABLE", 0)
                _stop(device)


def _open(kind: str, config: AcceleratorConfig, files: KernelFiles) -> BoardDevice:
    if kind == "xdma":
        return XdmaDevice(files, config)
    if config.bus.ports > 1:
        raise BoardError(
            f"bus.ports is {config.bus.ports}: a memory that is shared with the processor is one; choose a config with "
            "bus.ports = 1"
        )
    return UioDevice(files)


def _stop(device: BoardDevice) -> None:
    """End the job that runs, if one does: a doorbell would be ignored."""
    if not device.read_register("STATUS") & BUSY:
        return
    device.write_register("CONTROL", ABORT)
    end = time.monotonic() + STOP_SECONDS
    while device.read_register("STATUS") & BUSY:
        if time.monotonic() > end:
            raise BoardError(f"STATUS says busy {STOP_SECONDS:g} s after an abort: load the design again")


def _check_memory(device: BoardDevice, compiled: CompiledProgram) -> None:
    needed, there = compiled.memory.total_bytes, device.memory_bytes
    if needed > there:
        raise BoardError(
            f"{device.memory_name} is {there:,}: image and cache take {needed:,} bytes, {needed - there:,} more; give "
            "the accelerator more memory, lower cache.pages or choose a smaller model"
        )
    bits = compiled.config.bus.address_bits
    if device.base + needed > 1 << bits:
        raise BoardError(
            f"the memory is at {device.base:#x} to {device.base + needed - 1:#x}: bus.address_bits = {bits} do not "
            f"reach it; place it below {1 << bits:#x}"
        )
