"""Projects for Vivado: block designs that hang together, and one address map for Vivado, Linux and the host."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from pyslang.syntax import SyntaxTree

from celosia import api
from celosia.boards.host.device import REGISTER_BYTES
from celosia.boards.host.uio import UioDevice
from celosia.boards.host.xdma import XdmaDevice
from celosia.boards.projects.project import PROJECTS, project_files
from celosia.cli import main
from celosia.driver.compiler import FitError
from celosia.driver.requests import RequestError
from celosia.generate import VERILOG_FILE, design_of, flow_files
from celosia.hdl.verilog import accelerator_ports
from celosia.project import build_project

from ...docs.test_documents import ROOT, _commands, parses
from ...driver.models import random_config, random_model
from ..host.kernel import FakeKernel, Registers, zynq
from .device_tree import read_overlay
from .vivado import CATALOG, Vivado, tkinter


@pytest.fixture(params=PROJECTS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def folder(name: str, tmp_path: Path) -> Path:
    """A project without the Verilog, which takes a minute."""
    project = PROJECTS[name]
    ports = accelerator_ports(project.config)
    (tmp_path / "accelerator").mkdir()
    files = {**flow_files(project.config, ports), VERILOG_FILE: ""}
    for file, text in files.items():
        (tmp_path / "accelerator" / file).write_text(text)
    for file, text in project_files(project, design_of(project.config, ports)).items():
        (tmp_path / file).write_text(text)
    return tmp_path


def designed(folder: Path) -> Vivado:
    vivado = Vivado()
    vivado.run(folder / "project.tcl", "design")
    return vivado


def test_nothing_is_left_open(folder: Path) -> None:
    vivado = designed(folder)
    assert vivado.open_ends() == []
    assert vivado.unplaced() == []
    assert vivado.excluded.isdisjoint(vivado.assigned)
    assert vivado.removed == ["clk.FREQ_HZ"]
    assert vivado.done.index("ipx::remove_bus_parameter") < vivado.done.index("ipx::save_core")
    assert "validate_bd_design" in vivado.done and "launch_runs" not in vivado.done
    assert all(path.is_file() for path in vivado.files[:-1])


def test_the_accelerator_is_where_it_should_be(name: str, folder: Path) -> None:
    """Clock, reset of the right polarity and interrupt; and nothing but its clock domain at the memory's ports."""
    vivado = designed(folder)
    clock, reset = vivado.drivers["celosia/clk"], vivado.drivers["celosia/rst"]
    assert reset == "reset/peripheral_reset" and vivado.drivers["reset/slowest_sync_clk"] == clock
    bus = PROJECTS[name].config.bus
    if name == "kv260":
        assert vivado.cells["ps"].properties["PSU__SAXIGP2__DATA_WIDTH"] == str(bus.data_bits)
        assert clock == "ps/pl_clk0" and vivado.drivers["ps/pl_ps_irq0"] == "celosia/irq"
        assert float(vivado.cells["ps"].properties["PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ"]) == 250
    else:
        assert bus.data_bits // bus.ports == 256, "of a port of HBM"
        assert clock == "clocks/clk_out1" and vivado.drivers["interrupt/i"] == "celosia/irq"
        assert vivado.drivers["xdma/usr_irq_req"] == "interrupt/o"
        assert vivado.drivers["interrupt/clk"] == "xdma/axi_aclk"
        assert {vivado.drivers[f"hbm/AXI_{port:02d}_ACLK"] for port in range(5)} == {clock}
        assert float(vivado.cells["clocks"].properties["CLKOUT1_REQUESTED_OUT_FREQ"]) == 225
        assert vivado.drivers["/hbm_cattrip"] == "hbm/DRAM_0_STAT_CATTRIP"
        for port in range(4):
            assert (f"memory_{port}/M00_AXI", f"hbm/SAXI_{port:02d}") in vivado.links


def test_addresses_are_those_of_the_map(name: str, folder: Path) -> None:
    vivado, addresses = designed(folder), json.loads((folder / "address_map.json").read_text())
    found = {(space, place) for space, segment in vivado.assigned for place in [vivado.assigned[space, segment]]}
    registers, memory = addresses["registers"], addresses["memory"]
    expected = {(f"celosia/{region['port']}", (region["address"], region["bytes"])) for region in memory}
    host = {"kv260": "ps/Data", "u280": "xdma/M_AXI_LITE"}[name]
    expected.add((host, (registers["address"], registers["bytes"])))
    if name == "u280":
        expected |= {("xdma/M_AXI", (region["address"], region["bytes"])) for region in memory}
        assert int(vivado.cells["xdma"].properties["pciebar2axibar_axil_master"], 0) == registers["address"]
    assert found == expected
    assert registers["bytes"] >= REGISTER_BYTES


def test_the_host_finds_what_the_map_says(name: str, folder: Path, tmp_path: Path) -> None:
    addresses, kernel = json.loads((folder / "address_map.json").read_text()), FakeKernel(tmp_path / "kernel")
    regions = addresses["memory"]
    if name == "u280":
        board = XdmaDevice(kernel, PROJECTS[name].config)
        assert board.base == min(region["address"] for region in regions)
        assert board.memory_bytes == sum(region["bytes"] for region in regions)
        assert addresses["device"] == "xdma"
        return
    _, labels = read_overlay((folder / "celosia.dtso").read_text())
    registers, buffer = labels["celosia_registers"], labels["celosia_memory"]
    (reserved,) = buffer.properties["memory-region"]
    base, size = labels[reserved.strip("<&>")].reg()
    zynq(kernel, Registers(), base, *buffer.numbers("size"), map_size=registers.reg()[1])
    kernel.attribute("sys/class/uio/uio4/name", registers.text("linux,uio-name"))
    with UioDevice(kernel) as board:
        assert [(board.base, board.memory_bytes)] == [(region["address"], region["bytes"]) for region in regions]
    assert size == board.memory_bytes
    assert buffer.text("device-name") == "celosia-memory"
    assert addresses["names"] == {"registers": "celosia", "memory": "celosia-memory"}


@pytest.mark.parametrize("name", ["kv260"], indirect=True)
def test_the_device_tree(folder: Path) -> None:
    root, labels = read_overlay((folder / "celosia.dtso").read_text())
    addresses = json.loads((folder / "address_map.json").read_text())
    registers = labels["celosia_registers"]
    assert registers.text("compatible") == "generic-uio"
    assert registers.reg() == (addresses["registers"]["address"], addresses["registers"]["bytes"])
    assert registers.properties["interrupt-parent"] == ["<&gic>"]
    assert registers.numbers("interrupts") == [0, addresses["interrupt"], 4]
    reserved = labels["celosia_reserved"]
    assert reserved.path == "/reserved-memory/celosia@40000000"
    assert "reusable" in reserved.properties and "no-map" not in reserved.properties
    cells = [root.nodes["reserved-memory"].numbers(f"#{kind}-cells") for kind in ("address", "size")]
    assert cells == [[2], [2]]
    assert labels["celosia_clock"].numbers("assigned-clock-rates") == [250_000_000]
    ports = dict(zip(*[iter(labels["celosia_ports"].numbers("config-afi"))] * 2, strict=True))
    assert ports[14] == 0xA00 and set(ports) == set(range(16))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("&{/} { a { }; b; };", "properties stand in front of nodes"),
        ("&{/} { a { } };", "ends with a semicolon"),
        ("&{/} { a = <1> <2>; };", "values stand between commas"),
        ("&{/} { a = <&nothing>; };", "a label is nowhere"),
        ("&{/} { a = 'x'; };", "what is"),
    ],
)
def test_the_reader_tells_good_from_bad(source: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        read_overlay(f"/dts-v1/;\n/plugin/;\n{source}")


def test_the_synchronizer_is_verilog() -> None:
    text = (ROOT / "boards/projects/interrupt.v").read_text()
    assert list(SyntaxTree.fromText(text).diagnostics) == []


def test_it_ends_with_a_bitstream(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "system_wrapper.bit").write_text("bits")
    vivado = Vivado()
    vivado.run(folder / "project.tcl")
    assert (folder / "vivado" / "celosia.bit").read_text() == "bits"
    handed_over = ["write_hw_platform"] if PROJECTS[name].linux_on_board else []
    order = ["validate_bd_design", "launch_runs", "report_timing_summary", *handed_over, "close_project"]
    looked_at = {*order, "write_hw_platform"}
    assert [call for call in vivado.done if call in looked_at] == order


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"board_files": ""}, r"^Vivado has no board files \*:\w+:\*: install those of this board"),
        ({"takes_ip": False}, r"^Vivado did not take the IP"),
        ({"slack": "-0.25"}, r"^the design misses its clock of \d+ MHz by 0\.25 ns: lower control\.clock_mhz"),
        ({"progress": "40%"}, r"^implementation ended with failed: see its log in \."),
    ],
)
def test_what_goes_wrong(folder: Path, answers: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "system_wrapper.bit").write_text("")
    with pytest.raises(tkinter.TclError, match=message):
        Vivado(**answers).run(folder / "project.tcl")
    assert not (folder / "vivado" / "celosia.bit").exists()


@pytest.mark.parametrize("arguments", [("designs",), ("design", "more")])
def test_a_wrong_call_says_how(folder: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(tkinter.TclError, match=r"^one argument at most, `design`: "):
        Vivado().run(folder / "project.tcl", *arguments)
    assert not (folder / "vivado").exists()


def test_an_ip_that_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(CATALOG, "proc_sys_reset")
    with pytest.raises(tkinter.TclError, match=r"^this Vivado has no IP proc_sys_reset$"):
        designed(folder)


def test_the_instructions(name: str, folder: Path) -> None:
    """Commands parse, files exist, and nothing is left to fill in."""
    text = (folder / "README.md").read_text()
    commands = [command for command in _commands(text) if command != "celosia build"]
    assert len(commands) >= 3 and all(parses(command) for command in commands)
    assert f"--device {PROJECTS[name].address_map.device} --config {PROJECTS[name].preset}" in text
    assert "$" not in text and "have not seen it" in text
    files = re.findall(r"^\| (`.*?`(?:, `.*?`)*) \|", text, re.MULTILINE)
    assert {file.strip("`") for row in files for file in row.split(", ")} == {
        path.name for path in folder.iterdir() if path.name != "README.md"
    }


def test_command(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the Verilog left out; once more over what is there, and what Vivado made of it stays."""
    monkeypatch.setattr("celosia.generate.accelerator_verilog", lambda config, name: "module celosia(); endmodule\n")
    arguments = ["build", "--board", name, "-o", str(tmp_path / "out")]
    report = tmp_path / "out" / "accelerator" / "vivado" / "timing.rpt"
    for first in (True, False):
        result = CliRunner().invoke(main, [*arguments, "--json"])
        assert result.exit_code == 0, result.output
        if first:
            report.parent.mkdir()
            report.write_text("kept")
    assert report.read_text() == "kept"
    printed = json.loads(result.stdout)
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(printed["files"])
    assert (tmp_path / "out" / "accelerator" / "registers" / "index.html").is_file()
    assert (printed["board"], printed["model"], printed["script"]) == (name, "celosia-tiny", "project.tcl")
    shown = CliRunner().invoke(main, arguments)
    assert f"celosia-tiny on {name}" in shown.stdout
    assert shown.stderr == f"No bitstream yet: Vivado makes it. {tmp_path / 'out' / 'README.md'} says how.\n"


def test_a_model_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The config, or the memory that is reserved; before anything is generated."""
    monkeypatch.setattr("celosia.project.generate", None)
    with pytest.raises(FitError, match=r"^model 'random' does not fit config 'kv260': "):
        build_project("kv260", random_model(random_config(dim=8192, hidden_dim=64), 1), tmp_path / "out")
    monkeypatch.setattr("celosia.boards.projects.address_map.ZYNQ_MEMORY_BYTES", 1 << 20)
    message = (
        r"^model 'celosia-tiny' takes 1,875,968 bytes with its cache: 827,392 more than the 1,048,576 of the accel"
    )
    with pytest.raises(RequestError, match=message):
        build_project("kv260", api.load(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
