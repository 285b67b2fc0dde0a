"""Limits of the system tests."""

import pytest

from celosia.driver import registers


@pytest.fixture(autouse=True)
def _no_long_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that hangs fails its test soon."""
    monkeypatch.setattr(registers, "PATIENCE_SECONDS", 20.0)
