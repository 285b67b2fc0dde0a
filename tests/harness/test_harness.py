"""The harness, seen passing on a sound component and failing on each kind of broken one."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from celosia.sim.cache import cache_entries

from . import runner
from .example import FAULTS, PAIR, PairAdder
from .layouts import pack, unpack
from .runner import BenchFailed, BuildFailed, build_bench, run_bench

BENCH = "tests.harness.bench_example"


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_pair_adder(stall: float) -> None:
    run_bench(PairAdder(), BENCH, name=f"pair_adder-stall{stall}", parameters={"stall": stall})


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("wrong sum", r"'sum': -128"),
        ("drops valid", r"o: valid fell before ready, after \d+ transfers"),
        ("changes payload", r"o: payload changed from 0x\w+ to 0x\w+ before ready, after \d+ transfers"),
        ("hangs", r"watchdog: not finished after 5000 cycles \(source i: 0 sent, 304 to go, valid 1; sink o: 0 rec"),
    ],
)
def test_pair_adder_broken(fault: str, message: str) -> None:
    with pytest.raises(BenchFailed, match=rf"(?s)^pair_adder-broken \(seed 7\):\nadds_pairs: .*{message}"):
        run_bench(PairAdder(fault=fault), BENCH, name="pair_adder-broken", parameters={"stall": 0.4}, seed=7)


def test_pair_adder_wrong() -> None:
    with pytest.raises(ValueError, match=rf"^fault must be one of {re.escape(str(FAULTS))}, not 'none of these'$"):
        PairAdder(fault="none of these")


def test_bench_without_tests() -> None:
    with pytest.raises(BenchFailed, match=r"^empty \(seed 1\): "):
        run_bench(PairAdder(), "tests.harness.layouts", name="empty", parameters={}, seed=1)


def test_seed_is_printed_and_overridable(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(runner.SEED_VARIABLE, "123")
    run_bench(PairAdder(), BENCH, name="pair_adder-seed", parameters={"stall": 0.4}, seed=5)
    assert "bench pair_adder-seed: seed 123 (replay: pytest --seed 123)" in capsys.readouterr().out


def test_second_build_comes_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_bench(PairAdder())

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("compiled a second time")

    monkeypatch.setattr(runner, "_compile", refuse)
    assert build_bench(PairAdder()) == first
    assert first in [entry.path for entry in cache_entries()]


class Idle(wiring.Component):
    """Has a port that nothing reads, which lint must report."""

    def __init__(self) -> None:
        super().__init__({"i": In(8), "o": Out(8)})

    def elaborate(self, platform: object) -> Module:
        return Module()


def test_lint_is_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELOSIA_CACHE", str(tmp_path))
    monkeypatch.setattr(runner, "WAIVERS", tmp_path / "none.vlt")
    runner.WAIVERS.write_text("`verilator_config\n")
    with pytest.raises(BuildFailed, match=r"(?s)^lint of top\.v failed:\n%Warning-UNUSEDSIGNAL.*'i'"):
        build_bench(Idle())
    assert cache_entries() == []


NESTED = data.StructLayout({"id": 4, "lanes": data.ArrayLayout(signed(5), 3), "pair": PAIR})
VALUE = {"id": 9, "lanes": [-16, 15, -1], "pair": {"a": -3, "b": 127, "last": 1}}


def test_pack_agrees_with_amaranth() -> None:
    assert pack(NESTED, VALUE) == NESTED.const(VALUE).as_value().value
    assert unpack(NESTED, pack(NESTED, VALUE)) == VALUE
    assert pack(NESTED, {**VALUE, "lanes": np.array([-16, 15, -1]).tolist(), "id": np.int64(9)}) == pack(NESTED, VALUE)
    assert pack(signed(4), -8) == 8
    assert unpack(signed(4), 8) == -8


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({**VALUE, "id": 16}, r"^payload\.id: 16 does not fit unsigned\(4\)$"),
        ({**VALUE, "lanes": [0, 0, 16]}, r"^payload\.lanes\.2: 16 does not fit signed\(5\)$"),
        ({**VALUE, "lanes": [0, 0]}, r"^payload\.lanes: expected values for \[0, 1, 2\], got \[0, 0\]$"),
        ({"id": 1}, r"^payload: expected values for \['id', 'lanes', 'pair'\], got \{'id': 1\}$"),
        ({**VALUE, "id": [1]}, r"^payload\.id: expected an integer of unsigned\(4\), got \[1\]$"),
    ],
)
def test_pack_wrong(value: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack(NESTED, value)
