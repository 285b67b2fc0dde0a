// A chip of SDR SDRAM that watches over its rules: 4 banks of 8192 rows of 512 words of 16 bits, bursts of one word.
//
// Times are those of the slowest of the chips on such boards, in cycles of PERIOD_NS. `broken` keeps the number of the
// first rule that was violated, 0 for none; the bench has their names. What is on `dq` after a read stands there from one
// edge of the chip's clock to the next, as at a chip with an access time of 0.

module sdram_chip #(parameter PERIOD_NS = 20) (
    input clk, input cke, input cs_n, input ras_n, input cas_n, input we_n,
    input [1:0] ba, input [12:0] a, input [1:0] dqm, inout [15:0] dq,
    output reg [7:0] broken, output reg [31:0] refreshes, output reg [31:0] reads, output reg [31:0] writes
);
  localparam POWER_UP = 200000 / PERIOD_NS;
  // 8192 in 64 ms, in half nanoseconds.
  localparam [63:0] REFRESH_EVERY = 15625;
  localparam T_RP = (21 + PERIOD_NS - 1) / PERIOD_NS, T_RCD = (21 + PERIOD_NS - 1) / PERIOD_NS;
  localparam T_RAS = (45 + PERIOD_NS - 1) / PERIOD_NS, T_RC = (66 + PERIOD_NS - 1) / PERIOD_NS;
  localparam T_RRD = (15 + PERIOD_NS - 1) / PERIOD_NS, T_RFC = (70 + PERIOD_NS - 1) / PERIOD_NS;
  localparam T_WR = (28 + PERIOD_NS - 1) / PERIOD_NS, T_MRD = 2;
  localparam [2:0] MODE = 0, REFRESH = 1, PRECHARGE = 2, ACTIVATE = 3, WRITE = 4, READ = 5, NOTHING = 7;

  reg [15:0] words [0:(1 << 24) - 1];
  reg [3:0] open;
  reg [12:0] row [0:3];
  // Times of the last one: in cycles, of each bank or of all.
  reg [31:0] now, activated [0:3], precharged [0:3], written [0:3];
  reg [31:0] any_activated, refreshed, mode_set, owed;
  reg [63:0] elapsed, next_refresh;
  reg [7:0] first_refreshes;
  reg closed_once, usable, late;
  // What is driven now, and what will be behind the next edges.
  reg driven, soon, later;
  reg [15:0] driven_data, soon_data, later_data;
  wire [2:0] command = cs_n ? NOTHING : {ras_n, cas_n, we_n};
  wire [23:0] word = {row[ba], ba, a[8:0]};

  assign dq = driven ? driven_data : 16'bz;

  task check(input holds, input [7:0] rule);
    if (!holds && broken == 0) broken = rule;
  endtask

  task close(input [1:0] bank);
    begin
      check(now - activated[bank] >= T_RAS, 14);
      check(now - written[bank] >= T_WR, 15);
      open[bank] = 0;
      precharged[bank] = now;
    end
  endtask

  integer bank;
  initial begin
    broken = 0; refreshes = 0; reads = 0; writes = 0; open = 0; now = 0; any_activated = -1000; refreshed = -1000;
    mode_set = -1000; owed = 0; next_refresh = 0; elapsed = 0; first_refreshes = 0; closed_once = 0; usable = 0; late = 0;
    driven = 0; soon = 0; later = 0;
    for (bank = 0; bank < 4; bank = bank + 1) begin
      activated[bank] = -1000; precharged[bank] = -1000; written[bank] = -1000;
    end
  end

  always @(posedge clk) begin
    now = now + 1;
    elapsed = elapsed + 2 * PERIOD_NS;
    check(cke || !usable, 22);
    if (command != NOTHING) check(cke && now >= POWER_UP, 1);
    if (usable && elapsed >= next_refresh) begin
      owed = owed + 1;
      next_refresh = next_refresh + REFRESH_EVERY;
      check(owed <= 2, 19);
    end
    driven <= soon;
    driven_data <= soon_data;
    soon <= later;
    soon_data <= later_data;
    later <= 0;
    case (command)
      NOTHING: ;
      MODE: begin
        check(closed_once && first_refreshes >= 8, 2);
        check(open == 0, 4);
        for (bank = 0; bank < 4; bank = bank + 1) check($signed(now - precharged[bank]) >= T_RP, 4);
        check(now - refreshed >= T_RFC, 10);
        check(a[2:0] == 0 && a[12:7] == 0 && ba == 0 && (a[6:4] == 2 || a[6:4] == 3), 5);
        late = a[4];
        usable = 1;
        mode_set = now;
        next_refresh = elapsed + REFRESH_EVERY;
      end
      ACTIVATE: begin
        check(usable, 3);
        check(!open[ba], 6);
        check($signed(now - precharged[ba]) >= T_RP, 7);
        check(now - activated[ba] >= T_RC, 8);
        check(now - any_activated >= T_RRD, 9);
        check(now - refreshed >= T_RFC, 10);
        check(now - mode_set >= T_MRD, 11);
        open[ba] = 1;
        row[ba] = a;
        activated[ba] = now;
        any_activated = now;
      end
      READ, WRITE: begin
        check(open[ba], 12);
        check(now - activated[ba] >= T_RCD, 13);
        if (command == READ) begin
          reads = reads + 1;
          // Bytes that are masked are not driven; what a receiver sees of them is anything.
          if (late) begin
            later <= 1;
            later_data <= words[word] ^ {{8{dqm[1]}}, {8{dqm[0]}}};
          end else begin
            soon <= 1;
            soon_data <= words[word] ^ {{8{dqm[1]}}, {8{dqm[0]}}};
          end
        end else begin
          check(!driven && !soon && !later, 20);
          writes = writes + 1;
          written[ba] = now;
          if (!dqm[0]) words[word][7:0] = dq[7:0];
          if (!dqm[1]) words[word][15:8] = dq[15:8];
        end
        if (a[10]) begin
          // The chip closes the row by itself, as soon as it may.
          open[ba] = 0;
          precharged[ba] = command == WRITE ? now + T_WR : now + 1;
          if (precharged[ba] < activated[ba] + T_RAS) precharged[ba] = activated[ba] + T_RAS;
        end
      end
      PRECHARGE: begin
        if (a[10]) begin
          closed_once = 1;
          for (bank = 0; bank < 4; bank = bank + 1) if (open[bank]) close(bank[1:0]);
          if (!usable) for (bank = 0; bank < 4; bank = bank + 1) precharged[bank] = now;
        end else if (open[ba]) close(ba);
      end
      REFRESH: begin
        check(closed_once, 2);
        check(open == 0, 16);
        for (bank = 0; bank < 4; bank = bank + 1) check($signed(now - precharged[bank]) >= T_RP, 17);
        check(now - refreshed >= T_RFC, 18);
        refreshed = now;
        refreshes = refreshes + 1;
        if (!usable) first_refreshes = first_refreshes + 1;
        if (owed != 0) owed = owed - 1;
      end
      default: check(0, 21);
    endcase
  end
endmodule
