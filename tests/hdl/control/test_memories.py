"""Instruction memory and token memory."""

from __future__ import annotations

import pytest

from celosia.hdl.control.memories import InstructionMemory, TokenMemory
from tests.harness.runner import run_bench
from tests.hdl.stream.configs import CONFIGS


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("config", CONFIGS)
def test_instruction_memory(config: str, stall: float) -> None:
    run_bench(
        InstructionMemory(CONFIGS[config]),
        "tests.hdl.control.bench_program",
        name=f"program-{config}-stall{stall}",
        parameters={"config": config, "stall": stall},
    )


def test_token_memory() -> None:
    memory = TokenMemory(CONFIGS["w8"])
    run_bench(memory, "tests.hdl.control.bench_tokens", name="tokens", parameters={"depth": memory.depth})
