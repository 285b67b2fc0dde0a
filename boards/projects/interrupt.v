// The accelerator's interrupt in the clock domain of XDMA.
module interrupt (
    input  wire clk,
    input  wire i,
    output wire o
);
  (* ASYNC_REG = "TRUE" *) reg [1:0] stages = 2'b00;
  always @(posedge clk) stages <= {stages[0], i};
  assign o = stages[1];
endmodule
