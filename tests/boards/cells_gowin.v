// Cells of a Gowin FPGA at the pads of a board's design, as they behave in it.

module IBUF(input I, output O);
  assign O = I;
endmodule

module TBUF(input I, input OEN, output O);
  assign O = I & ~OEN;
endmodule
