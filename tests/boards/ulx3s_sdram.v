// The board: the design of the bitstream with its SDRAM and its flash.

module top (
    input wire clk25_0__io,
    input wire uart_0__rx__io,
    output wire uart_0__tx__io,
    output wire esp32_0__gpio0__io,
    output wire led_0__io,
    output wire led_1__io,
    output wire led_2__io,
    output wire led_3__io,
    input wire load,
    output wire flash_broken,
    output wire [7:0] broken,
    output wire [31:0] refreshes,
    output wire [31:0] reads,
    output wire [31:0] writes
);
  reg flash_clock;
  wire clk, cke, cs_n, ras_n, cas_n, we_n, flash_cs_n, copi, cipo;
  wire [1:0] ba, dqm;
  wire [12:0] a;
  wire [15:0] dq;

  board fpga (
      .clk25_0__io(clk25_0__io), .uart_0__rx__io(uart_0__rx__io), .uart_0__tx__io(uart_0__tx__io),
      .esp32_0__gpio0__io(esp32_0__gpio0__io), .led_0__io(led_0__io), .led_1__io(led_1__io), .led_2__io(led_2__io),
      .led_3__io(led_3__io), .sdram_0__clk__io(clk), .sdram_0__clk_en__io(cke), .sdram_0__cs__io(cs_n),
      .sdram_0__ras__io(ras_n), .sdram_0__cas__io(cas_n), .sdram_0__we__io(we_n), .sdram_0__ba__io(ba),
      .sdram_0__a__io(a), .sdram_0__dqm__io(dqm), .sdram_0__dq__io(dq), .spi_flash_0__cs__io(flash_cs_n),
      .spi_flash_0__copi__io(copi), .spi_flash_0__cipo__io(cipo), .spi_flash_0__hold__io(), .spi_flash_0__wp__io()
  );

  sdram_chip chip (
      .clk(clk), .cke(cke), .cs_n(cs_n), .ras_n(ras_n), .cas_n(cas_n), .we_n(we_n), .ba(ba), .a(a), .dqm(dqm), .dq(dq),
      .broken(broken), .refreshes(refreshes), .reads(reads), .writes(writes)
  );

  spi_flash flash (.clk(flash_clock), .cs_n(flash_cs_n), .copi(copi), .cipo(cipo), .load(load), .broken(flash_broken));
endmodule
