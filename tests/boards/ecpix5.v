// The board: the design of the bitstream with its flash; the PHY of its DDR3 is the model with the chip.

module top (
    input wire clk100_0__io,
    input wire uart_0__rx__io,
    output wire uart_0__tx__io,
    output wire led_0__io,
    output wire led_1__io,
    output wire led_2__io,
    output wire led_3__io,
    // Of each lane, signed.
    input wire [9:0] arrival,
    input wire load,
    output wire flash_broken,
    output reg [9:0] settings,
    output reg read_phase,
    output reg [7:0] broken,
    output reg [31:0] refreshes,
    output reg [31:0] reads,
    output reg [31:0] writes
);
  reg flash_clock;
  wire flash_cs_n, copi, cipo;
  // On when they are low.
  wire [3:0] leds;
  assign {led_3__io, led_2__io, led_1__io, led_0__io} = ~leds;

  board fpga (
      .clk100_0__io(clk100_0__io), .uart_0__rx__io(uart_0__rx__io), .uart_0__tx__io(uart_0__tx__io),
      .rgb_led_0__g__io(leds[0]), .rgb_led_1__b__io(leds[1]), .rgb_led_2__r__io(leds[2]), .rgb_led_3__r__io(leds[3]),
      .spi_flash_1x_0__cs__io(flash_cs_n), .spi_flash_1x_0__copi__io(copi), .spi_flash_1x_0__cipo__io(cipo),
      .spi_flash_1x_0__hold__io(), .spi_flash_1x_0__wp__io(),
      .ddr3_0__clk__p(), .ddr3_0__clk_en__io(), .ddr3_0__odt__io(), .ddr3_0__ras__io(), .ddr3_0__cas__io(),
      .ddr3_0__we__io(), .ddr3_0__a__io(), .ddr3_0__ba__io(), .ddr3_0__dm__io(), .ddr3_0__dq__io(), .ddr3_0__dqs__p()
  );

  spi_flash flash (.clk(flash_clock), .cs_n(flash_cs_n), .copi(copi), .cipo(cipo), .load(load), .broken(flash_broken));
endmodule
