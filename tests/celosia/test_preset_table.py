"""The table of presets."""

import pytest

from celosia.arch.config import derive, load_config, preset_names
from celosia.preset_table import _predicted, _row, show_presets


def test_presets_span_the_arrays_and_buses() -> None:
    derived = [derive(load_config(name)) for name in preset_names()]
    assert {d.macs for d in derived} >= {32, 64, 256, 1024, 4096, 8192}
    assert {8 * d.bus_bytes for d in derived} >= {64, 512, 1024}


@pytest.mark.parametrize("name", preset_names())
def test_utilization_holds_on_every_preset(name: str) -> None:
    """Decode is bound by the bus, a prompt by the array or the bus. Also says that every preset runs a model.

    Boards with an ECP5 have small FIFOs, to leave block RAM to the model or room to wires; one chunk at a time hides no
    vector work (`default`).
    """
    config = load_config(name)
    found = _predicted(config)
    assert found["bus_busy"] > (0.98 if config.stream.fifo_beats < 512 else 0.99)
    busier = max(found["array_busy"], found["prompt_bus_busy"])
    assert (0.96 if config.vector.chunks == 2 else 0.84) < busier <= 1


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
