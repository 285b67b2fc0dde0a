"""A generated folder without its Verilog, which takes seconds and which no flow looks into before it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from celosia.arch.config import AcceleratorConfig, load_config
from celosia.boards.flows.design import Port
from celosia.generate import VERILOG_FILE, flow_files
from celosia.hdl.verilog import accelerator_ports


@pytest.fixture(scope="session")
def config() -> AcceleratorConfig:
    """The largest of a board: a wide bus over four ports, and addresses that 32 bits do not hold."""
    return load_config("u280")


@pytest.fixture(scope="session")
def ports(config: AcceleratorConfig) -> list[Port]:
    return accelerator_ports(config)


@pytest.fixture
def folder(config: AcceleratorConfig, ports: list[Port], tmp_path: Path) -> Path:
    place = tmp_path / "generated"
    place.mkdir()
    (place / VERILOG_FILE).write_text("module celosia();\nendmodule\n")
    for name, text in flow_files(config, ports).items():
        (place / name).write_text(text)
    return place
