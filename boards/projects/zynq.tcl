
# The processing system, with one master for the registers and one memory port as wide as the accelerator's.
cell ps zynq_ultra_ps_e
apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config {apply_board_preset "1"} [get_bd_cells ps]
set_property -dict [list \
    CONFIG.PSU__USE__M_AXI_GP0 1 \
    CONFIG.PSU__USE__M_AXI_GP1 0 \
    CONFIG.PSU__USE__M_AXI_GP2 0 \
    CONFIG.PSU__MAXIGP0__DATA_WIDTH 128 \
    CONFIG.PSU__USE__S_AXI_GP2 1 \
    CONFIG.PSU__SAXIGP2__DATA_WIDTH 128 \
    CONFIG.PSU__USE__IRQ0 1 \
    CONFIG.PSU__FPGA_PL0_ENABLE 1 \
    CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ $clock_mhz \
] [get_bd_cells ps]
cell reset proc_sys_reset
cell registers smartconnect {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1}
cell memory smartconnect {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1}

join_interfaces ps/M_AXI_HPM0_FPD registers/S00_AXI
join_interfaces registers/M00_AXI celosia/$register_port
join_interfaces celosia/[lindex $masters 0] memory/S00_AXI
join_interfaces memory/M00_AXI ps/S_AXI_HP0_FPD

join_pins ps/pl_clk0 celosia/$clock ps/maxihpm0_fpd_aclk ps/saxihp0_fpd_aclk registers/aclk memory/aclk \
    reset/slowest_sync_clk
join_pins ps/pl_resetn0 reset/ext_reset_in
join_pins reset/peripheral_reset celosia/$reset_port
join_pins reset/interconnect_aresetn registers/aresetn memory/aresetn
join_pins celosia/$interrupt ps/pl_ps_irq0

place ps/Data celosia/$register_port/registers $register_address $register_bytes
# The accelerator sees the memory that is reserved for it, and nothing else.
foreach {master address bytes} $memory {
    place celosia/$master ps/SAXIGP2/HP0_DDR_LOW $address $bytes
    foreach other {HP0_DDR_HIGH HP0_LPS_OCM HP0_QSPI} {
        leave_out celosia/$master ps/SAXIGP2/$other
    }
}
