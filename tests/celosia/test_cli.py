"""The command: what it prints, what it writes, and how it says no."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from celosia import api
from celosia.cli import main
from celosia.compare import Comparison
from celosia.driver.compiler import CompiledModel
from celosia.driver.device import JobResult
from celosia.driver.golden_accelerator import GoldenAccelerator
from celosia.golden.records import TensorWrite
from celosia.sim.rtl import Writes

COMMANDS = ("generate", "compile", "run", "chat", "demo", "eval", "pull", "info")


def _invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def _refused(*arguments: str) -> str:
    """The one line on stderr of a command that must exit with 2."""
    result = _invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str) -> None:
    result = _invoke(command, "--help")
    assert result.exit_code == 0
    assert f"Example: celosia {command}" in result.output


def test_golden_writes_the_text_of_the_reference() -> None:
    reports = {}
    for device in ("golden", "float"):
        result = _invoke("run", "--prompt", "The cat", "-n", "24", "--device", device, "--json")
        assert result.exit_code == 0, result.output
        reports[device] = json.loads(result.stdout)
        assert reports[device]["device"] == device
    golden = reports["golden"]
    assert golden["prompt_tokens"] == list(b"The cat")
    assert bytes(golden["generated_tokens"]).decode() == golden["text"]
    assert golden["text"] == reports["float"]["text"]
    assert " ".join(golden) == (
        "model config device prompt_tokens generated_tokens text bit_exact tensors_compared elements_compared cycles "
        "bytes bus_bytes_per_cycle bus_utilization mac_utilization simulated_hz simulated_hz_cpu comparison_share "
        "memory saturated seconds"
    )
    assert golden["bit_exact"] is None


def test_rtl_is_bit_exact_and_measured() -> None:
    result = _invoke("run", "--prompt", "The cat", "-n", "3", "--json")
    assert result.exit_code == 0, result.output
    rtl = json.loads(result.stdout)
    golden = json.loads(_invoke("run", "--prompt", "The cat", "-n", "3", "--device", "golden", "--json").stdout)
    assert rtl["generated_tokens"] == golden["generated_tokens"]
    assert rtl["bit_exact"] is True
    assert rtl["tensors_compared"] > 100
    assert len(rtl["cycles"]["decode"]) == 2
    assert 0.5 < rtl["bus_utilization"] <= 1
    assert rtl["comparison_share"] > 0
    assert rtl["simulated_hz_cpu"] > 0.9 * rtl["simulated_hz"] > 0
    assert rtl["bytes"]["activations"] == 0


@pytest.mark.parametrize("saturated", [True, False])
def test_a_saturated_run_is_warned_of(monkeypatch: pytest.MonkeyPatch, saturated: bool) -> None:
    original = GoldenAccelerator.run

    def run(self: GoldenAccelerator, *arguments: Any) -> JobResult:
        return replace(original(self, *arguments), saturated=saturated)

    monkeypatch.setattr(GoldenAccelerator, "run", run)
    result = _invoke("run", "--prompt", "The cat", "-n", "2", "--device", "golden", "--json")
    assert (result.exit_code, json.loads(result.stdout)["saturated"]) == (0, saturated)
    warnings = [line for line in result.stderr.splitlines() if "warning" in line]
    assert warnings == ["celosia: warning: a number left the range of float32 and was saturated"] * saturated


def test_a_difference_is_named_and_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Comparison._scratchpad

    def flipped(self: Comparison, tensor: TensorWrite, writes: Writes) -> Any:
        values, seen = original(self, tensor, writes)
        values[0, 5] ^= 1
        return values, seen

    monkeypatch.setattr(Comparison, "_scratchpad", flipped)
    result = _invoke("run", "--prompt", "The cat", "-n", "1", "--json")
    assert result.exit_code == 1
    assert "RTL and golden differ: pass 0, layer 0, instruction 0 EMBED, tensor x, element [0, 5]" in result.stderr
    assert json.loads(result.stdout)["bit_exact"] is False


def test_generate_writes_all_files_twice(tmp_path: Path) -> None:
    for _ in range(2):
        result = _invoke("generate", "--config", "ecp5", "-o", str(tmp_path / "out"), "--json")
        assert result.exit_code == 0, result.output
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {
        "celosia.v", "files.f", "manifest.json", "celosia.rdl", "celosia.h", "registers.md", "registers",
        "celosia.core", "celosia.vlt", "component.xml", "vivado.tcl", "celosia.xdc",
    }  # fmt: skip
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    verilog = (tmp_path / "out" / "celosia.v").read_text()
    assert all(port["name"] in verilog for port in manifest["ports"])
    assert not any(port["name"].startswith("trace") for port in manifest["ports"])
    assert set(manifest["flows"].values()) <= written


def test_text_streams_to_people() -> None:
    text = json.loads(_invoke("run", "-n", "20", "--device", "golden", "--json").stdout)["text"]
    assert _invoke("run", "-n", "20", "--device", "golden").stdout.startswith(text)


def test_token_ids_instead_of_a_text() -> None:
    result = _invoke("run", "--tokens", "84, 104 101", "-n", "2", "--device", "golden", "--json")
    assert json.loads(result.stdout)["prompt_tokens"] == [84, 104, 101]


def test_compile_writes_what_load_reads(tmp_path: Path) -> None:
    result = _invoke("compile", "-o", str(tmp_path / "out"), "--context", "256", "--json")
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    compiled = CompiledModel.load(tmp_path / "out")
    assert compiled.context == printed["context"] == 256
    assert printed["image_bytes"] == (tmp_path / "out" / "image.bin").stat().st_size
    assert printed["program_bytes"] == compiled.program_bytes == 832


def test_eval_of_a_text_file(tmp_path: Path) -> None:
    file = tmp_path / "story.txt"
    file.write_text("Once upon a time there was a little girl named Mia. She had a red ball.\n" * 3)
    options = ("eval", "--text", str(file), "--window", "64", "--limit", "128", "--json")
    golden = json.loads(_invoke(*options).stdout)
    reference = json.loads(_invoke(*options, "--device", "float").stdout)
    assert golden["tokens"] == reference["tokens"] == 126
    assert reference["change_percent"] == 0
    assert golden["reference_perplexity"] == pytest.approx(reference["perplexity"], rel=1e-6)
    assert abs(golden["change_percent"]) < 5
    assert golden["top1_agreement"] > 0.9


def test_info_tells_what_fits() -> None:
    fitting = json.loads(_invoke("info", "--json").stdout)["model"]
    assert fitting["fits"]
    assert 250_000 <= fitting["parameters"] <= 500_000
    assert fitting["lower_bound_cycles_per_token"] == -(-fitting["streamed_bytes_per_token"] // 8)
    assert "celosia-tiny" in _invoke("info").stdout


def test_info_tells_what_does_not_fit(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text("[vector]\nscratchpad_words = 64\n")
    result = _invoke("info", "--json", "--config", str(file))
    described = json.loads(result.stdout)["model"]
    assert not described["fits"]
    assert described["misfits"][0].startswith("vector.scratchpad_words = 64: this model needs ")
    assert result.exit_code == 0


@pytest.mark.parametrize(("channels", "bound"), [(4, ["Q4_0"]), (8, [])])
def test_formats_that_the_array_and_not_the_bus_limits(tmp_path: Path, channels: int, bound: list[str]) -> None:
    file = tmp_path / "c.toml"
    # A beat of 64 bytes: a tile must have 80. Those of 4 channels have 136, 72 and 80.
    file.write_text(f"[bus]\ndata_bits = 512\n[array]\nchannels = {channels}\n")
    described = json.loads(_invoke("info", "--json", "--config", str(file)).stdout)
    assert described["config"]["array_bound_formats"] == bound


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    assert "no such file" in _refused("run", "--model", "nothing-of-this-name")
    assert "config = 'nope': no such preset or TOML file" in _refused("run", "--config", "nope")
    assert _refused("run", "--tokens", "1 256") == "celosia: prompt token 1 is 256: the model has tokens 0 to 255"
    assert "the number of tokens to generate is 0: it must be 1 or more" in _refused("run", "-n", "0")
    assert "waves: there is no folder '/nowhere': make it first" in _refused("run", "--waves", "/nowhere/a.vcd")
    assert "waves is 'a.fst': only VCD is written; name it .vcd" in _refused("run", "--waves", "a.fst")
    assert "dram = 'ddr9': no such preset or TOML file" in _refused("run", "--dram", "ddr9")
    assert "device is 'golden': only rtl has a dram" in _refused("run", "--dram", "ddr4", "--device", "golden")
    assert "temperature is -1.0" in _refused("run", "--temperature", "-1")
    assert "a text and token ids are given" in _refused("run", "--prompt", "a", "--tokens", "1")
    assert "the prompt has 600 tokens: the context is 512 positions" in _refused("run", "--prompt", "a" * 600)
    assert "give a text file with --text" in _refused("eval")
    assert "window is 513: the context is 512 positions; choose 512 or fewer" in _refused(
        "eval", "--tokens", "1 2", "--window", "513"
    )
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    assert "latin: byte 3 is not UTF-8" in _refused("eval", "--text", str(tmp_path / "latin"))
    (tmp_path / "file").write_text("")
    assert "file" in _refused("compile", "-o", str(tmp_path / "file" / "out"))
    small = tmp_path / "small.toml"
    small.write_text("[vector]\nscratchpad_words = 64\n")
    assert "set vector.scratchpad_words to" in _refused("compile", "--config", str(small), "-o", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_words_for_token_ids() -> None:
    result = _invoke("run", "--tokens", "one two")
    assert result.exit_code == 2
    assert "'one two' are not token ids: integers separated by spaces, like '1 2 3'" in result.stderr


def test_ctrl_c_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "run", interrupted)
    result = _invoke("run")
    assert (result.exit_code, result.stderr) == (130, "celosia: interrupted\n")


def test_a_bug_shows_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AssertionError("a bug")

    monkeypatch.setattr(api, "run", broken)
    assert isinstance(_invoke("run").exception, AssertionError)
