// An SPI flash that knows one command, to read from an address of 24 bits on: 4 MB, which repeat. `broken` says that it was
// asked for something else. A pulse of `load` gives it what the file flash.hex has; before, all is erased.

module spi_flash (input clk, input cs_n, input copi, output reg cipo, input load, output reg broken);
  reg [7:0] bytes [0:(1 << 22) - 1];
  reg [31:0] asked;
  reg [5:0] taken;
  reg started;
  // Bits from here on: of the next one, and behind it.
  reg [24:0] next, at;
  integer index;

  initial begin
    broken = 0;
    cipo = 1;
    for (index = 0; index < (1 << 22); index = index + 1) bytes[index] = 8'hff;
  end

  always @(posedge load) $readmemh("flash.hex", bytes);

  always @(posedge clk or posedge cs_n)
    if (cs_n) taken <= 0;
    else if (taken < 32) begin
      asked <= {asked[30:0], copi};
      taken <= taken + 1;
      if (taken == 7 && {asked[6:0], copi} != 8'h03) broken <= 1;
    end

  always @(negedge clk or posedge cs_n)
    if (cs_n) started <= 0;
    else if (taken == 32) begin
      at = started ? next : {asked[21:0], 3'b000};
      cipo <= bytes[at[24:3]][~at[2:0]];
      next <= at + 1;
      started <= 1;
    end
endmodule
