"""`--device uio` and `--device xdma`: a board from the command line, with the RTL behind the files of a kernel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from celosia.arch.config import load_config
from celosia.boards.host.files import KernelFiles
from celosia.cli import main
from celosia.driver.compiler import CompiledModel
from celosia.driver.registers import RegisterAccelerator
from celosia.sim.rtl import RtlDevice

from ..boards.host.kernel import FakeKernel, card, zynq

MEMORY = 1 << 23


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RtlDevice]:
    """Both kinds of boards in one kernel, of the config `default`."""
    config, kernel = load_config(None), FakeKernel(tmp_path)
    device = RtlDevice(config, MEMORY)
    device.keep_writes(False)
    zynq(kernel, device, 0x3000, MEMORY - 0x3000)
    card(kernel, device, config.bus, MEMORY)
    for place in ("verified", "chat"):
        monkeypatch.setattr(f"celosia.{place}.KernelFiles", lambda: kernel)
    yield device
    assert kernel.opened == {}
    device.close()


def invoke(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=text)


@pytest.mark.parametrize("kind", ["uio", "xdma"])
def test_a_board_is_compared_with_the_golden_machine(kind: str, board: RtlDevice) -> None:
    result = invoke("run", "--prompt", "The cat", "-n", "3", "--device", kind, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    golden = json.loads(invoke("run", "--prompt", "The cat", "-n", "3", "--device", "golden", "--json").stdout)
    assert found["generated_tokens"] == golden["generated_tokens"]
    assert (found["device"], found["bit_exact"], found["tensors_compared"]) == (kind, True, 1)
    assert (len(found["cycles"]["decode"]), found["simulated_hz"], found["memory"]) == (2, None, None)
    assert 0.5 < found["bus_utilization"] <= 1


def test_what_people_see(board: RtlDevice) -> None:
    result = invoke("run", "--prompt", "The cat", "-n", "2", "--device", "uio")
    assert result.exit_code == 0, result.output
    assert "bit-exact" in result.stdout and "simulated" not in result.stdout


def test_a_board_that_computes_otherwise(board: RtlDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    load = RegisterAccelerator.load

    def damaged(accelerator: RegisterAccelerator, compiled: CompiledModel) -> None:
        load(accelerator, compiled)
        board.memory[0x3000 + compiled.memory.region("layers").offset + 4096] ^= 0x10

    monkeypatch.setattr(RegisterAccelerator, "load", damaged)
    result = invoke("run", "--prompt", "The cat", "-n", "2", "--device", "uio", "--json")
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("celosia: RTL and golden differ: pass -1")


def test_chat_on_a_board(board: RtlDevice) -> None:
    answers = [
        json.loads(invoke("chat", "-n", "4", "--json", "--device", kind, text="The cat\n").stdout)
        for kind in ("golden", "xdma")
    ]
    assert answers[0]["text"] == answers[1]["text"]
    assert (answers[0]["tokens_per_second"], answers[1]["tokens_per_second"] > 0) == (None, True)


@pytest.mark.parametrize("kind", ["uio", "xdma"])
def test_no_board(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("celosia.verified.KernelFiles", lambda: KernelFiles(tmp_path))
    result = invoke("run", "-n", "1", "--device", kind)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith(
        "celosia: /sys/class/uio: " if kind == "uio" else "celosia: /dev/xdma0_user: open: "
    )


@pytest.mark.parametrize(("option", "value"), [("--waves", "run.vcd"), ("--dram", "ddr4")])
def test_what_only_the_simulation_has(option: str, value: str) -> None:
    result = invoke("run", "--device", "uio", option, value)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"celosia: device is 'uio': only rtl has {'waves' if option == '--waves' else 'a dram'}\n"
