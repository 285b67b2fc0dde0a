"""Models of the ECP5 cells that Yosys has none of, as far as it uses them (Lattice, FPGA-TN-02204 and -02205)."""


def _pins(prefix: str, count: int, kind: str) -> str:
    return ", ".join(f"{kind} {prefix}{index}" for index in range(count))


def _vector(prefix: str, count: int) -> str:
    return "{" + ", ".join(f"{prefix}{index}" for index in reversed(range(count))) + "}"


# Of its registers those that `boards/ecp5_dsp.py` uses: always enabled, no reset, one clock.
MULTIPLIER = f"""
module MULT18X18D ({_pins("A", 18, "input")}, {_pins("B", 18, "input")}, {_pins("C", 18, "input")},
  input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK0, CE0, RST0, {_pins("P", 36, "output")});
  parameter GSR = "ENABLED";
{
    "".join(
        f'''
  parameter REG_{register}_CLK = "NONE";
  parameter REG_{register}_CE = "CE0";
  parameter REG_{register}_RST = "RST0";'''
        for register in ("INPUTA", "INPUTB", "OUTPUT")
    )
}
  wire [17:0] in_a = {_vector("A", 18)};
  wire [17:0] in_b = {_vector("B", 18)};
  reg [17:0] held_a = 18'd0;
  reg [17:0] held_b = 18'd0;
  reg [35:0] held_p = 36'd0;
  wire [17:0] a = REG_INPUTA_CLK == "CLK0" ? held_a : in_a;
  wire [17:0] b = REG_INPUTB_CLK == "CLK0" ? held_b : in_b;
  wire signed [18:0] wide_a = {{SIGNEDA & a[17], a}};
  wire signed [18:0] wide_b = {{SIGNEDB & b[17], b}};
  wire signed [37:0] product = wide_a * wide_b;
  always @(posedge CLK0) begin
    if (RST0) held_a <= 18'd0; else if (CE0) held_a <= in_a;
    if (RST0) held_b <= 18'd0; else if (CE0) held_b <= in_b;
    if (RST0) held_p <= 36'd0; else if (CE0) held_p <= product[35:0];
  end
  assign {_vector("P", 36)} = REG_OUTPUT_CLK == "CLK0" ? held_p : product[35:0];
endmodule
"""

_INITIAL = "\n".join(f"  parameter [319:0] INITVAL_{index:02X} = 320'd0;" for index in range(64))
# A line of initial values is sixteen words of 18 bits, each in the lower bits of 20.
_LOAD = "\n".join(
    f"    for (i = 0; i < 16; i = i + 1) memory[{16 * index} + i] = INITVAL_{index:02X}[20 * i +: 18];"
    for index in range(64)
)


def _port(name: str) -> str:
    """A port of the RAM: words of 18 bits, or a part of one; of 36 bits the upper half is the other port's data."""
    return f"""
  wire [13:0] address_{name} = {_vector(f"AD{name}", 14)};
  wire [17:0] in_{name} = {_vector(f"DI{name}", 18)};
  wire [9:0] word_{name} = address_{name}[13:4];
  wire [4:0] low_{name} =
    DATA_WIDTH_{name} >= 18 ? 5'd0 :
    (address_{name}[3] ? 5'd9 : 5'd0) +
    (DATA_WIDTH_{name} == 9 ? 5'd0 :
     DATA_WIDTH_{name} == 4 ? {{2'd0, address_{name}[2], 2'd0}} :
     DATA_WIDTH_{name} == 2 ? {{2'd0, address_{name}[2:1], 1'd0}} : {{2'd0, address_{name}[2:0]}});
  wire [17:0] mask_{name} =
    DATA_WIDTH_{name} >= 18 ? {{{{9{{address_{name}[1]}}}}, {{9{{address_{name}[0]}}}}}} :
    ((18'd1 << DATA_WIDTH_{name}) - 18'd1) << low_{name};
  wire [17:0] old_{name} = memory[word_{name}];
  wire [17:0] new_{name} = (old_{name} & ~mask_{name}) | ((in_{name} << low_{name}) & mask_{name});
  reg [17:0] out_{name} = 18'd0;
  always @(posedge CLK{name}) if (CE{name} & DATA_WIDTH_{name} < 36) begin
    if (WE{name}) memory[word_{name}] <= new_{name};
    if (RST{name}) out_{name} <= 18'd0;
    else if (~WE{name} | WRITEMODE_{name} == "READBEFOREWRITE") out_{name} <= old_{name} >> low_{name};
    else if (WRITEMODE_{name} == "WRITETHROUGH") out_{name} <= new_{name} >> low_{name};
  end"""


# With 36 bits A writes and B reads; a word is two of 18 bits, and the enables of its bytes are A's lowest addresses.
BLOCK_RAM = f"""
module DP16KD ({
    ", ".join(
        f"{_pins(f'DI{p}', 18, 'input')}, {_pins(f'AD{p}', 14, 'input')}, {_pins(f'DO{p}', 18, 'output')},"
        f" input CE{p}, OCE{p}, CLK{p}, WE{p}, RST{p}, CS{p}2, CS{p}1, CS{p}0"
        for p in "AB"
    )
});
{
    "".join(
        f'''
  parameter DATA_WIDTH_{p} = 18;
  parameter REGMODE_{p} = "NOREG";
  parameter CSDECODE_{p} = "0b000";
  parameter WRITEMODE_{p} = "NORMAL";
  parameter CLK{p}MUX = "CLK{p}";'''
        for p in "AB"
    )
}
  parameter RESETMODE = "SYNC";
  parameter ASYNC_RESET_RELEASE = "SYNC";
  parameter GSR = "AUTO";
{_INITIAL}
  reg [17:0] memory [0:1023];
  integer i;
  initial begin
{_LOAD}
  end
{_port("A")}
{_port("B")}
  wire [17:0] high = in_B;
  reg [35:0] wide = 36'd0;
  always @(posedge CLKA) if (CEA & WEA & DATA_WIDTH_A == 36) begin
    for (i = 0; i < 2; i = i + 1) begin
      if (address_A[2 * i]) memory[{{address_A[13:5], i[0]}}][8:0] <= i[0] ? high[8:0] : in_A[8:0];
      if (address_A[2 * i + 1]) memory[{{address_A[13:5], i[0]}}][17:9] <= i[0] ? high[17:9] : in_A[17:9];
    end
  end
  always @(posedge CLKB) if (CEB & DATA_WIDTH_B == 36)
    wide <= RSTB ? 36'd0 : {{memory[{{address_B[13:5], 1'b1}}], memory[{{address_B[13:5], 1'b0}}]}};
  assign {_vector("DOA", 18)} = DATA_WIDTH_B == 36 ? wide[17:0] : out_A;
  assign {_vector("DOB", 18)} = DATA_WIDTH_B == 36 ? wide[35:18] : out_B;
endmodule
"""
