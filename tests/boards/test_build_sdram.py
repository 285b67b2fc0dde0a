"""From a model to a bitstream and a file for the flash: a small board with SDRAM for real, and what does not fit."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from celosia.arch.config import AcceleratorConfig, load_config
from celosia.arch.registers import offsets
from celosia.boards import tools
from celosia.boards.board import BOARDS, Board
from celosia.boards.boot import CONTEXT, IMAGE_BASE, LAST, LIST_BEATS, MAGIC, flash_file
from celosia.boards.build import build
from celosia.boards.errors import SynthesisError
from celosia.boards.gateware.pll import Pll
from celosia.boards.memories import FlashedSdram
from celosia.boards.ulx3s_sdram import Ulx3sSdramTop
from celosia.driver.compiler import compile_model
from celosia.driver.requests import RequestError
from celosia.sim.cache import cached_build

from .test_build import byte_model

SDRAM_BOARD = BOARDS["ulx3s-sdram"]
MEMORY_BYTES, FLASH_BYTES = 32 << 20, 14 << 20


class Walker(wiring.Component):
    """What a console system has outside, and a memory that it reads and writes without end: all of that is needed."""

    def __init__(self, memory: wiring.Component) -> None:
        self.memory = memory
        super().__init__({"hold": In(1), "rx": In(1), "tx": Out(1), "busy": Out(1), "failed": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.memory = memory = self.memory
        reads, writes = memory.reads, memory.writes
        address, folded = Signal(32), Signal(64)
        m.d.sync += [address.eq(address + 8), folded.eq((folded ^ reads.rdata).rotate_left(1))]
        m.d.comb += [
            reads.araddr.eq(address),
            *(value.eq(1) for value in (reads.arvalid, reads.rready, reads.arburst, writes.awburst)),
            *(value.eq(1) for value in (writes.awvalid, writes.wvalid, writes.wlast, writes.bready)),
            *(value.eq(folded) for value in (writes.awaddr, writes.wdata, writes.wstrb)),
            self.tx.eq(folded[0]),
        ]
        return m


class SmallTop(Ulx3sSdramTop):
    """Without an accelerator."""

    def __init__(self, config: AcceleratorConfig, *, flash_offset: int) -> None:
        super().__init__(config, flash_offset=flash_offset)
        self.system = Walker(self.memory)
        self.lights = (self.memory.ready, self.memory.failed)


@dataclass(frozen=True)
class SmallSdramBoard(Board):
    """The real one's pins."""

    def make(self, **arguments: Any) -> tuple[Any, Any]:
        return ULX3S_85F_Platform(), SmallTop(self.config, **self.memory.design(self.config))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> str:
    real = {field.name: getattr(SDRAM_BOARD, field.name) for field in fields(Board)}
    monkeypatch.setitem(BOARDS, "small", SmallSdramBoard(**{**real, "memories": ()}))
    return "small"


def test_second_model_changes_its_file_only(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    run = tools._run
    bitstreams = []
    for number, steps in ((1, None), (2, ["ecppack"])):
        with monkeypatch.context() as patched:
            patched.setattr(tools, "_run", lambda tool, *rest: (ran.append(tool), run(tool, *rest))[1])
            ran.clear()
            model = byte_model(number)
            built = build(small, model, tmp_path / str(number), cached=cached_build)
        assert steps in (None, ran)
        assert (built.memory_bytes, built.area.block_ram, built.goal_mhz) == (MEMORY_BYTES, 0, 50)
        assert built.fmax_mhz > 60
        assert {file.name for file in (tmp_path / str(number)).iterdir()} == set(built.files)
        file = flash_file(compile_model(model, SDRAM_BOARD.config), MEMORY_BYTES, FLASH_BYTES)
        assert (tmp_path / str(number) / "model.img").read_bytes() == file
        bitstreams.append((tmp_path / str(number) / "small.bit").read_bytes())
    assert bitstreams[0] == bitstreams[1]
    # A flash in which the model's file stands too early.
    shutil.copy(tmp_path / "1" / "small.config", tmp_path / "placed.config")
    near = FlashedSdram(flash_offset=1000, flash_bytes=16 << 20, memory_bytes=MEMORY_BYTES)
    message = (
        r"^the bitstream takes [\d,]+ bytes of flash, [\d,]+ more than are before the model: raise flash_offset in "
    )
    with pytest.raises(SynthesisError, match=message):
        near.pack(tmp_path, compile_model(byte_model(1), SDRAM_BOARD.config), SDRAM_BOARD.flow, lambda line: None)


@pytest.mark.parametrize("package", ["litex", "litedram"])
def test_missing_package_names_the_extra(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find_spec", lambda name: None if name == package else True)
    with pytest.raises(SynthesisError, match=rf"^{package} not found: run `pip install 'celosia\[synth\]'`$"):
        build("ulx3s-sdram", byte_model(1), tmp_path / "out", cached=cached_build)


def test_flash_file() -> None:
    """Magic, length and checksum; the boot list, with the image where that says that it is."""
    compiled = compile_model(byte_model(1), load_config("ulx3s-sdram"))
    file = flash_file(compiled, MEMORY_BYTES, FLASH_BYTES)
    length, checksum = (int.from_bytes(file[at : at + 4], "little") for at in (8, 12))
    content = file[16:]
    assert (file[:8], length, checksum) == (MAGIC, len(content), crc32(content)) and len(content) % 8 == 0
    assert content[IMAGE_BASE:][: len(compiled.image)] == compiled.image.tobytes()
    words = [int.from_bytes(content[at : at + 8], "little") for at in range(0, 8 * LIST_BEATS, 8)]
    listed = [(word >> 32, word & 0xFFFFFFFF) for word in words]
    found, at = dict(listed[: [register for register, _ in listed].index(LAST)]), offsets()
    assert found[at["IMAGE_BASE_LO"]] == IMAGE_BASE
    assert found[at["PROGRAM_BASE_LO"]] == IMAGE_BASE + compiled.memory.region("program").offset
    assert found[at["KV_BASE_LO"]] == IMAGE_BASE + compiled.memory.kv_offset
    assert found[CONTEXT] == compiled.context == 512


@pytest.mark.parametrize(
    ("memory_bytes", "flash_bytes", "message"),
    [
        (
            1 << 16,
            FLASH_BYTES,
            r"^model 'random' takes [\d,]+ bytes \(image [\d,]+ and cache 33,792\): 1,024 more than the 61,440 of the "
            r"board's SDRAM; choose a smaller model or lower cache\.pages$",
        ),
        (
            MEMORY_BYTES,
            1 << 14,
            r"^model 'random' takes [\d,]+ bytes of flash: [\d,]+ more than the 16,384 behind the bitstream; choose a ",
        ),
    ],
)
def test_model_that_is_too_large(memory_bytes: int, flash_bytes: int, message: str) -> None:
    compiled = compile_model(byte_model(1), load_config("ulx3s-sdram"))
    with pytest.raises(RequestError, match=message):
        flash_file(compiled, memory_bytes, flash_bytes)


@pytest.mark.parametrize("ratio", [0, 22])
def test_slow_clock_wrong(ratio: int) -> None:
    with pytest.raises(ValueError, match=rf"^slow_ratio = {ratio}: must be from 1 to 21$"):
        Pll(input_mhz=100, output_mhz=100, slow_ratio=ratio)


@pytest.mark.parametrize("degrees", [-30.0, 360.0, 100.0])
def test_pll_wrong(degrees: float) -> None:
    with pytest.raises(ValueError, match=rf"^late_degrees = {degrees!r}: must be a multiple of 30 below 360$"):
        Pll(input_mhz=25, output_mhz=50, late_degrees=degrees)
