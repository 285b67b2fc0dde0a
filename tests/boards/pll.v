// The PLL gives the clock that it gets: the bench drives the pin with the frequency that the PLL makes of the board's.

module EHXPLLL(input CLKI, input CLKFB, input RST, input STDBY, input PHASESEL0, input PHASESEL1, input PHASEDIR,
               input PHASESTEP, input PHASELOADREG, input PLLWAKESYNC, input ENCLKOP, output CLKOP, output reg LOCK);
  /* verilator lint_off UNUSEDPARAM */
  parameter CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 1, CLKOP_CPHASE = 0, CLKOP_FPHASE = 0;
  parameter CLKOP_ENABLE = "", FEEDBK_PATH = "";
  /* verilator lint_on UNUSEDPARAM */
  reg [3:0] cycles = 0;
  assign CLKOP = CLKI;
  initial LOCK = 0;
  always @(posedge CLKI) begin
    cycles <= cycles + 1;
    if (&cycles) LOCK <= 1;
  end
endmodule
