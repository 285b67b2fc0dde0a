"""Memory models as files: the presets are what they say, and what is wrong is refused with the name of the field."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from celosia.arch.config import ConfigError, load_config
from celosia.sim.dram import DRAM_PRESETS, dram_names, load_dram
from celosia.sim.replay import REQUEST, DramStatistics, replay

KRIA = load_config("kria")

DDR4 = (DRAM_PRESETS / "ddr4.toml").read_text()
IDEAL = (DRAM_PRESETS / "ideal.toml").read_text()


def loaded_from(tmp_path: Path, text: str) -> object:
    file = tmp_path / "memory.toml"
    file.write_text(text)
    return load_dram(file)


def changed(text: str, name: str, value: str | None) -> str:
    """The file with another value of a field, or without it."""
    line = re.compile(rf"^{name} = .*$", re.MULTILINE)
    assert len(line.findall(text)) == 1
    return line.sub("" if value is None else f"{name} = {value}", text)


def test_presets() -> None:
    assert dram_names() == ["ddr4", "hbm", "ideal"]
    for name in dram_names():
        assert load_dram(name).name == name
    assert load_dram("ideal").peak_bytes_per_cycle(KRIA) is None
    assert load_dram("ddr4").peak_bytes_per_cycle(KRIA) == 19200 / 250
    assert load_dram("hbm").peak_bytes_per_cycle(KRIA) == 57600 / 250
    organisation = load_dram("hbm").organisation
    assert organisation is not None and organisation.channels == 4


@pytest.mark.parametrize(("name", "nanoseconds"), [("ddr4", 73.3), ("hbm", 106.7)])
def test_an_idle_row_hit_takes_what_was_measured(name: str, nanoseconds: float) -> None:
    """The latencies that the presets' comments name, rounded up to clocks and to cycles of 4 ns, twice."""
    requests = np.array([(0, 0, 1, 0, 0), (0, 500, 1, 0, 0)], REQUEST)
    taken = replay(load_dram(name), KRIA, requests, timed=True).finished[1] - 500
    assert nanoseconds <= taken * 4 <= nanoseconds + 10


@pytest.mark.parametrize("name", ["ddr4", "hbm"])
def test_a_sequential_stream_is_limited_by_refresh_alone(name: str) -> None:
    """64 bytes a cycle of a clock that is so fast that the port is no limit: peak less the share of refreshes."""
    fast = replace(KRIA, control=replace(KRIA.control, clock_mhz=1200.0))
    model = load_dram(name)
    assert model.timing is not None and model.organisation is not None
    channel = replace(model, organisation=replace(model.organisation, channels=1))
    requests = np.zeros(40000, REQUEST)
    requests["address"], requests["beats"] = np.arange(40000) * 1024, 16
    result = replay(channel, fast, requests)
    peak = channel.peak_bytes_per_cycle(fast)
    assert peak is not None and peak < 64
    share = 40000 * 1024 / (result.cycles * peak)
    bound = 1 - model.timing.trfc / model.timing.trefi
    assert bound - 0.015 < share < bound


def test_statistics_are_ratios_of_what_was_counted() -> None:
    statistics = DramStatistics("m", 100, 480, 160, 8, 7.0, 90, {"row_hits": 3})
    assert statistics.share_of_peak == 640 / 700 and statistics.share_of_deliverable == 0.9
    assert statistics.to_json()["counters"] == {"row_hits": 3} and statistics.to_json()["share_of_peak"] == 640 / 700
    assert replace(statistics, peak_bytes_per_cycle=None).share_of_peak == 0.6
    assert replace(statistics, peak_bytes_per_cycle=80.0, bytes_written=600).share_of_peak == 0.75


RANGES = [
    ("channels", "3", "organisation", "a power of two from 1 to 64"),
    ("data_bits", "4", "organisation", "a power of two from 8 to 512"),
    ("burst_length", "64", "organisation", "a power of two from 2 to 32"),
    ("bank_groups", "0", "organisation", "a power of two from 1 to 8"),
    ("banks_per_group", "32", "organisation", "a power of two from 1 to 16"),
    ("row_bytes", "1000", "organisation", "a power of two from 64 to 65536"),
    ("interleave_bytes", "-1", "organisation", "a power of two from 32 to 1048576"),
    ("mapping", '"bank"', "organisation", "row_bank_column or row_column_bank"),
    ("clock_mhz", "49", "timing", "a number from 50.0 to 10000.0"),
    ("clock_mhz", "nan", "timing", "a number from 50.0 to 10000.0"),
    *((name, "0", "timing", "an integer from 1 to 255") for name in ("cl", "cwl", "trcd", "trp", "tccd_s", "tccd_l")),
    *((name, "256", "timing", "an integer from 1 to 255") for name in ("trrd_s", "trrd_l", "trtp", "twr", "twtr_s")),
    ("twtr_l", "1.5", "timing", "an integer from 1 to 255"),
    *((name, "1024", "timing", "an integer from 1 to 1023") for name in ("tras", "trc", "tfaw")),
    ("turnaround", "true", "timing", "an integer from 0 to 255"),
    ("trefi", '"often"', "timing", "an integer from 100 to 16777216"),
    ("trfc", "0", "timing", "an integer from 1 to 65536"),
    ("latency_ns", "-0.5", "controller", "a number from 0.0 to 10000.0"),
    ("read_queue", "0", "controller", "an integer from 1 to 65536"),
    ("write_queue", "70000", "controller", "an integer from 1 to 65536"),
]


@pytest.mark.parametrize(("name", "value", "table", "legal"), RANGES)
def test_a_value_out_of_range_wrong(name: str, value: str, table: str, legal: str, tmp_path: Path) -> None:
    shown = next(iter(tomllib.loads(f"v = {value}").values()))
    expected = f"dram.{table}.{name} = {shown!r}: must be {legal}; nearest legal value: "
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}"):
        loaded_from(tmp_path, changed(DDR4, name, value))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("tccd_s", "3", "timing.tccd_s = 3: must be at least the clocks of a transfer, burst_length / 2 = 4"),
        ("tccd_l", "3", "timing.tccd_l = 3: must be at least tccd_s = 4"),
        ("trrd_l", "6", "timing.trrd_l = 6: must be at least trrd_s = 7"),
        ("twtr_l", "2", "timing.twtr_l = 2: must be at least twtr_s = 3"),
        ("trc", "38", "timing.trc = 38: must be at least tras = 39"),
        ("trefi", "985", "timing.trefi = 985: must be at least twice trfc + trc + trcd = 986"),
        ("interleave_bytes", "32", "organisation.interleave_bytes = 32: must be at least an access = 64"),
    ],
)
def test_values_that_contradict_each_other_wrong(name: str, value: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"^dram.{re.escape(expected)}; nearest legal value: "):
        loaded_from(tmp_path, changed(DDR4, name, value))


@pytest.mark.parametrize("name", ["latency_cycles", "read_queue", "write_queue"])
def test_an_ideal_memory_wrong(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=rf"^dram\.ideal\.{name} = 0: must be an integer from 1 to \d+; nearest .* 1$"
    ):
        loaded_from(tmp_path, changed(IDEAL, name, "0"))


def test_a_file_of_other_fields_wrong(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^dram\.timing\.tcl = 17: no such field; nearest legal value: \['cl', "):
        loaded_from(tmp_path, DDR4.replace("\ncl = ", "\ntcl = "))
    with pytest.raises(ConfigError, match=r"^dram\.timing\.trp = None: is missing; .* 'an integer from 1 to 255'$"):
        loaded_from(tmp_path, changed(DDR4, "trp", None))
    with pytest.raises(ConfigError, match=r"^dram\.cache = \{\}: no such table; nearest legal value: \['name', "):
        loaded_from(tmp_path, DDR4 + "\n[cache]\n")
    with pytest.raises(ConfigError, match=r"^dram\.name = None: must be a text; "):
        loaded_from(tmp_path, changed(DDR4, "name", None))
    with pytest.raises(ConfigError, match=r"^dram\.organisation = 1: must be a table; "):
        loaded_from(tmp_path, 'name = "m"\norganisation = 1\ntiming = {}\ncontroller = {}')
    with pytest.raises(ConfigError, match=r"^dram = \['ideal', 'timing'\]: tables that make no memory; "):
        loaded_from(tmp_path, 'name = "m"\n[ideal]\n[timing]\n')
    with pytest.raises(ConfigError, match=r"not a TOML file"):
        loaded_from(tmp_path, "name = ")


def test_a_name_that_nothing_has_wrong() -> None:
    with pytest.raises(
        ConfigError, match=r"^dram = 'ddr9': no such preset or TOML file; .*\['ddr4', 'hbm', 'ideal'\]$"
    ):
        load_dram("ddr9")
