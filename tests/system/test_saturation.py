"""The sticky bit: a model whose numbers leave the range of float32 sets it on both machines, others do not."""

from dataclasses import replace

import numpy as np
import pytest

from celosia.arch.model import WeightTensor
from celosia.driver.compiler import CompiledModel, compile_model
from celosia.driver.device import AcceleratorError, Job

from ..driver.models import random_config, random_model
from .support import MIXED, WIDE, Pair, small_model, tokens

JOB = Job(0, 0, tokens(12), 2)
SATURATED = 4
"""Bit of STATUS."""


def model_with_gain(gain: float) -> CompiledModel:
    """The small model, but the gains of its second layer's first norm are `gain`."""
    model = random_model(random_config(), 5, MIXED)
    name = "layers.1.attention_norm"
    shape = model.tensors[name].shape
    huge = WeightTensor(name, "F32", shape, np.full(shape, gain, np.float32))
    return compile_model(replace(model, tensors=model.tensors | {name: huge}), WIDE)


@pytest.mark.parametrize("gain", [3e38, -3e38])
def test_a_model_that_overflows(gain: float) -> None:
    """Every tensor is compared as in other tests, and so is the bit; the next doorbell clears it, even in vain."""
    pair = Pair(model_with_gain(gain))
    pair.open(0, (6, 1))
    assert pair.run(JOB).saturated
    assert pair.device.read_register("STATUS") == 2 | SATURATED
    assert pair.golden.machine.saturated
    spm = [t.data for r in pair.recordings[0].retired for t in r.tensors if t.kind == "spm"]
    assert any((np.abs(data) == np.finfo(np.float32).max).any() for data in spm)
    assert pair.fails(Job(1, 0, tokens(3), 1)) == ("SEQUENCE_CLOSED", 1)
    assert pair.device.read_register("STATUS") & SATURATED == 0
    with pytest.raises(AcceleratorError, match="SEQUENCE_CLOSED"):
        pair.golden.run(Job(1, 0, tokens(3), 1))
    assert not pair.golden.machine.saturated


@pytest.mark.parametrize("gain", [None, 1e30])
def test_a_model_that_does_not(gain: float | None) -> None:
    """Large numbers are no overflow."""
    pair = Pair(small_model(WIDE) if gain is None else model_with_gain(gain))
    pair.open(0, (6, 1))
    assert not pair.run(JOB).saturated
    assert pair.device.read_register("STATUS") == 2
    assert not pair.golden.machine.saturated
