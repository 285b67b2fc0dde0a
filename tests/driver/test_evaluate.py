"""Perplexity, its standard error, agreement and divergence, against figures worked out by hand."""

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest

from celosia.arch.config import load_config
from celosia.driver.compiler import compile_model, quantize_model
from celosia.driver.evaluate import FloatLogits, evaluate, windows_of
from celosia.driver.golden_accelerator import GoldenLogits

from .models import random_config, random_model


class _Fixed:
    """Logits given by a probability row, the same at every position."""

    def __init__(self, probabilities: Sequence[float]) -> None:
        self.row = np.log(np.array(probabilities, np.float64)).astype(np.float32) + np.float32(3)
        self.seen: list[list[int]] = []

    def window(self, tokens: Sequence[int]) -> np.ndarray:
        self.seen.append(list(tokens))
        return np.tile(self.row, (len(tokens), 1))


def test_by_hand() -> None:
    p, q = (0.5, 0.25, 0.25), (0.25, 0.5, 0.25)
    reference, device = _Fixed(p), _Fixed(q)
    tokens = [0, 0, 1, 2, 2, 2, 0]  # windows 0 0 1 | 2 2 2 | 0: scored 0 1 2 2; the last has nothing to score
    result = evaluate(reference, device, tokens, 3)
    assert reference.seen == device.seen == [[0, 0, 1], [2, 2, 2]]
    assert (result.tokens, result.windows) == (4, 2)
    nll_p = -np.log([0.5, 0.25, 0.25, 0.25])
    nll_q = -np.log([0.25, 0.5, 0.25, 0.25])
    assert result.reference_perplexity == pytest.approx(math.exp(nll_p.mean()), rel=1e-6)
    assert result.perplexity == pytest.approx(math.exp(nll_q.mean()), rel=1e-6)
    assert result.nll_difference == pytest.approx(0, abs=1e-6)
    assert result.nll_difference_standard_error == pytest.approx(np.std(nll_q - nll_p, ddof=1) / 2, rel=1e-6)
    assert result.top1_agreement == 0
    assert result.kl_divergence == pytest.approx(0.5 * math.log(2) - 0.25 * math.log(2), rel=1e-5)


def test_change_is_relative_to_the_reference() -> None:
    result = evaluate(_Fixed((0.5, 0.5)), _Fixed((0.4, 0.6)), [0] * 10, 5)
    assert result.change_percent == pytest.approx(25, rel=1e-5)
    assert result.change_standard_error_percent == pytest.approx(0, abs=1e-6)


def test_the_reference_alone_agrees_with_itself() -> None:
    result = evaluate(_Fixed((0.7, 0.3)), None, [0, 1, 0], 8)
    assert (result.change_percent, result.top1_agreement, result.kl_divergence) == (0, 1, 0)
    single = evaluate(_Fixed((0.7, 0.3)), None, [0, 1], 8)
    assert single.nll_difference_standard_error is None
    assert json.loads(json.dumps(single.to_json()))["tokens"] == 1


def test_many_rows_are_scored_like_few() -> None:
    random = np.random.default_rng(3)
    tokens = random.integers(0, 50, 150).tolist()
    table, other = random.standard_normal((2, 50, 50)).astype(np.float32)

    class _Table:
        def __init__(self, rows: np.ndarray) -> None:
            self.rows = rows

        def window(self, tokens: Sequence[int]) -> np.ndarray:
            return self.rows[np.asarray(tokens)]

    seen: list[tuple[int, int]] = []
    result = evaluate(_Table(table), _Table(other), tokens, 150, lambda done, total: seen.append((done, total)))
    probabilities = np.exp(table) / np.exp(table).sum(axis=1, keepdims=True)
    expected = -np.log(probabilities[tokens[:-1], tokens[1:]]).mean()
    assert result.reference_perplexity == pytest.approx(math.exp(expected), rel=1e-5)
    assert result.top1_agreement == np.mean(table.argmax(1)[tokens[:-1]] == other.argmax(1)[tokens[:-1]])
    assert seen == [(150, 150)]


def test_the_golden_machine_costs_little() -> None:
    model = random_model(random_config(), 31)
    compiled = compile_model(model, load_config("kria"))
    tokens = np.random.default_rng(4).integers(0, 100, 120).tolist()
    result = evaluate(FloatLogits(quantize_model(model, compiled.formats)), GoldenLogits(compiled), tokens, 60)
    assert result.tokens == 118
    assert abs(result.change_percent) < 1
    assert 0 < result.kl_divergence < 1e-3
    assert result.top1_agreement > 0.9


def test_windows() -> None:
    assert windows_of([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4]]
    with pytest.raises(ValueError, match=r"^window is 1: it must be 2 or more, its first token is not scored$"):
        windows_of([1, 2], 1)
    with pytest.raises(ValueError, match=r"^the text has 1 tokens: it must have 2 or more, the first is not scored$"):
        windows_of([1], 8)
