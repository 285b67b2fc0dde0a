"""`celosia info` predicts cycles, also of models that nobody can simulate."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from celosia.cli import main


def _info(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["info", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_info_predicts_decode_and_prompt() -> None:
    described = json.loads(_info("--json"))
    predicted, model = described["predicted"], described["model"]
    decode = predicted["decode"]
    assert [row["context"] for row in decode] == [16, 256, model["context"]]
    for row in decode:
        assert row["cycles"] > model["lower_bound_cycles_per_token"]
        assert row["tokens_per_second"] * row["cycles"] / 1e6 / described["config"]["control"]["clock_mhz"] > 0.99
        assert row["limit"] == "bus"
        assert 0.9 < row["busy"] <= 1
    assert predicted["prompt"]["tokens"] == 128
    assert "decode at context 256" in _info()


def test_info_predicts_nothing_for_what_does_not_fit(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text("[vector]\nscratchpad_words = 64\n")
    assert json.loads(_info("--json", "--config", str(file)))["predicted"] is None
    assert "Predicted" not in _info("--config", str(file))


def test_info_about_paper_models_prints_every_assumption_and_field() -> None:
    found = json.loads(_info("--paper", "--json"))
    text = "".join(_info("--paper").split()).replace("│", "")
    for row in found["rows"]:
        assert f"{row['tokens_per_second']:.2f}tokens/s" in text
        assert set(row["config"]) >= {"vector.chunk", "cache.tail_words", "control.clock_mhz"}
    for assumption in found["assumptions"]:
        assert assumption.split()[-1] in text
    assert "FlightLLM55" in text
    assert "Hummingbird4.8" in text
