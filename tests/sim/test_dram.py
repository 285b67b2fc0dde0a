"""The C++ model of a DRAM against its rules, worked out by hand for directed sequences (docs/dram.md).

The accelerator's clock is the memory's, a beat is an access, and the controller takes one clock: a read whose column
command is at clock k is taken at k + CL + 4 + 1. The times are such that one rule cannot pass for another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from celosia.arch.config import AcceleratorConfig, Array, Bus, Control
from celosia.sim.dram import Controller, MemoryModel, Organisation, Timing, ideal_memory
from celosia.sim.replay import REQUEST, Replay
from celosia.sim.replay import replay as run_memory

CONFIG = AcceleratorConfig(bus=Bus(data_bits=64), control=Control(clock_mhz=1000.0))
ORGANISATION = Organisation(
    channels=1,
    data_bits=8,
    burst_length=8,
    bank_groups=2,
    banks_per_group=4,
    row_bytes=64,
    interleave_bytes=32,
    mapping="row_bank_column",
)
CL, CWL, RCD, RP, RAS, RC, CCD_S, CCD_L, RRD_S, RRD_L, FAW = 11, 7, 13, 17, 29, 47, 5, 7, 8, 10, 41
RTP, WR, WTR_S, WTR_L, TURNAROUND, REFI, RFC = 9, 19, 3, 12, 2, 10000, 307
TRANSFER = 4
TIMING = Timing(
    1000.0, CL, CWL, RCD, RP, RAS, RC, CCD_S, CCD_L, RRD_S, RRD_L, FAW, RTP, WR, WTR_S, WTR_L, TURNAROUND, REFI, RFC
)
MEMORY = MemoryModel("directed", None, ORGANISATION, TIMING, Controller(latency_ns=0.0, read_queue=64, write_queue=16))
READ = CL + TRANSFER + 1
"""From a read's column command to the cycle in which its data is taken."""

Ask = tuple[int, int, int, int]
"""Cycle, address, beats, 1 for a write."""


def at(row: int, bank: int, group: int, column: int = 0) -> int:
    """The address of an access: 8 columns of 8 bytes in a row, 4 banks, 2 groups."""
    return (((row * 4 + bank) * 8 + column) * 2 + group) * 8


def serve(memory: MemoryModel, *asks: Ask, config: AcceleratorConfig = CONFIG, ids: Sequence[int] = ()) -> Replay:
    """Requests at given cycles; in flight as many as the memory takes."""
    requests = np.zeros(len(asks), REQUEST)
    for index, (cycle, address, beats, write) in enumerate(asks):
        requests[index] = (address, cycle, beats, ids[index] if ids else 0, write)
    return run_memory(memory, config, requests, timed=True)


def reads(*asks: tuple[int, int], memory: MemoryModel = MEMORY) -> list[int]:
    """The clocks of the column commands of reads (cycle, address) of one beat."""
    return [int(cycle) - READ for cycle in serve(memory, *((c, a, 1, 0) for c, a in asks)).finished]


def test_a_closed_row_is_opened_first() -> None:
    assert reads((0, at(0, 0, 0))) == [RCD]
    assert reads((100, at(3, 2, 1))) == [100 + RCD]


def test_row_hits_of_alternating_groups_follow_at_the_short_distance() -> None:
    first, second = RCD, RRD_S + RCD
    expected = [first, second, second + CCD_S, second + 2 * CCD_S, second + 3 * CCD_S, second + 4 * CCD_S]
    assert reads(*((i, at(0, 0, i % 2, i // 2)) for i in range(6))) == expected


def test_row_hits_of_one_group_follow_at_the_long_distance() -> None:
    assert reads(*((i, at(0, 0, 0, i)) for i in range(4))) == [RCD + i * CCD_L for i in range(4)]


def test_another_row_of_a_bank_waits_for_it_to_close() -> None:
    assert reads((0, at(0, 0, 0)), (1, at(1, 0, 0))) == [RCD, max(RAS + RP, RC) + RCD]
    assert reads((0, at(0, 0, 0)), (200, at(1, 0, 0))) == [RCD, 200 + RP + RCD]


def test_the_last_read_of_a_row_delays_its_end() -> None:
    late = 40
    expected = [RCD, late, late + RTP + RP + RCD]
    assert reads((0, at(0, 0, 0)), (late, at(0, 0, 0, 1)), (late + 1, at(1, 0, 0))) == expected


def test_ras_alone_delays_the_end_of_a_row() -> None:
    long_row = replace(MEMORY, timing=replace(TIMING, trc=RAS + 1, tras=RAS))
    assert reads((0, at(0, 0, 0)), (1, at(1, 0, 0)), memory=long_row) == [RCD, RAS + RP + RCD]


def test_activations_keep_their_distances() -> None:
    one_group = [at(0, bank, 0) for bank in range(3)]
    assert reads(*enumerate(one_group)) == [RCD + i * RRD_L for i in range(3)]
    two_groups = [at(0, 0, 0), at(0, 0, 1), at(0, 1, 0), at(0, 1, 1), at(0, 2, 0)]
    assert reads(*enumerate(two_groups)) == [RCD, RCD + RRD_S, RCD + 2 * RRD_S, RCD + 3 * RRD_S, FAW + RCD]


def test_rows_are_opened_ahead_of_the_data_before_them() -> None:
    """Six hits occupy the data bus while the next bank opens; its data follows without a gap."""
    hits = [(i, at(0, 0, i % 2, i // 2)) for i in range(6)]
    columns = reads(*hits, (6, at(0, 1, 0)))
    assert columns[-1] == columns[-2] + CCD_S


def test_a_refresh_closes_all_rows() -> None:
    assert reads((9000, at(0, 0, 0)), (9999, at(0, 0, 0, 1))) == [9000 + RCD, 9999]
    refreshed = REFI + RP + RFC
    assert reads((9000, at(0, 0, 0)), (REFI, at(0, 0, 0, 1))) == [9000 + RCD, refreshed + RCD]
    assert reads((REFI - RCD - 1, at(0, 0, 0)), (REFI, at(0, 0, 0)))[1] == REFI - RCD - 1 + RC + RFC + RCD
    just_read = 9999 + RTP + RP + RFC
    assert reads((9000, at(0, 0, 0)), (9999, at(0, 0, 0, 1)), (10000, at(0, 0, 0, 2)))[-1] == just_read + RCD


def test_a_refresh_of_closed_banks_takes_only_its_time() -> None:
    """The row would open before the refresh, but its column command would come after it."""
    assert reads((REFI - RCD, at(0, 0, 0))) == [REFI + RFC + RCD]
    assert reads((REFI - RCD - 1, at(0, 0, 0))) == [REFI - 1]
    assert reads((2 * REFI - RCD - 1, at(0, 0, 0))) == [2 * REFI - 1]
    result = serve(MEMORY, (5 * REFI + RFC, at(0, 0, 0), 1, 0))
    assert result.finished[0] == 5 * REFI + RFC + RCD + READ
    assert result.counters["refreshes"] == 5 and result.counters["refresh_clocks"] == 5 * RFC


def test_a_read_waits_for_written_data() -> None:
    """The address of a write is taken at 0, its beat at 1; the response comes when it has crossed the data bus."""
    written = 1 + RCD + CWL + TRANSFER
    same = serve(MEMORY, (0, at(0, 0, 0), 1, 1), (2, at(0, 0, 0, 1), 1, 0)).finished.tolist()
    assert same == [written + 1, written + WTR_L + READ]
    hit = [(0, at(0, 0, 1), 1, 0), (100, at(0, 0, 0), 1, 1), (102, at(0, 0, 1), 1, 0)]
    assert serve(MEMORY, *hit).finished[-1] == 100 + written + WTR_S + READ


def test_a_row_closes_after_written_data() -> None:
    written = 1 + RCD + CWL + TRANSFER
    other = serve(MEMORY, (0, at(0, 0, 0), 1, 1), (2, at(1, 0, 0), 1, 0)).finished[-1]
    assert other == written + WR + RP + RCD + READ


def test_a_write_waits_for_the_data_bus() -> None:
    result = serve(MEMORY, (0, at(0, 0, 0), 1, 0), (1, at(0, 0, 0, 1), 1, 1))
    column = RCD + CL + TRANSFER + TURNAROUND - CWL
    assert result.finished.tolist() == [RCD + READ, column + CWL + TRANSFER + 1]
    assert result.counters["turnarounds"] == 1


def test_writes_keep_the_distances_of_reads() -> None:
    first = 1 + RCD + CWL + TRANSFER + 1
    assert serve(MEMORY, (0, at(0, 0, 0), 1, 1), (1, at(0, 0, 0, 1), 1, 1)).finished.tolist() == [first, first + CCD_L]
    opened = [(0, at(0, 0, 0), 1, 0), (1, at(0, 0, 1), 1, 0)]
    two = serve(MEMORY, *opened, (100, at(0, 0, 0), 1, 1), (101, at(0, 0, 1), 1, 1)).finished.tolist()
    assert two[2:] == [101 + CWL + TRANSFER + 1, 101 + CCD_S + CWL + TRANSFER + 1]


def test_what_a_row_was_is_counted() -> None:
    result = serve(MEMORY, *((i, a, 1, 0) for i, a in enumerate([at(0, 0, 0), at(0, 0, 0, 1), at(1, 0, 0)])))
    counted = [result.counters[name] for name in ("accesses", "row_misses", "row_hits", "row_conflicts", "data_clocks")]
    assert counted == [3, 1, 1, 1, 3 * TRANSFER]


def test_channels_are_independent_and_interleaved() -> None:
    two = replace(MEMORY, organisation=replace(ORGANISATION, channels=2))
    assert reads((0, 0), (1, 32), memory=two) == [RCD, 1 + RCD]
    assert reads((0, 0), (1, 128), memory=two)[1] == RCD + CCD_L  # the row of address 0, as 64 is with one channel
    assert reads((0, 0), (1, 64), memory=MEMORY)[1] == RCD + CCD_L
    assert reads((0, 0), (1, 128), memory=MEMORY)[1] == RRD_L + RCD  # the next bank


def test_the_other_mapping_puts_banks_below_columns() -> None:
    other = replace(MEMORY, organisation=replace(ORGANISATION, mapping="row_column_bank"))
    assert reads((0, 0), (1, 16), memory=other) == [RCD, RRD_L + RCD]  # the next bank of the group
    assert reads((0, 0), (1, 64), memory=other) == [RCD, RCD + CCD_L]  # the next column of the first bank


def test_clocks_are_converted_upwards() -> None:
    """A cycle of 250 MHz is 4.8 clocks of 1200 MHz; the controller's 10 ns are 3 cycles of it."""
    memory = replace(MEMORY, timing=replace(TIMING, clock_mhz=1200.0), controller=Controller(10.0, 64, 16))
    config = replace(CONFIG, control=Control(clock_mhz=250.0))
    assert 5 + RCD + CL + TRANSFER == 33 and -(-330 // 48) == 7
    assert serve(memory, (1, 0, 1, 0), config=config).finished[0] == 7 + 3  # taken at clock 4.8
    slower = replace(memory, timing=replace(TIMING, clock_mhz=1200.0, trcd=RCD + 1))
    assert serve(slower, (1, 0, 1, 0), config=config).finished[0] == 8 + 3  # clock 34 is in cycle 7.08


@pytest.mark.parametrize("bits", [64, 128])
def test_a_burst_is_all_accesses_that_it_touches(bits: int) -> None:
    """Beats of one access and of two; the last beat comes with the last access."""
    config = replace(CONFIG, bus=Bus(data_bits=bits))
    result = serve(MEMORY, (0, 0, 64 // (bits // 8), 0), config=config)
    assert result.counters["accesses"] == 8
    assert result.finished[0] == RCD + RRD_S + 6 * CCD_S + READ
    assert result.counters["read_beats"] == 64 // (bits // 8)


def test_beats_that_share_an_access_ask_for_it_once() -> None:
    wide = replace(MEMORY, organisation=replace(ORGANISATION, data_bits=32, interleave_bytes=64))
    result = serve(wide, (0, 8, 4, 0))  # bytes 8 to 39 of accesses of 32 bytes
    assert result.counters["accesses"] == 2
    assert result.finished[0] == RRD_S + RCD + READ


def test_one_id_keeps_its_order_and_another_overtakes() -> None:
    """Channel 0 is busy with a conflict; what comes from channel 1 passes it under another id only."""
    two = replace(MEMORY, organisation=replace(ORGANISATION, channels=2))
    asks = [(0, 0, 1, 0), (1, 1024, 1, 0), (2, 32, 1, 0)]
    same = serve(two, *asks).finished.tolist()
    other = serve(two, *asks, ids=(0, 0, 1)).finished.tolist()
    conflict = RC + RCD + READ
    assert same == [RCD + READ, conflict, conflict + 1]
    assert other == [RCD + READ, conflict, 2 + RCD + READ]


def test_of_two_ids_the_older_burst_goes_first() -> None:
    """One opens a row, the other finds one open: both come from their channels in the same cycle."""
    two = replace(MEMORY, organisation=replace(ORGANISATION, channels=2))
    asks = [(0, 32, 1, 0), (100, 0, 1, 0), (100 + RCD, 32, 1, 0)]
    assert serve(two, *asks, ids=(0, 1, 0)).finished.tolist()[1:] == [100 + RCD + READ, 100 + RCD + READ + 1]
    assert serve(two, *asks, ids=(0, 0, 1)).finished.tolist()[1:] == [100 + RCD + READ, 100 + RCD + READ + 1]


def test_queues_hold_back_the_requester() -> None:
    one = replace(MEMORY, controller=Controller(0.0, read_queue=1, write_queue=1))
    taken = RCD + READ
    assert serve(one, (0, 0, 1, 0), (0, 16, 1, 0)).finished.tolist() == [taken, taken + 1 + READ]
    requests = np.array([(0, 0, 1, 0, 0), (16, 0, 1, 0, 0)], REQUEST)
    assert run_memory(MEMORY, CONFIG, requests, outstanding=1).finished.tolist() == [taken, taken + 1 + READ]
    written = 1 + RCD + CWL + TRANSFER + 1
    after = written + 1 + 1 + CWL + TRANSFER + 1  # the next address is taken in the cycle after the response
    assert serve(one, (0, 0, 1, 1), (0, 16, 1, 1)).finished.tolist() == [written, after]


@pytest.mark.parametrize("latency", [1, 200])
def test_the_ideal_memory_delivers_a_beat_a_cycle(latency: int) -> None:
    result = serve(ideal_memory(latency), (0, 0, 16, 0), (1, 4096, 8, 0), (2, 64, 2, 1), ids=(0, 1, 0))
    assert result.finished.tolist() == [latency + 15, latency + 23, 5]
    assert (result.counters["read_beats"], result.counters["write_beats"], result.counters["accesses"]) == (24, 2, 0)


@pytest.mark.parametrize(("bits", "beats"), [(128, 1), (256, 16), (512, 64)])
def test_a_random_sequence_moves_every_byte_within_the_peak(bits: int, beats: int) -> None:
    """Seed 3: reads and writes anywhere, three ids."""
    rng = np.random.default_rng(3)
    config = replace(CONFIG, bus=Bus(data_bits=bits), array=Array(channels=4))
    requests = np.zeros(400, REQUEST)
    requests["address"] = rng.integers(0, 1 << 20, 400) // 4096 * 4096
    requests["beats"] = rng.integers(1, min(beats, 4096 * 8 // bits) + 1, 400)
    requests["id"], requests["write"] = rng.integers(0, 3, 400), rng.integers(0, 2, 400)
    result = run_memory(MEMORY, config, requests)
    moved = int(requests["beats"].sum())
    assert result.counters["read_beats"] + result.counters["write_beats"] == moved
    assert moved * bits / 8 <= result.cycles * 2  # eight bytes in four clocks
    assert (result.finished > 0).all() and result.finished.max() == result.cycles - 1
    for number in range(3):
        taken = result.finished[(requests["id"] == number) & (requests["write"] == 0)]
        assert (np.diff(taken.astype(np.int64)) > 0).all()


def test_wrong_requests() -> None:
    with pytest.raises(ValueError, match=r"^requests: beats must be at least 1 everywhere$"):
        serve(MEMORY, (0, 0, 0, 0))
    with pytest.raises(ValueError, match=r"^outstanding = 0: must be at least 1$"):
        run_memory(MEMORY, CONFIG, np.ones(1, REQUEST), outstanding=0)
