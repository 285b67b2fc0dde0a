"""Whole jobs through the files of a board, with the RTL behind them: what comes out is what the golden machine says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from celosia.arch.config import AcceleratorConfig
from celosia.boards.host import board as board_module
from celosia.boards.host.board import board_accelerator
from celosia.boards.host.device import BoardDevice
from celosia.boards.host.uio import UioDevice
from celosia.boards.host.xdma import XdmaDevice
from celosia.driver.compiler import CompiledModel
from celosia.driver.device import Job
from celosia.driver.golden_accelerator import GoldenAccelerator
from celosia.driver.registers import ABORT, START
from celosia.driver.runtime import PageAllocator, Session
from celosia.sim.rtl import RtlDevice, memory_bytes_for
from celosia.verified import BoardAccelerator

from ...system.support import NARROW, WIDE, WIDEST, small_model, tokens
from .kernel import FakeKernel, Registers, card, zynq

BASE = 0x5000
"""Where the memory of a Zynq's accelerator begins; more would cost the simulation memory."""


def made(kind: str, root: Path, compiled: CompiledModel) -> tuple[FakeKernel, RtlDevice]:
    """Files of a board with the RTL behind them; its memory is just large enough."""
    base, size = (BASE if kind == "uio" else 0), compiled.memory.total_bytes
    kernel = FakeKernel(root)
    device = RtlDevice(compiled.config, memory_bytes_for(compiled.config, base + size))
    if kind == "uio":
        zynq(kernel, device, base, size)
    else:
        card(kernel, device, compiled.config.bus, len(device.memory))
    return kernel, device


@pytest.mark.parametrize(
    ("kind", "config"),
    [("uio", NARROW), ("uio", WIDE), ("xdma", WIDE), ("xdma", WIDEST)],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_model_says_what_the_golden_machine_says(kind: str, config: AcceleratorConfig, tmp_path: Path) -> None:
    """Three texts: of many tokens, then on, then from new; every page of the cache is compared, too."""
    compiled = small_model(config)
    kernel, device = made(kind, tmp_path, compiled)
    expected = Session(GoldenAccelerator(), compiled)
    streamed: list[int] = []
    with board_accelerator(kind, compiled, kernel) as hardware:
        accelerator = BoardAccelerator(compiled, hardware)
        session = Session(accelerator, compiled)
        for prompt, count in ((tokens(9), 6), (tokens(3, seed=2), 2), (tokens(1, seed=3), 1)):
            found = session.generate(prompt, count, on_token=streamed.append)
            wanted = expected.generate(prompt, count)
            assert (found.tokens, found.reason) == (wanted.tokens, wanted.reason)
            if count == 2:
                session.reset()
                expected.reset()
        assert accelerator.comparison.bit_exact and accelerator.comparison.tensors == 3, accelerator.comparison.mismatch
        assert len(streamed) == 9
        assert all(result.counters["stream_bytes"] > 0 for _, result in accelerator.jobs)
        assert len(kernel.opened) == (2 if kind == "uio" else 4)
    assert kernel.opened == {}
    assert device.read_register("INTERRUPT_ENABLE") == 0
    device.close()


def test_a_wrong_cache_is_found(tmp_path: Path) -> None:
    compiled = small_model(WIDE)
    kernel, device = made("uio", tmp_path, compiled)
    with board_accelerator("uio", compiled, kernel) as hardware:
        accelerator = BoardAccelerator(compiled, hardware)
        Session(accelerator, compiled).generate(tokens(34), 1)
        assert accelerator.comparison.bit_exact and accelerator.comparison.tensors == 2
        page = compiled.memory.kv_bytes // WIDE.cache.pages
        device.memory[BASE + compiled.memory.kv_offset + page + 100] ^= 1
        accelerator.run(Job(0, 34, tokens(1), 1))
    expected = r".*instruction APPEND, tensor page 1 of the KV cache, element \[100\]: golden \d+, RTL \d+"
    assert re.fullmatch(expected, str(accelerator.comparison.mismatch))
    device.close()


def test_pages_of_open_sequences_are_compared(tmp_path: Path) -> None:
    compiled, allocator = small_model(WIDE), PageAllocator(WIDE.cache.pages)
    kernel, device = made("uio", tmp_path, compiled)
    with board_accelerator("uio", compiled, kernel) as hardware:
        accelerator = BoardAccelerator(compiled, hardware)
        first, second = (Session(accelerator, compiled, allocator, sequence) for sequence in (0, 1))
        counts = []
        for session in (first, second, second):
            session.generate(tokens(2), 1)
            counts.append(accelerator.comparison.tensors)
            if len(counts) == 2:
                first.reset()
        assert counts == [1, 3, 4] and accelerator.comparison.bit_exact
    device.close()


def test_wrong_tokens_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = small_model(WIDE)
    kernel, device = made("uio", tmp_path, compiled)
    with board_accelerator("uio", compiled, kernel) as hardware:
        run = hardware.run
        monkeypatch.setattr(hardware, "run", lambda job, on_token: replace(run(job, on_token), tokens=(-1,)))
        accelerator = BoardAccelerator(compiled, hardware)
        Session(accelerator, compiled).generate(tokens(2), 1)
    assert "instruction SAMPLE, tensor tokens, element [0]" in str(accelerator.comparison.mismatch)
    device.close()


class Busy(Registers):
    """A device with a job that nobody waits for."""

    def __init__(self, stops: bool) -> None:
        super().__init__(1 << 22)
        self.stops = stops
        self.write_register("STATUS", 1)

    def write_register(self, register: str | int, value: int) -> None:
        super().write_register(register, value)
        if register in ("CONTROL", 4) and value == ABORT and self.stops:
            super().write_register("STATUS", 2)


def test_a_job_that_was_left_behind_is_ended_first(tmp_path: Path) -> None:
    compiled, device, kernel = small_model(WIDE), Busy(stops=True), FakeKernel(tmp_path)
    zynq(kernel, device, 0, 1 << 22)
    with board_accelerator("uio", compiled, kernel):
        assert (4, ABORT) in device.written and device.read_register("STATUS") == 2


def test_ctrl_c_ends_the_job(tmp_path: Path) -> None:
    class Pressed(Busy):
        def wait_interrupt(self, timeout: float) -> bool:
            raise KeyboardInterrupt

        def write_register(self, register: str | int, value: int) -> None:
            super().write_register(register, value)
            if register == 4 and value == START:
                super().write_register("STATUS", 1)

    compiled, device, kernel = small_model(WIDE), Pressed(stops=True), FakeKernel(tmp_path)
    zynq(kernel, device, 0, 1 << 22)
    with pytest.raises(KeyboardInterrupt), board_accelerator("uio", compiled, kernel) as hardware:
        hardware.run(Job(0, 0, (1,), 1))
    assert device.written[-3:] == [(0x14, 0), (4, ABORT), (8, 2)]
    assert kernel.opened == {}


def test_a_device_that_does_not_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "STOP_SECONDS", 0.01)
    kernel = FakeKernel(tmp_path)
    zynq(kernel, Busy(stops=False), 0, 1 << 22)
    with (
        pytest.raises(
            board_module.BoardError, match=r"^STATUS says busy 0\.01 s after an abort: load the design again$"
        ),
        board_accelerator("uio", small_model(WIDE), kernel),
    ):
        pass
    assert kernel.opened == {}


def bytes_of(size: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8)


MakeDevice = Callable[[FakeKernel, Registers], BoardDevice]


def uio(kernel: FakeKernel, device: Registers) -> BoardDevice:
    zynq(kernel, device, BASE, len(device.memory) - BASE)
    return UioDevice(kernel)


def xdma(config: AcceleratorConfig) -> MakeDevice:
    def make(kernel: FakeKernel, device: Registers) -> BoardDevice:
        card(kernel, device, config.bus, len(device.memory))
        return XdmaDevice(kernel, config)

    return make


@pytest.mark.parametrize("make", [uio, xdma(WIDE), xdma(WIDEST)], ids=["uio", "xdma", "xdma of four ports"])
def test_memory_of_any_place_and_size(make: MakeDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a beat, across beats, across pieces; and nothing beside it changes."""
    monkeypatch.setattr("celosia.boards.host.memory.PIECE", 200)
    device = Registers(BASE + 4096)
    rng = np.random.default_rng(7)
    with make(FakeKernel(tmp_path), device) as board:
        for seed in range(40):
            size, address = int(rng.integers(1, 1000)), BASE + int(rng.integers(0, 3000))
            device.memory[:] = bytes_of(len(device.memory), seed)
            expected, data = device.memory.copy(), bytes_of(size, seed + 1000)
            expected[address : address + size] = data
            board.write_memory(address, data)
            assert (device.memory == expected).all()
            assert (board.read_memory(address, size) == data).all()


def test_pieces_of_a_large_transfer(tmp_path: Path) -> None:
    device = Registers((9 << 20) + 3)
    with uio(FakeKernel(tmp_path), device) as board:
        data = bytes_of(board.memory_bytes - 5, 1)
        board.write_memory(board.base + 5, data)
        assert (device.memory[BASE + 5 :] == data).all()
        assert (board.read_memory(board.base + 5, len(data)) == data).all()


@pytest.mark.parametrize("make", [uio, xdma(WIDE)], ids=["uio", "xdma"])
def test_registers_by_name_and_by_offset(make: MakeDevice, tmp_path: Path) -> None:
    device = Registers(BASE + 4096)
    with make(FakeKernel(tmp_path), device) as board:
        board.write_register("POSITION", 0xFFFFFFFF)
        board.write_register(0x48, 3)
        assert device.written == [(0x44, 0xFFFFFFFF), (0x48, 3)]
        assert (board.read_register("POSITION"), board.read_register(0x48)) == (0xFFFFFFFF, 3)
