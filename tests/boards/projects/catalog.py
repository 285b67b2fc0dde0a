"""What Xilinx' IPs have at their border, as far as our block designs need it: pins, interfaces, address segments.

Names are those of AMD's product guides (PG201 for the processing system, PG195 XDMA, PG276 HBM, PG247 SmartConnect,
PG065 Clocking Wizard, PG164 Processor System Reset); what a property enables is there only if the property says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Properties = Mapping[str, str]


@dataclass
class Border:
    """Of a cell. `optional` inputs may be left open; interfaces are "master" or "slave"."""

    inputs: set[str] = field(default_factory=set)
    outputs: set[str] = field(default_factory=set)
    optional: set[str] = field(default_factory=set)
    interfaces: dict[str, str] = field(default_factory=dict)
    segments: dict[str, list[str]] = field(default_factory=dict)
    spaces: dict[str, str] = field(default_factory=dict)


def on(properties: Properties, name: str) -> bool:
    return properties.get(name, "0").lower() in ("1", "true")


def processing_system(properties: Properties) -> Border:
    border = Border()
    if on(properties, "PSU__USE__M_AXI_GP0"):
        border.interfaces["M_AXI_HPM0_FPD"], border.spaces["Data"] = "master", "M_AXI_HPM0_FPD"
        border.inputs.add("maxihpm0_fpd_aclk")
    if on(properties, "PSU__USE__S_AXI_GP2"):
        border.interfaces["S_AXI_HP0_FPD"] = "slave"
        border.inputs.add("saxihp0_fpd_aclk")
        names = ("DDR_LOW", "DDR_HIGH", "LPS_OCM", "QSPI")
        border.segments["S_AXI_HP0_FPD"] = [f"SAXIGP2/HP0_{name}" for name in names]
    if on(properties, "PSU__USE__IRQ0"):
        border.inputs.add("pl_ps_irq0")
    if on(properties, "PSU__FPGA_PL0_ENABLE"):
        border.outputs |= {"pl_clk0", "pl_resetn0"}
    return border


def smartconnect(properties: Properties) -> Border:
    clocks = range(1, int(properties.get("NUM_CLKS", "1")))
    ends = {f"S{index:02d}_AXI": "slave" for index in range(int(properties["NUM_SI"]))}
    ends |= {f"M{index:02d}_AXI": "master" for index in range(int(properties["NUM_MI"]))}
    return Border(inputs={"aclk", "aresetn", *(f"aclk{index}" for index in clocks)}, interfaces=ends)


def system_reset(properties: Properties) -> Border:
    outputs = {"peripheral_reset", "peripheral_aresetn", "interconnect_aresetn", "bus_struct_reset", "mb_reset"}
    optional = {"dcm_locked", "aux_reset_in", "mb_debug_sys_rst"}
    return Border(inputs={"slowest_sync_clk", "ext_reset_in"}, outputs=outputs, optional=optional)


def xdma(properties: Properties) -> Border:
    assert properties["xdma_axi_intf_mm"] == "AXI_Memory_Mapped"
    border = Border(
        inputs={"sys_clk", "sys_clk_gt", "sys_rst_n"},
        outputs={"axi_aclk", "axi_aresetn", "usr_irq_ack", "user_lnk_up", "msi_enable", "msix_enable"},
        interfaces={"pcie_mgt": "master", "M_AXI": "master"},
        spaces={"M_AXI": "M_AXI"},
    )
    if int(properties["xdma_num_usr_irq"]):
        border.inputs.add("usr_irq_req")
    if on(properties, "axilite_master_en"):
        border.interfaces["M_AXI_LITE"], border.spaces["M_AXI_LITE"] = "master", "M_AXI_LITE"
    return border


def hbm(properties: Properties) -> Border:
    assert (properties["USER_HBM_STACK"], properties["USER_HBM_DENSITY"]) == ("1", "4GB")
    assert on(properties, "USER_SWITCH_ENABLE_00") and not on(properties, "USER_APB_EN")
    border = Border(
        inputs={"HBM_REF_CLK_0", "APB_0_PCLK", "APB_0_PRESET_N"},
        outputs={"DRAM_0_STAT_CATTRIP", "DRAM_0_STAT_TEMP", "apb_complete_0"},
    )
    for port in range(16):
        name = f"{port:02d}"
        if properties[f"USER_SAXI_{name}"] == "true":
            border.inputs |= {f"AXI_{name}_ACLK", f"AXI_{name}_ARESET_N"}
            border.interfaces[f"SAXI_{name}"] = "slave"
            border.segments[f"SAXI_{name}"] = [f"SAXI_{name}/HBM_MEM{index:02d}" for index in range(16)]
    return border


def buffer(properties: Properties) -> Border:
    outputs = {"IBUFDS": {"IBUF_OUT"}, "IBUFDSGTE": {"IBUF_OUT", "IBUF_DS_ODIV2"}}[properties["C_BUF_TYPE"]]
    return Border(outputs=outputs, interfaces={"CLK_IN_D": "slave"})


def clocking_wizard(properties: Properties) -> Border:
    assert (properties["PRIM_SOURCE"], properties["RESET_TYPE"]) == ("No_buffer", "ACTIVE_LOW")
    outputs = {"clk_out1", "locked"} | ({"clk_out2"} if on(properties, "CLKOUT2_USED") else set())
    return Border(inputs={"clk_in1", properties["RESET_PORT"]}, outputs=outputs)


CATALOG: dict[str, Callable[[Properties], Border]] = {
    "zynq_ultra_ps_e": processing_system,
    "smartconnect": smartconnect,
    "proc_sys_reset": system_reset,
    "xdma": xdma,
    "hbm": hbm,
    "util_ds_buf": buffer,
    "clk_wiz": clocking_wizard,
}
