// A controller and its chip, with the registers that stand at the pads, and a clock at the chip that is half a period late.

module top (
    input wire sys_clk,
    input wire sys_rst,
    input wire [24:0] m_axi_awaddr,
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
    input wire [24:0] m_axi_araddr,
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
    output wire [7:0] broken,
    output wire [31:0] refreshes,
    output wire [31:0] reads,
    output wire [31:0] writes
);
  wire cke, cs, ras, cas, we, oe;
  wire [1:0] ba, dqm;
  wire [12:0] a;
  wire [15:0] dq, to_chip;
  reg [38:0] pads;
  reg [15:0] from_chip;
  wire [3:0] off = ~pads[37:34];

  always @(posedge sys_clk) begin
    pads <= {cke, cs, ras, cas, we, ba, a, dqm, oe, to_chip};
    from_chip <= dq;
  end
  assign dq = pads[16] ? pads[15:0] : 16'bz;

  sdram controller (
      .clk(sys_clk), .rst(sys_rst), .ready(), .pads__clk_en(cke), .pads__cs(cs), .pads__ras(ras), .pads__cas(cas),
      .pads__we(we), .pads__ba(ba), .pads__a(a), .pads__dqm(dqm), .pads__dq_o(to_chip), .pads__dq_oe(oe),
      .pads__dq_i(from_chip),
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

  sdram_chip chip (
      .clk(~sys_clk), .cke(pads[38]), .cs_n(off[3]), .ras_n(off[2]), .cas_n(off[1]), .we_n(off[0]), .ba(pads[33:32]),
      .a(pads[31:19]), .dqm(pads[18:17]), .dq(dq),
      .broken(broken), .refreshes(refreshes), .reads(reads), .writes(writes)
  );
endmodule
