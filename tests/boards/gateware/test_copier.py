"""From a stream of bytes into a memory."""

from __future__ import annotations

import pytest

from celosia.boards.gateware.copier import Copier

from ...harness.runner import run_bench
from .bench_copier import CAPACITY


@pytest.mark.parametrize("data_bits", [64, 128])
def test_copier(data_bits: int) -> None:
    copier = Copier(data_bits=data_bits, address_bits=32, capacity=CAPACITY)
    parameters = {"data_bits": data_bits}
    run_bench(copier, "tests.boards.gateware.bench_copier", name=f"copier {data_bits}", parameters=parameters)
