"""`celosia matmul`: arrays and files in, the result out; what is wrong with them in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from celosia.arch.config import load_config
from celosia.cli import main
from celosia.driver.importers import quantize
from celosia.driver.requests import RequestError
from celosia.matmul import matmul

CONFIG = load_config("default")
ROWS = np.arange(12 * 40, dtype=np.float32).reshape(12, 40) / 100 - 2
WEIGHTS = np.cos(np.arange(33 * 40, dtype=np.float32)).reshape(33, 40)


def _run(folder: Path, *arguments: str, rows: object = ROWS, weights: object = WEIGHTS) -> Result:
    np.save(folder / "rows.npy", rows)
    np.save(folder / "weights.npy", weights)
    files = [str(folder / name) for name in ("rows.npy", "weights.npy")]
    return CliRunner().invoke(main, ["matmul", *files, "-o", str(folder / "result.npy"), *arguments])


def test_rtl_and_golden_write_the_same_file(tmp_path: Path) -> None:
    """The RTL with everything compared, on the smallest preset."""
    ran = _run(tmp_path, "--json", "--config", "ecp5", "--format", "Q4_0")
    assert ran.exit_code == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert (found["shape"], found["weight_format"], found["device"]) == ([12, 40, 33], "Q4_0", "rtl")
    assert found["bit_exact"] is True and not found["saturated"]
    # Rows in the scratchpad, quantized with their exponents, and results there and in memory.
    assert found["elements_compared"] == 12 * (64 + 64 + 2 + 64 + 64)
    assert 0 < found["mac_utilization"] == 12 * 40 * 33 / 64 / found["cycles"] < 1
    result = np.load(tmp_path / "result.npy")
    assert _run(tmp_path, "--device", "golden", "--format", "Q4_0").exit_code == 0
    again = np.load(tmp_path / "result.npy")
    assert np.array_equal(result.view(np.uint32), again.view(np.uint32))
    assert np.abs(result - ROWS @ quantize(WEIGHTS, "Q4_0").dequantize().T).max() < 0.05


def test_a_quantized_tensor_keeps_its_format() -> None:
    tensor = quantize(WEIGHTS, "Q4_1")
    found = matmul(ROWS, tensor, CONFIG, device="golden")
    assert (found.weight_format, found.bit_exact, found.cycles) == ("Q4_1", None, None)
    assert np.abs(found.result - ROWS @ tensor.dequantize().T).max() < 0.05
    assert matmul(ROWS * np.float32(2e37), WEIGHTS * 100, CONFIG, device="golden").saturated


@pytest.mark.parametrize(
    ("rows", "weights", "message"),
    [
        (ROWS[:, :39], WEIGHTS, r"^rows are 12 x 39, weights 33 x 40: both need the same number of columns"),
        (ROWS[0], WEIGHTS, r"^rows are float32 of 40 elements: they must be a matrix of numbers, not empty$"),
        (ROWS, WEIGHTS[:0], r"^weights are float32 of 0 x 40 elements"),
        ([["a"]], WEIGHTS, r"^rows are <U1 of 1 x 1 elements"),
        (np.where(ROWS == 0, np.nan, ROWS), WEIGHTS, r"^rows\[5, 0\] is nan: every element must be a finite float32$"),
        (
            ROWS,
            WEIGHTS.astype(np.float64) * 1e39,
            r"^weights\[0, 0\] is 1e\+39: every element must be a finite float32$",
        ),
    ],
)
def test_arrays_that_are_no_operands(rows: object, weights: object, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        matmul(rows, weights, CONFIG, device="golden")


def test_choices_that_there_are_not() -> None:
    with pytest.raises(RequestError, match=r"^device is 'float': it must be one of rtl, golden$"):
        matmul(ROWS, WEIGHTS, CONFIG, device="float")
    with pytest.raises(RequestError, match=r"^weight_format is 'F16': it must be one of Q8_0, Q4_0, Q4_1$"):
        matmul(ROWS, WEIGHTS, CONFIG, weight_format="F16", device="golden")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "golden", "--dram", "ddr4"], "only rtl has a dram"),
        (["-o", "{folder}/missing/result.npy"], "there is no folder"),
        (["--config", "huge"], "no such preset"),
        (["--config", "{folder}/small.toml"], "set vector.scratchpad_words to 128"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "small.toml").write_text("[vector]\nscratchpad_words = 64\n")
    ran = _run(tmp_path, *(argument.format(folder=tmp_path) for argument in arguments))
    assert ran.exit_code == 2
    assert ran.stderr.count("\n") == 1 and message in ran.stderr
    assert not (tmp_path / "result.npy").exists()


@pytest.mark.parametrize(
    "content", [b"", b"hello world", np.array([object()], object)], ids=["empty", "text", "pickle"]
)
def test_files_that_are_no_arrays(tmp_path: Path, content: bytes | np.ndarray) -> None:
    np.save(tmp_path / "good.npy", WEIGHTS)
    if isinstance(content, bytes):
        (tmp_path / "bad.npy").write_bytes(content)
    else:
        np.save(tmp_path / "bad.npy", content, allow_pickle=True)
    files = [str(tmp_path / name) for name in ("bad.npy", "good.npy")]
    ran = CliRunner().invoke(main, ["matmul", *files, "-o", str(tmp_path / "result.npy"), "--device", "golden"])
    assert ran.exit_code == 2
    assert ran.stderr.count("\n") == 1 and "not a NumPy .npy file of numbers" in ran.stderr
