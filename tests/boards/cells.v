// Cells of the ECP5 at the pads of every board's design, as they behave in it.

module IB(input I, output O);
  assign O = I;
endmodule

module OBZ(input I, input T, output O);
  assign O = I & ~T;
endmodule
