// A controller with its chip, behind a PHY that is a model.

module top (
    input wire sys_clk,
    input wire sys_rst,
    input wire [28:0] m_axi_awaddr,
    input wire [7:0] m_axi_awlen,
    input wire [2:0] m_axi_awsize,
    input wire [1:0] m_axi_awburst,
    input wire m_axi_awid,
    input wire m_axi_awvalid,
    output wire m_axi_awready,
    input wire [63:0] m_axi_wdata,
    input wire [7:0] m_axi_wstrb,
    input wire m_axi_wlast,
    input wire m_axi_wvalid,
    output wire m_axi_wready,
    output wire m_axi_bid,
    output wire [1:0] m_axi_bresp,
    output wire m_axi_bvalid,
    input wire m_axi_bready,
    input wire [28:0] m_axi_araddr,
    input wire [7:0] m_axi_arlen,
    input wire [2:0] m_axi_arsize,
    input wire [1:0] m_axi_arburst,
    input wire m_axi_arid,
    input wire m_axi_arvalid,
    output wire m_axi_arready,
    output wire m_axi_rid,
    output wire [63:0] m_axi_rdata,
    output wire [1:0] m_axi_rresp,
    output wire m_axi_rlast,
    output wire m_axi_rvalid,
    input wire m_axi_rready,
    // Of each lane, signed.
    input wire [9:0] arrival,
    output wire ready,
    output wire failed,
    // Slips of lanes 1 and 0, delays of lanes 1 and 0; the phase of reads.
    output reg [9:0] settings,
    output reg read_phase,
    output reg [7:0] broken,
    output reg [31:0] refreshes,
    output reg [31:0] reads,
    output reg [31:0] writes
);
  wire cke, rddata_valid, delay_reset, delay_next, slip_reset, slip_next, burst_clear;
  wire [1:0] ras_n, cas_n, we_n, wrdata_en, rddata_en, select, burst_seen;
  wire [5:0] bank;
  wire [15:0] wrdata_mask;
  wire [29:0] address;
  wire [127:0] wrdata, rddata;

  ddr3 controller (
      .clk(sys_clk), .rst(sys_rst), .ready(ready), .failed(failed), .pads__address(address), .pads__bank(bank),
      .pads__ras_n(ras_n), .pads__cas_n(cas_n), .pads__we_n(we_n), .pads__cke(cke), .pads__wrdata(wrdata),
      .pads__wrdata_mask(wrdata_mask), .pads__wrdata_en(wrdata_en), .pads__rddata_en(rddata_en),
      .pads__rddata(rddata), .pads__rddata_valid(rddata_valid), .pads__select(select),
      .pads__delay_reset(delay_reset), .pads__delay_next(delay_next), .pads__slip_reset(slip_reset),
      .pads__slip_next(slip_next), .pads__burst_clear(burst_clear), .pads__burst_seen(burst_seen),
      .writes__awaddr(m_axi_awaddr), .writes__awlen(m_axi_awlen), .writes__awsize(m_axi_awsize),
      .writes__awburst(m_axi_awburst), .writes__awid(m_axi_awid), .writes__awvalid(m_axi_awvalid),
      .writes__awready(m_axi_awready), .writes__wdata(m_axi_wdata), .writes__wstrb(m_axi_wstrb),
      .writes__wlast(m_axi_wlast), .writes__wvalid(m_axi_wvalid), .writes__wready(m_axi_wready),
      .writes__bid(m_axi_bid), .writes__bresp(m_axi_bresp), .writes__bvalid(m_axi_bvalid), .writes__bready(m_axi_bready),
      .reads__araddr(m_axi_araddr), .reads__arlen(m_axi_arlen), .reads__arsize(m_axi_arsize),
      .reads__arburst(m_axi_arburst), .reads__arid(m_axi_arid), .reads__arvalid(m_axi_arvalid),
      .reads__arready(m_axi_arready), .reads__rid(m_axi_rid), .reads__rdata(m_axi_rdata), .reads__rresp(m_axi_rresp),
      .reads__rlast(m_axi_rlast), .reads__rvalid(m_axi_rvalid), .reads__rready(m_axi_rready)
  );

  ddr3_phy phy (
      .sys_clk(sys_clk), .sys_rst(sys_rst), .sys2x_clk(1'b0), .init_clk(1'b0), .init_rst(1'b0), .stop(),
      .restart(), .address(address), .bank(bank), .ras_n(ras_n), .cas_n(cas_n), .we_n(we_n), .cke(cke),
      .wrdata(wrdata), .wrdata_mask(wrdata_mask), .wrdata_en(wrdata_en), .rddata_en(rddata_en), .rddata(rddata),
      .rddata_valid(rddata_valid), .select(select), .delay_reset(delay_reset), .delay_next(delay_next),
      .slip_reset(slip_reset), .slip_next(slip_next), .burst_clear(burst_clear), .burst_seen(burst_seen),
      .pad_a(), .pad_ba(), .pad_cas_n(), .pad_cke(), .pad_clk_p(), .pad_dm(), .pad_dq(), .pad_dqs_p(), .pad_odt(),
      .pad_ras_n(), .pad_we_n()
  );
endmodule
