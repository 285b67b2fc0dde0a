// Further cells of the ECP5, those of a design with SDRAM. The PLL gives half the frequency that it gets, and the same a
// quarter of a period later: the bench drives the pin with twice the frequency that the PLL makes of the board's.

module BB(input I, input T, output O, inout B);
  assign B = T ? 1'bz : I;
  assign O = B;
endmodule

module OFS1P3DX(input SCLK, input SP, input CD, input D, output reg Q);
  always @(posedge SCLK) if (CD) Q <= 0; else if (SP) Q <= D;
endmodule

module FD1S3AX(input CK, input D, output reg Q);
  always @(posedge CK) Q <= D;
endmodule

module ODDRX1F(input SCLK, input RST, input D0, input D1, output Q);
  reg first, second;
  always @(posedge SCLK) {first, second} <= RST ? 2'b00 : {D0, D1};
  assign Q = SCLK ? first : second;
endmodule

module EHXPLLL(input CLKI, input CLKFB, input RST, input STDBY, input PHASESEL0, input PHASESEL1, input PHASEDIR,
               input PHASESTEP, input PHASELOADREG, input PLLWAKESYNC, input ENCLKOP, output reg CLKOP,
               output reg CLKOS, output reg LOCK);
  parameter CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 1, CLKOP_CPHASE = 0, CLKOP_FPHASE = 0;
  parameter CLKOS_DIV = 1, CLKOS_CPHASE = 0, CLKOS_FPHASE = 0;
  parameter CLKOP_ENABLE = "", CLKOS_ENABLE = "", FEEDBK_PATH = "";
  reg [4:0] cycles = 0;
  initial begin
    LOCK = 0;
    CLKOP = 0;
    CLKOS = 0;
    if (CLKOS_ENABLE != "ENABLED" || CLKOS_DIV != CLKOP_DIV || 4 * (CLKOS_CPHASE - CLKOP_CPHASE) != CLKOP_DIV)
      $fatal(1, "the second clock is not a quarter of a period late");
  end
  always @(posedge CLKI) begin
    CLKOP <= ~CLKOP;
    cycles <= cycles + 1;
    if (&cycles) LOCK <= 1;
  end
  always @(negedge CLKI) CLKOS <= CLKOP;
endmodule
