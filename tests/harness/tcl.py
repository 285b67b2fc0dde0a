"""A real Tcl, which evaluates the scripts for Vivado and Yosys: that of tkinter."""

from __future__ import annotations

import pytest

try:
    import tkinter
except ImportError:
    # A skip would say nothing, and take all tests of these scripts with it.
    pytest.fail("this Python has no tkinter, whose Tcl evaluates scripts: apt install python3-tk", pytrace=False)

__all__ = ["tkinter"]
