"""260 thousand parameters on preset `kria`: a chain of small instructions in which hardly any cycle is lost."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from celosia.arch.config import load_config
from celosia.driver.compiler import compile_model
from celosia.driver.cycles import predict
from celosia.driver.device import Job
from celosia.driver.importers import load_model

from .support import Pair

SCRIPT = Path(__file__).parents[2] / "examples" / "small_model.py"

CYCLES = 5200
"""Of a decode step, on average over positions 1 to `POSITIONS`."""

POSITIONS = 128


def test_cycles_of_a_token(tmp_path: Path) -> None:
    """Every tensor is the golden one; the mean is below what is promised, and within 3 % of what is predicted."""
    file = tmp_path / "small.bin"
    file.write_bytes(runpy.run_path(str(SCRIPT))["checkpoint"]())
    compiled = compile_model(load_model(file), load_config("kria"))
    pair = Pair(compiled)
    pair.open(0, (3, 1, 4, 2, 0))
    job = Job(0, 0, (1,), POSITIONS + 1)
    cycles = pair.run(job).cycles[1:]
    assert len(cycles) == POSITIONS
    mean = sum(cycles) / POSITIONS
    assert mean <= CYCLES
    assert sum(predict(compiled, job).decode) / POSITIONS == pytest.approx(mean, rel=0.03)
