"""Text generation with the float32 reference, by the rules of `driver.runtime`."""

from collections.abc import Callable, Sequence

import numpy as np

from ..arch.model import Model
from ..golden.transformer import Transformer
from .requests import check_prompt
from .runtime import Generation, OnToken
from .sampling import Sampler, Sampling


class FloatSession:
    """One sequence on the float32 reference; arguments and errors as those of `runtime.Session`."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.reset()

    def reset(self) -> None:
        """Forget the sequence."""
        self._transformer = Transformer(self._model)
        self._unfed: tuple[int, ...] = ()
        self.position = 0

    def generate(
        self,
        prompt: Sequence[int],
        count: int,
        sampling: Sampling | None = None,
        on_token: OnToken | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Generation:
        """Continue the sequence with a prompt and generate."""
        config, sampler = self._model.config, Sampler(sampling or Sampling())
        limits = {"context": config.context_length, "vocabulary": config.vocab_size}
        held = {"unfed": len(self._unfed), "position": self.position}
        check_prompt(prompt, count, fix="shorten the prompt", **held, **limits)
        pending = [*self._unfed, *prompt]
        goal = min(count, config.context_length - self.position - len(pending) + 1)
        tokens: list[int] = []
        while len(tokens) < goal and not (tokens and tokens[-1] in config.eos_ids):
            if tokens and stop is not None and stop():
                return Generation(tuple(prompt), tuple(tokens), "stop", ())
            logits = self._transformer.advance(pending)[-1]
            order = np.argsort(-logits, kind="stable")  # ties go to the lower id
            tokens.append(sampler.choose(tuple(zip(order.tolist(), logits[order].tolist(), strict=True))))
            self.position += len(pending)
            pending = tokens[-1:]
            self._unfed = tuple(pending)
            if on_token:
                on_token(tokens[-1])
        reason = "end" if tokens[-1] in config.eos_ids else "count" if len(tokens) == count else "context"
        return Generation(tuple(prompt), tuple(tokens), reason, ())
