"""Tokens and tensors do not depend on the memory; cycles do, and what the memory reports of them is consistent."""

import numpy as np
import pytest

from celosia.arch.config import ConfigError
from celosia.driver.device import Job
from celosia.sim.dram import dram_names, load_dram

from .support import NARROW, WIDEST, Pair, small_model, tokens

JOB = Job(0, 0, tokens(34), 3)


def test_results_do_not_depend_on_the_memory() -> None:
    """Every run equals the golden machine in every tensor and byte of memory (`Pair.run`), at a speed of its own."""
    compiled = small_model(NARROW, n_layers=1)
    results = {}
    for name in dram_names():
        pair = Pair(compiled, memory=load_dram(name))
        pair.open(0, (3, 1))
        results[name] = pair.run(JOB)
    assert len({result.tokens for result in results.values()}) == 1
    assert len({result.cycles for result in results.values()}) == len(results)


@pytest.mark.parametrize("name", ["ideal", "ddr4"])
def test_statistics_of_a_run(name: str) -> None:
    """One burst in flight leaves much undelivered; the same requester in the replay is as slow as the accelerator."""
    pair = Pair(small_model(NARROW, n_layers=1), memory=load_dram(name))
    pair.open(0, (3, 1))
    result = pair.run(JOB)
    begin = pair.device.doorbell
    end = begin + sum(result.cycles)
    statistics = pair.device.dram_statistics(begin, end)
    requests = pair.device.requests()
    assert (np.diff(requests["cycle"].astype(np.int64)) >= 0).all()
    assert statistics.bytes_read + statistics.bytes_written == 8 * requests["beats"].sum()
    assert statistics.counters["read_beats"] == statistics.bytes_read // 8
    assert statistics.counters["write_beats"] == statistics.bytes_written // 8
    assert statistics.bytes_read // 8 < statistics.deliverable_cycles < statistics.cycles
    assert statistics.share_of_peak < statistics.share_of_deliverable < 1
    alone = pair.device.dram_statistics(begin, end, outstanding=1)
    assert statistics.deliverable_cycles < alone.deliverable_cycles < statistics.cycles
    with pytest.raises(ValueError, match=r"^no request was recorded in cycles 0 to 1: "):
        pair.device.dram_statistics(0, 1)


def test_ports_have_channels_of_their_own() -> None:
    """Four ports on the four channels of the HBM: as many beats as of one port, each of a quarter; DDR4 has too few."""
    compiled = small_model(WIDEST, n_layers=1, head_dim=32)
    pair = Pair(compiled, memory=load_dram("hbm"))
    pair.open(0, (3, 1))
    result = pair.run(JOB)
    begin = pair.device.doorbell
    statistics = pair.device.dram_statistics(begin, begin + sum(result.cycles))
    assert statistics.counters["read_beats"] == 4 * statistics.bytes_read // 128
    assert 0 < statistics.share_of_deliverable < 1
    with pytest.raises(ConfigError, match=r"^dram.organisation.channels = 1: the 4 ports of config 'widest' need"):
        Pair(compiled, memory=load_dram("ddr4"))
