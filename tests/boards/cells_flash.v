// Cells of the ECP5 between a design and its flash, as they behave in it.

module IFS1P3DX(input SCLK, input SP, input CD, input D, output reg Q);
  always @(posedge SCLK) if (CD) Q <= 0; else if (SP) Q <= D;
endmodule

// The clock of the flash leaves through the pin of the chip's own configuration, which lets the first edges pass by.
module USRMCLK(input USRMCLKI, input USRMCLKTS);
  reg [1:0] lost = 0;
  always @(posedge USRMCLKI) if (lost != 3) lost <= lost + 1;
  always @(*) top.flash_clock = USRMCLKI & ~USRMCLKTS & (lost == 3);
endmodule
