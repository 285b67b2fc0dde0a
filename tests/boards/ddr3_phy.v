// In place of LiteDRAM's PHY: from DFI to a chip of DDR3 that watches over its rules, 8 banks of 32768 rows of 1024 words of
// 16 bits. Pads and what is inside the ECP5's cells are not modeled.
//
// Times are in cycles of the chip's clock, two of which are one of sys_clk's, of PERIOD_PS. `top.broken` keeps the number of
// the first rule that was violated, 0 for none; the bench has their names. When a lane's strobe comes back says
// `top.arrival`, in quarters of the chip's cycle behind the earliest that can be heard: then it is heard by WINDOW settings
// of the delay, and its words are right with one setting of the slip. `top.settings` are those of now, `top.read_phase` is
// where the last read began.

module ddr3_phy #(parameter PERIOD_PS = 20000, parameter WINDOW = 3) (
    input sys_clk, input sys_rst, input sys2x_clk, input init_clk, input init_rst, output stop, output restart,
    input [29:0] address, input [5:0] bank, input [1:0] ras_n, input [1:0] cas_n, input [1:0] we_n, input cke,
    input [127:0] wrdata, input [15:0] wrdata_mask, input [1:0] wrdata_en, input [1:0] rddata_en,
    output reg [127:0] rddata, output reg rddata_valid,
    input [1:0] select, input delay_reset, input delay_next, input slip_reset, input slip_next,
    input burst_clear, output reg [1:0] burst_seen,
    output [14:0] pad_a, output [2:0] pad_ba, output pad_cas_n, output pad_cke, output pad_clk_p, output [1:0] pad_dm,
    inout [15:0] pad_dq, inout [1:0] pad_dqs_p, output pad_odt, output pad_ras_n, output pad_we_n
);
  localparam [63:0] POWER_UP = 700000000, REFRESH_EVERY = 7812500;
  localparam LATENCY = 6, T_MRD = 4, T_MOD = 12, T_ZQ_INIT = 512, T_ZQ_SHORT = 64, T_CCD = 4;
  localparam T_RP = (30000 + PERIOD_PS - 1) / PERIOD_PS, T_RCD = T_RP, T_WR = T_RP;
  localparam T_RAS = (75000 + PERIOD_PS - 1) / PERIOD_PS, T_RC = (105000 + PERIOD_PS - 1) / PERIOD_PS;
  localparam T_RFC = (600000 + PERIOD_PS - 1) / PERIOD_PS, T_FAW = (100000 + PERIOD_PS - 1) / PERIOD_PS;
  localparam T_RAS_MOST = 18 * 7812500 / PERIOD_PS;
  localparam T_RRD = 4, T_WTR = 4, T_RTP = 4, AUTOMATIC_WRITE = 5;
  localparam READ_CYCLES = 13, WRITE_CYCLES = 3;
  localparam [2:0] MODE = 0, REFRESH = 1, PRECHARGE = 2, ACTIVATE = 3, WRITE = 4, READ = 5, CALIBRATE = 6, NOTHING = 7;

  // Bursts by {row, bank, column}: what was written.
  reg [127:0] words [int];
  reg [7:0] open;
  reg [14:0] row [0:7];
  // Times of the last one: of each bank or of all.
  integer now, activated [0:7], precharged [0:7], recovered [0:7], read_at [0:7];
  integer latest [0:3], refreshed, mode_set, ready_at, write_end, column_at, any_read, enabled_at, owed;
  reg [63:0] elapsed, next_refresh;
  reg [3:0] modes;
  reg usable, calibrated;
  // What is on its way, by cycles of sys_clk.
  reg [READ_CYCLES:0] reading, reading_phase;
  reg [24:0] reading_from [0:READ_CYCLES];
  reg [WRITE_CYCLES:0] writing;
  reg [24:0] writing_to [0:WRITE_CYCLES];
  reg [2:0] delay [0:1];
  reg [1:0] slip [0:1];

  assign stop = 0;
  assign restart = 0;

  task check(input holds, input [7:0] rule);
    if (!holds && top.broken == 0) top.broken = rule;
  endtask

  // A bank from which a command may come that needs it closed.
  task check_closed(input [2:0] which, input [7:0] rule);
    check(!open[which] && now - precharged[which] >= T_RP, rule);
  endtask

  task close(input [2:0] which);
    begin
      check(now - activated[which] >= T_RAS, 14);
      check(now >= recovered[which], 15);
      check(now - read_at[which] >= T_RTP, 16);
      open[which] = 0;
      precharged[which] = now;
    end
  endtask

  task automatic chip(input [2:0] command, input [2:0] ba, input [14:0] a, input phase);
    integer number;
    begin
      now = now + 1;
      check(wrdata_en[phase] == (command == WRITE), 27);
      check(rddata_en[phase] == (command == READ), 28);
      if (command != NOTHING) begin
        check(cke && now - enabled_at >= T_RFC + 1, 1);
        check(now >= ready_at, 10);
        check(now - mode_set >= (command == MODE ? T_MRD : T_MOD), 11);
      end
      case (command)
        NOTHING: ;
        MODE: begin
          for (number = 0; number < 8; number = number + 1) check_closed(number[2:0], 4);
          // In the order 2, 3, 1, 0.
          case (ba)
            2: check(modes == 4'b0000 && a == 15'h8, 5);
            3: check(modes == 4'b0100 && a == 0, 5);
            1: check(modes == 4'b1100 && a[0] && !a[9] && !a[6] && !a[2] && !a[7], 5);
            0: check(modes == 4'b1110 && a[1:0] == 0 && {a[6:4], a[2]} == 4'b0100 && a[11:9] == 1, 5);
            default: check(0, 5);
          endcase
          modes[ba[1:0]] = 1;
          mode_set = now;
        end
        CALIBRATE: begin
          check(&modes, 2);
          for (number = 0; number < 8; number = number + 1) check_closed(number[2:0], 4);
          check(a[10] || calibrated, 2);
          ready_at = now + (a[10] ? T_ZQ_INIT : T_ZQ_SHORT);
          calibrated = 1;
          if (!usable) next_refresh = elapsed + REFRESH_EVERY;
          usable = 1;
        end
        ACTIVATE: begin
          check(usable, 3);
          check(!open[ba], 6);
          check(now - precharged[ba] >= T_RP, 7);
          check(now - activated[ba] >= T_RC, 8);
          check(now - latest[0] >= T_RRD, 9);
          check(now - latest[3] >= T_FAW, 26);
          open[ba] = 1;
          row[ba] = a;
          activated[ba] = now;
          for (number = 3; number > 0; number = number - 1) latest[number] = latest[number - 1];
          latest[0] = now;
        end
        READ, WRITE: begin
          check(open[ba], 12);
          check(now - activated[ba] >= T_RCD, 13);
          check(now - column_at >= T_CCD, 23);
          check(a[2:0] == 0 && a[14:11] == 0, 21);
          column_at = now;
          if (command == READ) begin
            check(now - write_end >= T_WTR, 24);
            top.reads = top.reads + 1;
            any_read = now;
            read_at[ba] = now;
            reading[0] = 1;
            reading_phase[0] = phase;
            reading_from[0] = {row[ba], ba, a[9:3]};
          end else begin
            check(now - any_read >= T_CCD + 2, 20);
            // The PHY begins to drive data at one place of its cycle only.
            check(phase == 0, 29);
            top.writes = top.writes + 1;
            write_end = now + LATENCY + 4;
            recovered[ba] = write_end + T_WR;
            writing[0] = 1;
            writing_to[0] = {row[ba], ba, a[9:3]};
          end
          if (a[10]) begin
            // The chip closes the row by itself, as soon as it may.
            open[ba] = 0;
            precharged[ba] = command == WRITE ? write_end + AUTOMATIC_WRITE : now + T_RTP;
            if (precharged[ba] < activated[ba] + T_RAS) precharged[ba] = activated[ba] + T_RAS;
          end
        end
        PRECHARGE:
          for (number = 0; number < 8; number = number + 1)
            if (open[number] && (a[10] || number[2:0] == ba)) close(number[2:0]);
        REFRESH: begin
          check(usable, 3);
          for (number = 0; number < 8; number = number + 1) check_closed(number[2:0], 17);
          refreshed = now;
          ready_at = now + T_RFC;
          top.refreshes = top.refreshes + 1;
          if (owed != 0) owed = owed - 1;
        end
        default: check(0, 21);
      endcase
    end
  endtask

  // What of a burst comes out of the PHY for a lane, with its settings; nothing right if it was not heard.
  function automatic [127:0] heard(input [127:0] burst, input lane, input phase);
    // Signed, so that nothing of a sum is taken for unsigned.
    integer late, listens, slipped, word, from;
    begin
      heard = rddata ^ {8{16'h55aa}};
      late = $signed(top.arrival[5 * lane +: 5]);
      if (phase) late = late + 4;
      listens = {29'b0, delay[lane]};
      slipped = {30'b0, slip[lane]};
      // Words may be right although the strobe was not seen from its beginning.
      if (late >= listens && late <= listens + WINDOW) begin
        if (late < listens + WINDOW) burst_seen[lane] = 1;
        for (word = 0; word < 8; word = word + 1) begin
          from = word + slipped - late / 2;
          if (from >= 0 && from < 8) heard[16 * word + 8 * lane +: 8] = burst[16 * from + 8 * lane +: 8];
        end
      end
    end
  endfunction

  integer index;
  initial begin
    top.broken = 0; top.refreshes = 0; top.reads = 0; top.writes = 0;
    open = 0; now = 0; refreshed = -1000; mode_set = -1000; ready_at = 0; write_end = -1000; column_at = -1000;
    any_read = -1000; enabled_at = 0; owed = 0; elapsed = 0; next_refresh = 0; modes = 0; usable = 0; calibrated = 0;
    reading = 0; writing = 0; burst_seen = 0; rddata_valid = 0; rddata = 0;
    for (index = 0; index < 8; index = index + 1) begin
      activated[index] = -1000; precharged[index] = -1000; recovered[index] = -1000; read_at[index] = -1000;
    end
    for (index = 0; index < 4; index = index + 1) latest[index] = -1000;
    for (index = 0; index < 2; index = index + 1) begin delay[index] = 0; slip[index] = 0; end
  end

  reg [127:0] burst, lanes [0:1];
  always @(posedge sys_clk) begin
    elapsed = elapsed + PERIOD_PS;
    if (!cke) begin
      check(!usable, 22);
      enabled_at = now;
    end else check(elapsed >= POWER_UP, 1);
    if (usable && elapsed >= next_refresh) begin
      owed = owed + 1;
      next_refresh = next_refresh + REFRESH_EVERY;
      check(owed <= 9, 19);
    end
    for (index = 0; index < 8; index = index + 1)
      check(!open[index] || now - activated[index] < T_RAS_MOST, 18);
    reading = reading << 1;
    reading_phase = reading_phase << 1;
    writing = writing << 1;
    for (index = READ_CYCLES; index > 0; index = index - 1) reading_from[index] = reading_from[index - 1];
    for (index = WRITE_CYCLES; index > 0; index = index - 1) writing_to[index] = writing_to[index - 1];
    chip({ras_n[0], cas_n[0], we_n[0]}, bank[2:0], address[14:0], 0);
    chip({ras_n[1], cas_n[1], we_n[1]}, bank[5:3], address[29:15], 1);
    if (writing[WRITE_CYCLES])
      for (index = 0; index < 16; index = index + 1)
        if (!wrdata_mask[index]) begin
          burst = words.exists(writing_to[WRITE_CYCLES]) ? words[writing_to[WRITE_CYCLES]] : 0;
          burst[8 * index +: 8] = wrdata[8 * index +: 8];
          words[writing_to[WRITE_CYCLES]] = burst;
        end
    if (burst_clear) burst_seen = 0;
    rddata_valid <= reading[READ_CYCLES - 1];
    if (reading[READ_CYCLES - 1]) begin
      burst = words.exists(reading_from[READ_CYCLES - 1]) ? words[reading_from[READ_CYCLES - 1]] : 0;
      for (index = 0; index < 2; index = index + 1) lanes[index] = heard(burst, index[0], reading_phase[READ_CYCLES - 1]);
      for (index = 0; index < 16; index = index + 1) rddata[8 * index +: 8] <= lanes[index[0]][8 * index +: 8];
    end
    for (index = 0; index < 2; index = index + 1) begin
      // A setting changes while the strobe is held, and is held for a while before and after.
      if (select[index] && delay_next) delay[index] = delay[index] + 1;
      if (select[index] && delay_reset) delay[index] = 0;
      if (select[index] && slip_next) slip[index] = slip[index] + 1;
      if (select[index] && slip_reset) slip[index] = 0;
      check(!(select[index] && reading != 0), 25);
    end
    top.settings = {slip[1], slip[0], delay[1], delay[0]};
    if (reading[0]) top.read_phase = reading_phase[0];
  end
endmodule
