// A reader and its flash, with the register that stands at the pad.

module top (
    input wire clk,
    input wire rst,
    input wire load,
    input wire o__ready,
    output wire o__valid,
    output wire [7:0] o__payload,
    output wire clock,
    output wire cs,
    output wire broken
);
  wire copi, cipo;
  reg at_pad;

  always @(posedge clk) at_pad <= cipo;

  reader reader (.clk(clk), .rst(rst), .o__ready(o__ready), .o__valid(o__valid), .o__payload(o__payload), .clock(clock),
                 .cs(cs), .copi(copi), .cipo(at_pad));

  spi_flash flash (.clk(clock), .cs_n(~cs), .copi(copi), .cipo(cipo), .load(load), .broken(broken));
endmodule
