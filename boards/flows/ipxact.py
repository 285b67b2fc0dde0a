"""`component.xml`: the accelerator in IP-XACT, IEEE 1685-2009, which is the edition that Vivado's IP catalog reads.

Elements stand in the order of the standard's schema; Vivado ignores what stands elsewhere.
"""

from collections.abc import Mapping
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from ...hdl.stream.reader import AUXILIARY_DEPTH
from .design import CLOCK, DESCRIPTION, INTERRUPT, LIBRARY, REGISTER_PORT, RESET, VENDOR, Design

COMPONENT_FILE = "component.xml"
SPIRIT = "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009"
XILINX = "http://www.xilinx.com"
SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"

VIEWS = {
    "xilinx_anylanguagesynthesis": ("Synthesis", ":vivado.xilinx.com:synthesis"),
    "xilinx_anylanguagebehavioralsimulation": ("Simulation", ":vivado.xilinx.com:simulation"),
}
"""What Vivado calls its views: display name and environment."""

FAMILIES = (
    "artix7", "kintex7", "virtex7", "zynq", "spartan7", "kintexu", "virtexu", "kintexuplus", "virtexuplus",
    "virtexuplusHBM", "zynquplus", "versal",
)  # fmt: skip
"""Without its family in this list a project does not see an IP."""


def component_xml(design: Design) -> str:
    """The component: bus interfaces, address space, registers' block, views, ports and files."""
    for prefix, uri in (("spirit", SPIRIT), ("xilinx", XILINX), ("xsi", SCHEMA_INSTANCE)):
        ElementTree.register_namespace(prefix, uri)
    root = Element(f"{{{SPIRIT}}}component")
    root.set(f"{{{SCHEMA_INSTANCE}}}schemaLocation", f"{SPIRIT} {SPIRIT}/index.xsd")
    _texts(root, vendor=VENDOR, library=LIBRARY, name=design.top, version=design.ip_version)
    _bus_interfaces(_add(root, "busInterfaces"), design)
    spaces = _add(root, "addressSpaces")
    for master in design.config.bus.masters:
        _address_space(spaces, design, master)
    _memory_map(_add(root, "memoryMaps"), design)
    model = _add(root, "model")
    _views(_add(model, "views"), design)
    ports = _add(model, "ports")
    for name, direction, bits in design.ports:
        _port(ports, name, direction, bits)
    _file_sets(_add(root, "fileSets"), design)
    _add(root, "description", f"{DESCRIPTION} (config {design.config.name})")
    parameter = _add(_add(root, "parameters"), "parameter")
    _add(parameter, "name", "Component_Name")
    value = f"{design.top}_v{design.ip_version.replace('.', '_')}"
    _add(parameter, "value", value, resolve="user", id="PARAM_VALUE.Component_Name", order="1")
    _extensions(_add(root, "vendorExtensions"), design)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _add(parent: Element, tag: str, text: str | None = None, **attributes: str) -> Element:
    """A new last child; attributes are the standard's, whose own namespace they are in."""
    child = ElementTree.SubElement(parent, f"{{{SPIRIT}}}{tag}")
    child.text = text
    for name, value in attributes.items():
        child.set(f"{{{SPIRIT}}}{name}", value)
    return child


def _texts(parent: Element, **texts: str) -> None:
    for tag, text in texts.items():
        _add(parent, tag, text)


def _bus_interfaces(parent: Element, design: Design) -> None:
    bus = design.config.bus
    memory = _widths(design, bus.masters[0]) | {
        "PROTOCOL": "AXI4",
        "ID_WIDTH": design.bits(f"{bus.masters[0]}_arid"),
        "SUPPORTS_NARROW_BURST": 0,
        "MAX_BURST_LENGTH": bus.burst_beats,
        "NUM_READ_OUTSTANDING": bus.outstanding + AUXILIARY_DEPTH,  # id 0, and single beats on id 1
        "NUM_WRITE_OUTSTANDING": 2 * bus.outstanding,
    }
    registers = _widths(design, REGISTER_PORT) | {"PROTOCOL": "AXI4LITE"}
    buses = ":".join((*bus.masters, REGISTER_PORT))
    clock = {"ASSOCIATED_BUSIF": buses, "ASSOCIATED_RESET": RESET, "FREQ_HZ": design.clock_hz}

    for master in bus.masters:
        _interface(parent, master, "interface:aximm", "master", _axi(design, master), memory)
    _interface(parent, REGISTER_PORT, "interface:aximm", "slave", _axi(design, REGISTER_PORT), registers)
    _interface(parent, CLOCK, "signal:clock", "slave", {"CLK": CLOCK}, clock)
    _interface(parent, RESET, "signal:reset", "slave", {"RST": RESET}, {"POLARITY": "ACTIVE_HIGH"})
    _interface(parent, INTERRUPT, "signal:interrupt", "master", {"INTERRUPT": INTERRUPT}, {"SENSITIVITY": "LEVEL_HIGH"})


def _widths(design: Design, prefix: str) -> dict[str, object]:
    return {"DATA_WIDTH": design.bits(f"{prefix}_rdata"), "ADDR_WIDTH": design.bits(f"{prefix}_araddr")}


def _axi(design: Design, prefix: str) -> dict[str, str]:
    """AXI's name of a signal to that of its port: m_axi_araddr is ARADDR."""
    return {
        name.removeprefix(f"{prefix}_").upper(): name for name, _, _ in design.ports if name.startswith(f"{prefix}_")
    }


def _interface(
    parent: Element, name: str, kind: str, mode: str, signals: Mapping[str, str], parameters: Mapping[str, object]
) -> None:
    """A bus interface; `kind` is library and name of one of Xilinx' own definitions."""
    interface = _add(parent, "busInterface")
    _add(interface, "name", name)
    library, bus = kind.split(":")
    _add(interface, "busType", vendor="xilinx.com", library=library, name=bus, version="1.0")
    _add(interface, "abstractionType", vendor="xilinx.com", library=library, name=f"{bus}_rtl", version="1.0")
    end = _add(interface, mode)
    if kind == "interface:aximm" and mode == "master":
        _add(end, "addressSpaceRef", addressSpaceRef=name)
    elif name == REGISTER_PORT:
        _add(end, "memoryMapRef", memoryMapRef=name)
    maps = _add(interface, "portMaps")
    for logical, physical in signals.items():
        port_map = _add(maps, "portMap")
        _add(_add(port_map, "logicalPort"), "name", logical)
        _add(_add(port_map, "physicalPort"), "name", physical)
    values = _add(interface, "parameters")
    for key, value in parameters.items():
        parameter = _add(values, "parameter")
        _add(parameter, "name", key)
        _add(parameter, "value", str(value), id=f"BUSIFPARAM_VALUE.{name.upper()}.{key}")


def _address_space(parent: Element, design: Design, master: str) -> None:
    space = _add(parent, "addressSpace")
    _add(space, "name", master)
    _add(space, "range", str(1 << design.bits(f"{master}_araddr")), format="long")
    _add(space, "width", str(design.bits(f"{master}_rdata")), format="long")


def _memory_map(parent: Element, design: Design) -> None:
    memory_map = _add(parent, "memoryMap")
    _add(memory_map, "name", REGISTER_PORT)
    block = _add(memory_map, "addressBlock")
    _add(block, "name", "registers")
    _add(block, "baseAddress", "0", format="long")
    _add(block, "range", str(1 << design.bits(f"{REGISTER_PORT}_araddr")), format="long")
    _add(block, "width", str(design.bits(f"{REGISTER_PORT}_rdata")), format="long")
    _add(block, "usage", "register")


def _views(parent: Element, design: Design) -> None:
    for name, (display, environment) in VIEWS.items():
        view = _add(parent, "view")
        _texts(view, name=name, displayName=display, envIdentifier=environment)
        _texts(view, language="Verilog", modelName=design.top)
        _add(_add(view, "fileSetRef"), "localName", f"{name}_view_fileset")


def _port(parent: Element, name: str, direction: str, bits: int) -> None:
    port = _add(parent, "port")
    _add(port, "name", name)
    wire = _add(port, "wire")
    _add(wire, "direction", direction)
    if bits > 1:
        vector = _add(wire, "vector")
        _add(vector, "left", str(bits - 1), format="long")
        _add(vector, "right", "0", format="long")
    definition = _add(_add(wire, "wireTypeDefs"), "wireTypeDef")
    _add(definition, "typeName", "wire")
    for view in VIEWS:
        _add(definition, "viewNameRef", view)


def _file_sets(parent: Element, design: Design) -> None:
    for view in VIEWS:
        file_set = _add(parent, "fileSet")
        _add(file_set, "name", f"{view}_view_fileset")
        file = _add(file_set, "file")
        _texts(file, name=design.verilog, fileType="verilogSource")


def _extensions(parent: Element, design: Design) -> None:
    """Xilinx' own part: for which families, and where the IP stands in the catalog."""

    def add(to: Element, tag: str, text: str | None = None) -> Element:
        child = ElementTree.SubElement(to, f"{{{XILINX}}}{tag}")
        child.text = text
        return child

    core = add(parent, "coreExtensions")
    families = add(core, "supportedFamilies")
    for name in FAMILIES:
        add(families, "family", name).set(f"{{{XILINX}}}lifeCycle", "Production")
    add(add(core, "taxonomies"), "taxonomy", "/UserIP")
    add(core, "displayName", f"Celosia ({design.config.name})")
    add(core, "coreRevision", "1")
