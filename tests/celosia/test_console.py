"""Progress of long work: a bar for people, plain lines where stderr is a file or a pipe, and nothing on stdout."""

import errno
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from celosia import console, synth_command
from celosia.cli import main
from celosia.console import LINE_SECONDS, PATIENCE_SECONDS, SAME_SECONDS, Reporter, progress


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(console, "time", clock)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return clock


def test_a_line_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """What is new, every ten seconds; where only numbers move, every minute."""

    def said(report: Reporter, seconds: float, *step: Any) -> str:
        clock.now += seconds
        report(*step)
        out, err = capsys.readouterr()
        assert out == ""
        return err

    with progress("packing") as report:
        assert said(report, LINE_SECONDS - 1, 0, 4, "one") == ""
        assert said(report, 1, 0, 4, "one") == "one (0 of 4)\n"
        assert said(report, 1, 1, 4, "two") == ""
        assert said(report, LINE_SECONDS - 2, 1, 4, "two") == ""
        assert said(report, 1, 1, 4, "two: 1") == "two: 1 (1 of 4)\n"
        assert said(report, LINE_SECONDS, 2, 4, "two: 22") == ""
        assert said(report, SAME_SECONDS - LINE_SECONDS, 2, 4, "two: 23") == "two: 23 (2 of 4)\n"
        assert said(report, LINE_SECONDS, 3, 4) == "packing (3 of 4)\n"
        clock.now += LINE_SECONDS
        report.status("a state")
        assert capsys.readouterr() == ("", "a state\n")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_has_a_bar(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress("packing") as report:
        report(0, 4, "one")
        assert terminal.getvalue() == ""
        clock.now += max(PATIENCE_SECONDS, LINE_SECONDS)
        report(1, 4, "one")
        assert "\x1b[" in terminal.getvalue() and "one (1 of 4)" not in terminal.getvalue()


def test_a_full_disk_under_the_log_stops_nothing(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(click, "echo", full)
    with progress("packing") as report:
        clock.now += LINE_SECONDS
        report(1, 4, "one")


def test_json_has_stdout_for_itself(clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def changed(rows: object, *, cached: object, progress: Reporter) -> list[object]:
        clock.now += LINE_SECONDS
        progress(0, 1, "u on ecp5: Yosys")
        return []

    monkeypatch.setattr(synth_command, "changed", changed)
    monkeypatch.setattr(synth_command, "read_tables", lambda file, unit: [None])
    result = CliRunner().invoke(main, ["synth", "--check", str(tmp_path), "--json"])
    assert json.loads(result.stdout) == {"rows": 1, "changed": []}
    assert result.stderr == "u on ecp5: Yosys (0 of 1)\n"
