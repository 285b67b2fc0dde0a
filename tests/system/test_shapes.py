"""Shapes of models and of jobs: on the RTL every tensor, every token and every byte of the cache is the golden one."""

from typing import Any

import pytest

from celosia.arch.config import AcceleratorConfig
from celosia.arch.isa import Opcode
from celosia.driver.device import Job
from celosia.driver.runtime import PageAllocator, Session

from .support import NARROW, WIDE, WIDEST, Pair, small_model, tokens

GPT2 = {
    "norm": "layer",
    "activation": "gelu",
    "qkv_bias": True,
    "attention_output_bias": True,
    "mlp_bias": True,
    "rope_frequencies": (0.0,) * 16,
    "n_kv_heads": 4,
}

FAMILIES: dict[str, dict[str, Any]] = {
    "shared by four heads of 8": {"head_dim": 8, "n_heads": 8, "n_kv_heads": 4},
    "shared by two heads of 16": {"head_dim": 16, "n_heads": 4, "n_kv_heads": 2, "tied_embeddings": True},
    "heads of 16 that do not fill a block": {"head_dim": 16, "n_heads": 3, "n_kv_heads": 1},
    "heads of 32, one for all queries": {"n_heads": 6, "n_kv_heads": 1, "rope_pairing": "neighbour"},
    "heads of 48, padded; nothing a multiple of 32": {"head_dim": 48, "dim": 72, "hidden_dim": 100, "n_heads": 2},
    "heads of 64, each with its own": {"head_dim": 64, "n_heads": 2, "n_kv_heads": 2, "activation": "gelu_gated"},
    "like GPT-2": GPT2,
}


@pytest.mark.parametrize("config", [NARROW, WIDE], ids=lambda c: c.name)
@pytest.mark.parametrize("family", FAMILIES)
def test_families(family: str, config: AcceleratorConfig) -> None:
    """A prompt of several chunks that leaves its first page, then decoding."""
    layers = 2 if config is WIDE else 1  # the narrow one takes ten times the cycles
    run_family(family, config, layers)


@pytest.mark.parametrize("family", FAMILIES)
def test_families_on_the_widest_bus(family: str) -> None:
    """1024 bits and 32 lanes, several small heads a word."""
    run_family(family, WIDEST, 2)


def run_family(family: str, config: AcceleratorConfig, layers: int) -> None:
    """A prompt of 34 tokens and one decode step."""
    pair = Pair(small_model(config, n_layers=layers, **FAMILIES[family]))
    pair.open(0, (3, 1))
    result = pair.run(Job(0, 0, tokens(34), 2))
    assert len(result.tokens) == 2


@pytest.mark.parametrize("name", ["Q8_0", "Q4_0", "Q4_1"])
def test_one_format_throughout(name: str) -> None:
    formats = dict.fromkeys(("wq", "wk", "wv", "wo", "w_gate", "w_up", "w_down", "embedding", "output"), name)
    pair = Pair(small_model(WIDE, formats=formats))
    pair.open(0, (0,))
    pair.run(Job(0, 0, tokens(9), 2))


@pytest.mark.parametrize("config", [NARROW, WIDE], ids=lambda c: c.name)
def test_formats_change_between_layers(config: AcceleratorConfig) -> None:
    """Layers whose formats differ need a LOOP for each run of equal ones: here of one, three and two layers."""
    names = ("Q8_0", "Q4_0", "Q4_1")
    linears = ("wq", "wk", "wv", "wo", "w_gate", "w_up", "w_down")
    formats = {
        f"layers.{layer}.{linear}": names[(run + place) % 3]
        for layer, run in enumerate((0, 1, 1, 1, 2, 2))
        for place, linear in enumerate(linears)
    }
    compiled = small_model(config, n_layers=6, formats=formats)
    loops = [(i.k, i.n) for i in compiled.program if i.opcode == Opcode.LOOP]
    assert loops == [(0, 1), (1, 4), (4, 6)]
    pair = Pair(compiled)
    pair.open(0, (2, 7))
    pair.run(Job(0, 0, tokens(config.vector.chunk + 2), 3))
    assert {retired.layer for retired in pair.recordings[0].retired} == set(range(6))
    pair.run(Job(0, config.vector.chunk + 4, tokens(2, seed=2), 2))


@pytest.mark.parametrize("latency", [1, 200])
@pytest.mark.parametrize("config", [NARROW, WIDE], ids=lambda c: c.name)
def test_memory_latency(config: AcceleratorConfig, latency: int) -> None:
    pair = Pair(small_model(config), latency=latency)
    pair.open(0, (4, 2))
    pair.run(Job(0, 0, tokens(6), 2))


@pytest.mark.parametrize("config", [NARROW, WIDE], ids=lambda c: c.name)
def test_long_context(config: AcceleratorConfig) -> None:
    """All pages but one of a table; decoding crosses into the last, with its pages out of order."""
    pages = tuple(range(config.cache.pages))[::-2][: config.cache.pages_per_sequence]
    pair = Pair(small_model(config, n_layers=1, n_kv_heads=1, hidden_dim=32))
    pair.open(1, pages)
    length = 32 * (len(pages) - 1)
    pair.run(Job(1, 0, tokens(length - 1), 3))
    pair.run(Job(1, length + 1, tokens(31), 1))


def test_conversation_continues_where_it_stopped() -> None:
    """Jobs begin at any position of a page and of a chunk; a sequence is taken up again after others ran."""
    pair = Pair(small_model(WIDE, head_dim=16))
    allocator = PageAllocator(WIDE.cache.pages)
    sessions = [Session(pair, pair.compiled, allocator, sequence) for sequence in range(3)]
    for turn in range(3):
        for number, session in enumerate(sessions):
            session.generate(tokens(5 + 9 * turn + 3 * number, seed=10 * turn + number), 2)
    assert [session.position for session in sessions] == [47, 56, 65]
    first = sessions[0]
    first.reset()
    first.generate(tokens(40), 2)
    sessions[1].generate(tokens(3), 2)


def test_sequences_do_not_meet() -> None:
    """What a sequence computes does not depend on what others did between its steps."""
    alone, crowded = (Pair(small_model(NARROW)) for _ in range(2))
    crowded.open(1, (0, 5, 2))
    crowded.run(Job(1, 0, tokens(33, seed=8), 1))
    results = []
    for pair in (alone, crowded):
        pair.open(0, (6, 3))
        parts = [pair.run(Job(0, 0, tokens(30), 1))]
        if pair is crowded:
            pair.run(Job(1, 33, tokens(2, seed=9), 2))
        parts.append(pair.run(Job(0, 30, tokens(4, seed=3), 3)))
        results.append([(part.tokens, part.candidates) for part in parts])
    assert results[0] == results[1]


def test_end_of_text_and_no_steps() -> None:
    pair = Pair(small_model(WIDE))
    pair.open(0, (0, 1))
    free = pair.run(Job(0, 0, tokens(9), 6)).tokens
    stop = next(token for token in free[1:] if token != free[0])
    ended = pair.run(Job(0, 0, tokens(9), 6, end_id=stop))
    assert ended.tokens == free[: free.index(stop) + 1]
    only_filled = pair.run(Job(0, 0, tokens(9), 0))
    assert only_filled.tokens == ()
    assert pair.run(Job(0, 9, free[:1], 5)).tokens == free[1:]


def test_one_token() -> None:
    """A job of one token, at the first position of a sequence and at the last of a page."""
    pair = Pair(small_model(NARROW))
    pair.open(0, (7,))
    pair.run(Job(0, 0, tokens(1), 1))
    pair.run(Job(0, 1, tokens(30), 0))
    pair.run(Job(0, 31, tokens(1, seed=4), 1))
