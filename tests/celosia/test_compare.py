"""What the comparison says of instructions that only one of the two machines executed."""

from __future__ import annotations

import numpy as np

from celosia.arch.isa import Opcode
from celosia.compare import Comparison
from celosia.driver.compiler import CompiledModel
from celosia.golden.records import Retired, TensorWrite
from celosia.sim.rtl import Writes

from ..system.support import NARROW, find, small_model

NOTHING = np.zeros(0, np.dtype([("data", "u1", (4,))]))


def _retired(compiled: CompiledModel, index: int) -> Retired:
    instruction = compiled.program[index]
    return Retired(0, index, 1, 0, 1, instruction, (TensorWrite("rope", 0, np.zeros(1, np.float32)),))


def _writes(index: int) -> Writes:
    return Writes(index, 1, 0, 100, NOTHING, NOTHING, NOTHING)


def test_an_instruction_that_golden_did_not_execute() -> None:
    compiled = small_model(NARROW)
    first, second = find(compiled, Opcode.QUANTIZE), find(compiled, Opcode.QUANTIZE, 1)
    comparison = Comparison(compiled)
    comparison.compare([_retired(compiled, first)], [_writes(first)])
    assert comparison.mismatch is None
    comparison.compare([_retired(compiled, first)], [_writes(first), _writes(second)])
    assert str(comparison.mismatch) == (
        f"pass 0, layer 1, instruction {second} QUANTIZE, tensor hidden, element [0]: golden not executed, RTL executed"
    )


def test_an_instruction_that_the_rtl_did_not_execute() -> None:
    compiled = small_model(NARROW)
    index = find(compiled, Opcode.QUANTIZE)
    tensor = TensorWrite("spm", 0, np.zeros((1, 32), np.float32))
    comparison = Comparison(compiled)
    comparison.compare([Retired(0, index, 1, 0, 1, compiled.program[index], (tensor,))], [])
    assert comparison.mismatch is not None
    assert (comparison.mismatch.expected, comparison.mismatch.actual) == ("executed", "not executed")
