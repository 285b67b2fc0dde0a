
add_files -norecurse [file join $here interrupt.v]
add_files -fileset constrs_1 -norecurse [file join $here card.xdc]
update_compile_order -fileset sources_1

# What leaves the chip. hbm_cattrip must be driven: undriven it is high, and the card shuts its power off.
create_bd_intf_port -mode Master -vlnv xilinx.com:interface:pcie_7x_mgt_rtl:1.0 pci_express_x16
foreach name {pcie_refclk sysclk0} {
    create_bd_intf_port -mode Slave -vlnv xilinx.com:interface:diff_clock_rtl:1.0 $name
    set_property CONFIG.FREQ_HZ 100000000 [get_bd_intf_ports $name]
}
create_bd_port -dir I -type rst pcie_perstn
set_property CONFIG.POLARITY ACTIVE_LOW [get_bd_ports pcie_perstn]
create_bd_port -dir O hbm_cattrip

cell xdma xdma {
    CONFIG.PCIE_BOARD_INTERFACE pci_express_x16
    CONFIG.SYS_RST_N_BOARD_INTERFACE pcie_perstn
    CONFIG.xdma_axi_intf_mm AXI_Memory_Mapped
    CONFIG.pl_link_cap_max_link_width X16
    CONFIG.pl_link_cap_max_link_speed 8.0_GT/s
    CONFIG.axi_data_width 512_bit
    CONFIG.axisten_freq 250
    CONFIG.axilite_master_en true
    CONFIG.axilite_master_scale Megabytes
    CONFIG.axilite_master_size 1
    CONFIG.xdma_num_usr_irq 1
    CONFIG.xdma_rnum_chnl 1
    CONFIG.xdma_wnum_chnl 1
    CONFIG.cfg_mgmt_if false
}
set_property CONFIG.pciebar2axibar_axil_master [format 0x%08x $register_address] [get_bd_cells xdma]
cell pcie_clock util_ds_buf {
    CONFIG.C_BUF_TYPE IBUFDSGTE CONFIG.DIFF_CLK_IN_BOARD_INTERFACE pcie_refclk CONFIG.USE_BOARD_FLOW true
}

# One stack of HBM. A port of it for each of the accelerator's, on the memory beside it, and one for the host, which
# reaches all through the switch.
set host [llength $masters]
set properties {
    CONFIG.USER_HBM_DENSITY 4GB
    CONFIG.USER_HBM_STACK 1
    CONFIG.USER_SINGLE_STACK_SELECTION LEFT
    CONFIG.USER_SWITCH_ENABLE_00 TRUE
    CONFIG.USER_APB_EN false
    CONFIG.USER_CLK_SEL_LIST0 AXI_00_ACLK
}
lappend properties CONFIG.USER_AXI_INPUT_CLK_FREQ $clock_mhz CONFIG.USER_AXI_CLK_FREQ $clock_mhz
for {set port 0} {$port < 16} {incr port} {
    lappend properties CONFIG.USER_SAXI_[format %02d $port] [expr {$port <= $host ? "true" : "false"}]
}
cell hbm hbm $properties

# 100 MHz from the card: the reference of the HBM and the source of both clocks.
cell card_clock util_ds_buf {CONFIG.C_BUF_TYPE IBUFDS}
cell clocks clk_wiz [list \
    CONFIG.PRIM_SOURCE No_buffer \
    CONFIG.PRIM_IN_FREQ 100.000 \
    CONFIG.CLKOUT1_REQUESTED_OUT_FREQ $clock_mhz \
    CONFIG.CLKOUT2_USED true \
    CONFIG.CLKOUT2_REQUESTED_OUT_FREQ 100.000 \
    CONFIG.RESET_TYPE ACTIVE_LOW \
    CONFIG.RESET_PORT resetn \
]
cell reset proc_sys_reset
cell apb_reset proc_sys_reset
create_bd_cell -type module -reference interrupt interrupt

cell registers smartconnect {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1 CONFIG.NUM_CLKS 2}
cell from_host smartconnect {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1 CONFIG.NUM_CLKS 2}
join_interfaces xdma/M_AXI_LITE registers/S00_AXI
join_interfaces registers/M00_AXI celosia/$register_port
join_interfaces xdma/M_AXI from_host/S00_AXI
join_interfaces from_host/M00_AXI hbm/SAXI_[format %02d $host]
connect_bd_intf_net [get_bd_intf_ports pci_express_x16] [get_bd_intf_pins xdma/pcie_mgt]
connect_bd_intf_net [get_bd_intf_ports pcie_refclk] [get_bd_intf_pins pcie_clock/CLK_IN_D]
connect_bd_intf_net [get_bd_intf_ports sysclk0] [get_bd_intf_pins card_clock/CLK_IN_D]

foreach pin {xdma/sys_rst_n clocks/resetn reset/ext_reset_in apb_reset/ext_reset_in} {
    connect_bd_net [get_bd_ports pcie_perstn] [get_bd_pins $pin]
}
connect_bd_net [get_bd_pins hbm/DRAM_0_STAT_CATTRIP] [get_bd_ports hbm_cattrip]
join_pins pcie_clock/IBUF_DS_ODIV2 xdma/sys_clk
join_pins pcie_clock/IBUF_OUT xdma/sys_clk_gt
join_pins card_clock/IBUF_OUT hbm/HBM_REF_CLK_0 clocks/clk_in1
join_pins clocks/locked reset/dcm_locked apb_reset/dcm_locked
join_pins clocks/clk_out1 celosia/$clock reset/slowest_sync_clk registers/aclk1 from_host/aclk1
join_pins clocks/clk_out2 hbm/APB_0_PCLK apb_reset/slowest_sync_clk
join_pins xdma/axi_aclk registers/aclk from_host/aclk interrupt/clk
join_pins xdma/axi_aresetn registers/aresetn from_host/aresetn
join_pins reset/peripheral_reset celosia/$reset_port
join_pins apb_reset/peripheral_aresetn hbm/APB_0_PRESET_N
join_pins celosia/$interrupt interrupt/i
join_pins interrupt/o xdma/usr_irq_req
for {set port 0} {$port <= $host} {incr port} {
    join_pins clocks/clk_out1 hbm/AXI_[format %02d $port]_ACLK
    join_pins reset/peripheral_aresetn hbm/AXI_[format %02d $port]_ARESET_N
}

place xdma/M_AXI_LITE celosia/$register_port/registers $register_address $register_bytes
set port 0
foreach {master address bytes} $memory {
    # In between is what makes AXI3 of AXI4.
    cell memory_$port smartconnect {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1}
    join_interfaces celosia/$master memory_$port/S00_AXI
    join_interfaces memory_$port/M00_AXI hbm/SAXI_[format %02d $port]
    join_pins clocks/clk_out1 memory_$port/aclk
    join_pins reset/interconnect_aresetn memory_$port/aresetn
    set own [format HBM_MEM%02d [expr {$address / $bytes}]]
    place celosia/$master hbm/SAXI_[format %02d $port]/$own $address $bytes
    place xdma/M_AXI hbm/SAXI_[format %02d $host]/$own $address $bytes
    lappend used $own
    for {set other 0} {$other < 16} {incr other} {
        if {[format HBM_MEM%02d $other] ne $own} {
            leave_out celosia/$master hbm/SAXI_[format %02d $port]/[format HBM_MEM%02d $other]
        }
    }
    incr port
}
for {set other 0} {$other < 16} {incr other} {
    if {[format HBM_MEM%02d $other] ni $used} {
        leave_out xdma/M_AXI hbm/SAXI_[format %02d $host]/[format HBM_MEM%02d $other]
    }
}
