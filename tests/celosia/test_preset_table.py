"""The table of presets."""

import pytest

from celosia.arch.config import derive, load_config, preset_names
from celosia.preset_table import _predicted, _row, show_presets


def test_presets_span_the_arrays_and_buses() -> None:
    derived = [derive(load_config(name)) for name in preset_names()]
    assert {d.macs for d in derived} >= {32, 64, 256, 1024, 4096, 8192}
    assert {8 * d.bus_bytes for d in derived} >= {64, 512, 1024}


@pytest.mark.parametrize("name", preset_names())
def test_decode_is_bound_by_the_bus_on_every_preset(name: str) -> None:
    """Also says that every preset runs a model. `ulx3s` has small FIFOs, to leave the block RAM to the model."""
    found = _predicted(load_config(name))
    assert found["bus_busy"] > (0.98 if name == "ulx3s" else 0.99)
    assert 0 < found["array_busy"] <= 1


def test_a_row_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    row = _row(load_config("minimal"))
    assert row["macs"] == 32
    assert row["bytes_per_mac"] == round(row["verilog_bytes"] / 32)
    assert row["verilog_bytes"] > 100_000
    assert row["generate_cpu_seconds"] > 0
    assert row["peak_megabytes"] > 50
    show_presets([row])
    shown = capsys.readouterr().out
    assert "minimal" in shown
    assert f"{row['decode_cycles']:,}" in shown
