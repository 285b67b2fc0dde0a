"""What the machine's arithmetic costs: perplexity against the float32 reference, with its standard error."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from ..arch.model import Model
from ..golden.transformer import Transformer
from .requests import RequestError

_ROWS = 64
"""Positions whose statistics are computed together: bounds the memory of float64 logits."""

Progress = Callable[[int, int], None]
"""Called with (tokens done, tokens in all)."""


class Logits(Protocol):
    """Something that computes the logits of a whole window."""

    def window(self, tokens: Sequence[int]) -> np.ndarray:
        """Logits after each of `tokens`, which start a new sequence: float32 [tokens, vocabulary]."""


class FloatLogits:
    """The float32 reference."""

    def __init__(self, model: Model) -> None:
        self._transformer = Transformer(model)

    def window(self, tokens: Sequence[int]) -> np.ndarray:
        """Logits after each of `tokens`."""
        self._transformer.reset()
        return self._transformer.advance(tokens)


@dataclass(frozen=True)
class Evaluation:
    """Accuracy of a device on a text.

    Attributes
    ----------
    tokens : scored ones: all but the first of each window.
    windows : how many.
    perplexity : of the device.
    reference_perplexity : of the float32 reference on the same weights.
    change_percent : of the perplexity, relative to the reference.
    change_standard_error_percent : standard error of that, from the paired differences of negative log-likelihood.
    nll_difference : mean difference of negative log-likelihood per token, device minus reference, in nats.
    nll_difference_standard_error : its standard error.
    top1_agreement : share of positions at which both would choose the same token.
    kl_divergence : mean of KL(reference || device) per position, in nats.
    """

    tokens: int
    windows: int
    perplexity: float
    reference_perplexity: float
    change_percent: float
    change_standard_error_percent: float | None
    nll_difference: float
    nll_difference_standard_error: float | None
    top1_agreement: float
    kl_divergence: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True)
class _Window:
    """Per scored position: float64 negative log-likelihoods, bool agreement, float64 divergence."""

    reference: np.ndarray
    device: np.ndarray
    agrees: np.ndarray
    divergence: np.ndarray


def windows_of(tokens: Sequence[int], window: int) -> list[Sequence[int]]:
    """Non-overlapping windows; a last one with nothing to score (one token) is dropped.

    Raises
    ------
    RequestError
        A window of fewer than 2 tokens, or a text of fewer than 2.
    """
    if window < 2:
        raise RequestError(f"window is {window}: it must be 2 or more, its first token is not scored")
    if len(tokens) < 2:
        raise RequestError(f"the text has {len(tokens)} tokens: it must have 2 or more, the first is not scored")
    parts = [tokens[start : start + window] for start in range(0, len(tokens), window)]
    return [part for part in parts if len(part) > 1]


def evaluate(
    reference: Logits, device: Logits | None, tokens: Sequence[int], window: int, progress: Progress | None = None
) -> Evaluation:
    """Compare a device with the reference on a text.

    Parameters
    ----------
    device : None evaluates the reference alone: every difference is 0.
    window : tokens in a window; each starts a sequence of its own.

    Raises
    ------
    RequestError
        Nothing to score.
    """
    parts = windows_of(tokens, window)
    total, done = sum(map(len, parts)), 0
    scored: list[_Window] = []
    for part in parts:
        expected = reference.window(part)
        actual = expected if device is None else device.window(part)
        scored.extend(_score(expected[:-1], actual[:-1], np.asarray(part[1:])))
        done += len(part)
        if progress:
            progress(done, total)
    base, other, agrees, divergence = (np.concatenate([getattr(w, f) for w in scored]) for f in _Window.__annotations__)
    difference = other - base
    error = float(difference.std(ddof=1) / math.sqrt(len(difference))) if len(difference) > 1 else None
    ratio = math.exp(difference.mean())
    return Evaluation(
        tokens=len(difference),
        windows=len(parts),
        perplexity=math.exp(other.mean()),
        reference_perplexity=math.exp(base.mean()),
        change_percent=100 * (ratio - 1),
        change_standard_error_percent=None if error is None else 100 * ratio * error,
        nll_difference=float(difference.mean()),
        nll_difference_standard_error=error,
        top1_agreement=float(agrees.mean()),
        kl_divergence=float(divergence.mean()),
    )


def _score(expected: np.ndarray, actual: np.ndarray, targets: np.ndarray) -> Iterator[_Window]:
    """Statistics of a window's positions, some rows at a time. Logits are float32 [positions, vocabulary]."""
    for start in range(0, len(targets), _ROWS):
        rows = slice(start, start + _ROWS)
        p, q = _log_softmax(expected[rows]), _log_softmax(actual[rows])
        chosen = np.arange(len(p)), targets[rows]
        yield _Window(
            reference=-p[chosen],
            device=-q[chosen],
            agrees=p.argmax(axis=1) == q.argmax(axis=1),
            divergence=(np.exp(p) * (p - q)).sum(axis=1),
        )


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
