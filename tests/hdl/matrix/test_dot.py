"""DotArray on Verilator, in both forms, the packing of two products proven by Yosys, and wrong parameters."""

from __future__ import annotations

import re
from math import inf
from pathlib import Path
from typing import Any

import pytest
from amaranth.back import verilog
from amaranth.hdl import Cat, Module, Signal, Value, signed

from celosia.arch.pipeline import DOT, registers
from celosia.boards.errors import SynthesisError
from celosia.boards.tools import run_yosys
from celosia.hdl.matrix.dot import PAIR_SHIFT, TREE, DotArray, pair, pair_product, split_pair
from tests.harness.runner import run_bench

SETS: dict[str, dict[str, Any]] = {
    "r1c1b9": {"rows": 1, "channels": 1, "activation_bits": 9, "products_per_dsp": 1},
    "r2c3b8": {"rows": 2, "channels": 3, "activation_bits": 8, "products_per_dsp": 1},
    "r1c2b9-pairs": {"rows": 1, "channels": 2, "activation_bits": 9, "products_per_dsp": 2},
    "r2c4b8-pairs": {"rows": 2, "channels": 4, "activation_bits": 8, "products_per_dsp": 2},
    "r1c1b9-some": {"rows": 1, "channels": 1, "activation_bits": 9, "products_per_dsp": 1, "levels": 5},
    "r1c1b9-all": {"rows": 1, "channels": 1, "activation_bits": 9, "products_per_dsp": 1, "levels": 0},
    "r1c2b9-pairs-all": {"rows": 1, "channels": 2, "activation_bits": 9, "products_per_dsp": 2, "levels": 0},
}
"""By name; `levels` of logic between registers, where these are not the least."""


def array(parameters: dict[str, Any]) -> DotArray:
    levels = parameters.get("levels", inf)
    return DotArray(**{k: v for k, v in parameters.items() if k != "levels"}, registers=registers(DOT, levels))


@pytest.mark.parametrize("name", SETS)
def test_dot(name: str) -> None:
    run_bench(array(SETS[name]), "tests.hdl.matrix.bench_dot", name=f"dot-{name}", parameters=SETS[name])


@pytest.mark.parametrize("products", [0, 3])
def test_products_per_dsp_wrong(products: int) -> None:
    with pytest.raises(ValueError, match=f"^DotArray: products_per_dsp must be 1 or 2, not {products}$"):
        DotArray(rows=1, channels=2, activation_bits=9, products_per_dsp=products)


def test_channels_wrong() -> None:
    message = "DotArray: channels must be even with products_per_dsp = 2, not 3"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        DotArray(rows=1, channels=3, activation_bits=9, products_per_dsp=2)


def prove(folder: Path, inputs: list[Signal], claim: Value, *assumptions: str) -> None:
    """Have Yosys prove that a claim holds for all inputs; it raises `SynthesisError` where it finds a case against it.

    Each of `assumptions` is options of ``sat``, for a proof of its own; none is one proof without.
    """
    m = Module()
    ok = Signal(name="ok")
    m.d.comb += ok.eq(claim)
    (folder / "claim.v").write_text(verilog.convert(m, ports=[*inputs, ok], name="claim", emit_src=False))
    proofs = [f"sat -verify -prove ok 1 {options} claim" for options in assumptions or ("",)]
    run_yosys(["read_verilog claim.v", "prep -flatten -top claim", *proofs], folder, lambda line: None)


def within(value: Signal, limit: int) -> Value:
    return (value >= -limit) & (value <= limit)


@pytest.mark.parametrize("bits", [8, 9])
def test_pair_product_is_both_products(bits: int, tmp_path: Path) -> None:
    """For all weights, and q of one bit or all: multiplication is linear in q, so that no product leaks elsewhere."""
    low, high, q = Signal(signed(8), name="low"), Signal(signed(8), name="high"), Signal(signed(bits), name="q")
    claim = pair_product(pair(low, high), q) == low * q + ((high * q) << PAIR_SHIFT)
    cases = [1 << bit for bit in range(bits - 1)] + [(1 << (bits - 1)) - 1]
    prove(tmp_path, [low, high, q], claim, *(f"-set q {value}" for value in cases))


def test_least_q_is_one_too_many(tmp_path: Path) -> None:
    """Why `DotArray` asks for |q| below 2^(b-1): the proof above fails for the one other value."""
    low, high, q = Signal(signed(8), name="low"), Signal(signed(8), name="high"), Signal(signed(9), name="q")
    claim = pair_product(pair(low, high), q) == low * q + ((high * q) << PAIR_SHIFT)
    with pytest.raises(SynthesisError, match="proof did fail"):
        prove(tmp_path, [low, high, q], claim, "-set q 256")


@pytest.mark.parametrize("bits", [8, 9])
@pytest.mark.parametrize("before", range(TREE[0]))
def test_pairs_add_up_without_mixing(before: int, bits: int, tmp_path: Path) -> None:
    """The step of an induction: sums of up to three products, and one more, come out of `split_pair` as they are."""
    largest = 128 * ((1 << (bits - 1)) - 1)
    sums = [Signal(signed(bits + 9), name=name) for name in ("low", "high")]
    products = [Signal(signed(bits + 7), name=name) for name in ("low_product", "high_product")]
    packed = [low + (high << PAIR_SHIFT) for low, high in (sums, products)]
    got = split_pair((packed[0] + packed[1])[: PAIR_SHIFT + bits + 9])
    legal = Cat(*(within(s, before * largest) for s in sums), *(within(p, largest) for p in products)).all()
    equal = Cat(*(g == s + p for g, s, p in zip(got, sums, products, strict=True))).all()
    prove(tmp_path, [*sums, *products], ~legal | equal)
