// Clocks of a design with DDR3. The PLL gives the clock that it gets, which the bench makes twice as fast as ours, and a slow
// one, which nothing needs here; the model of the PHY never stops them.

module EHXPLLL(input CLKI, input CLKFB, input RST, input STDBY, input PHASESEL0, input PHASESEL1, input PHASEDIR,
               input PHASESTEP, input PHASELOADREG, input PLLWAKESYNC, input ENCLKOP, output CLKOP, output CLKOS2,
               output reg LOCK);
  parameter CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 1, CLKOP_CPHASE = 0, CLKOP_FPHASE = 0, CLKOS2_DIV = 1;
  parameter CLKOP_ENABLE = "", CLKOS2_ENABLE = "", FEEDBK_PATH = "";
  reg [4:0] cycles = 0;
  assign CLKOP = CLKI;
  assign CLKOS2 = 0;
  initial LOCK = 0;
  always @(posedge CLKI) begin
    cycles <= cycles + 1;
    if (&cycles) LOCK <= 1;
  end
endmodule

module ECLKSYNCB(input ECLKI, input STOP, output ECLKO);
  assign ECLKO = ECLKI & ~STOP;
endmodule

module CLKDIVF(input CLKI, input RST, input ALIGNWD, output reg CDIVX);
  parameter DIV = "2.0";
  initial CDIVX = 0;
  always @(posedge CLKI or posedge RST) if (RST) CDIVX <= 0; else CDIVX <= ~CDIVX;
endmodule
