"""The next token from the candidates that the device returns: temperature, top-k, top-p, seeded."""

import math
from dataclasses import dataclass, field

import numpy as np

from .requests import RequestError

Candidate = tuple[int, float]
"""Token id and its logit."""


@dataclass(frozen=True)
class Sampling:
    """How to choose; temperature 0 is greedy.

    Parameters
    ----------
    temperature : float
        Divides the logits; 0 or more. 0 takes the best candidate, whatever the rest says.
    top_k : int or None
        Only the best k candidates; None: all that the device returns.
    top_p : float
        Only the best candidates whose probabilities reach p together; above 0, at most 1.
    seed : int
        Of the generator; the same seed gives the same text.

    Raises
    ------
    RequestError
        A value out of range; names it.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise RequestError(f"temperature is {self.temperature!r}: it must be 0 (greedy) or more")
        if self.top_k is not None and self.top_k < 1:
            raise RequestError(f"top_k is {self.top_k!r}: it must be 1 or more")
        if not 0 < self.top_p <= 1:
            raise RequestError(f"top_p is {self.top_p!r}: it must be above 0 and at most 1")
        if self.seed < 0:
            raise RequestError(f"seed is {self.seed!r}: it must be 0 or more")

    @property
    def greedy(self) -> bool:
        """Whether the best candidate is always taken."""
        return self.temperature == 0


@dataclass
class Sampler:
    """Draws tokens; one per generation, so that its random numbers follow from the seed."""

    sampling: Sampling
    _random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.sampling.seed)

    def choose(self, candidates: tuple[Candidate, ...]) -> int:
        """A token id.

        Parameters
        ----------
        candidates : best first, one at least.
        """
        s = self.sampling
        kept = candidates[: s.top_k]
        if s.greedy:
            return kept[0][0]
        logits = np.array([value for _, value in kept], np.float64) / s.temperature
        weights = np.exp(logits - logits[0])
        cumulative = np.cumsum(weights / weights.sum())
        # The first candidate that reaches p is kept; rounding must not lose the last one.
        count = min(int(np.searchsorted(cumulative, s.top_p - 1e-12)) + 1, len(kept))
        cumulative = cumulative[:count] / cumulative[count - 1]
        return kept[int(np.searchsorted(cumulative, self._random.random(), side="right"))][0]
