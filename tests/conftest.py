"""Options of the whole suite; benches read them through the environment, which also reaches xdist's workers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from celosia.sim.toolchain import ToolMissing, find_toolchain, require_libpython

from .harness.netlist import FAMILIES
from .harness.runner import NETLIST_VARIABLE, SEED_VARIABLE, WAVES_VARIABLE


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("celosia")
    group.addoption("--seed", type=int, metavar="N", help="seed for every bench, instead of one derived from its name")
    group.addoption("--waves", type=Path, metavar="DIR", help="record every bench as DIR/<bench>.vcd (rebuilds it)")
    group.addoption("--netlist", choices=FAMILIES, help="run benches on what Yosys makes of their designs")


def pytest_configure(config: pytest.Config) -> None:
    try:
        find_toolchain()
        require_libpython()
    except ToolMissing as error:
        # One line at the start, instead of one failure per bench.
        raise pytest.UsageError(str(error)) from None
    family = config.getoption("--netlist")
    if family is not None:
        os.environ[NETLIST_VARIABLE] = family
    seed, waves = config.getoption("--seed"), config.getoption("--waves")
    if seed is not None:
        os.environ[SEED_VARIABLE] = str(seed)
    if waves is not None:
        os.environ[WAVES_VARIABLE] = str(waves.absolute())
