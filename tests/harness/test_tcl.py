"""A Python without tkinter fails tests of Tcl scripts, with the remedy."""

from __future__ import annotations

import runpy
import sys

import pytest


def test_missing_tkinter_is_no_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tkinter", None)
    monkeypatch.delitem(sys.modules, "tests.harness.tcl", raising=False)
    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception), match=r"python3-tk$") as refused:
        runpy.run_module("tests.harness.tcl")
    assert refused.type is pytest.fail.Exception
