"""Text generation with the float32 reference, by the rules of `driver.runtime`."""

from collections.abc import Sequence

import numpy as np

from ..arch.model import Model
from ..golden.transformer import Transformer
from .requests import check_prompt
from .runtime import Generation, OnToken
from .sampling import Sampler, Sampling


def generate_float(
    model: Model,
    prompt: Sequence[int],
    count: int,
    sampling: Sampling | None = None,
    on_token: OnToken | None = None,
) -> Generation:
    """Generate from an empty cache; arguments and errors as those of `runtime.Session.generate`."""
    config, sampler = model.config, Sampler(sampling or Sampling())
    limits = {"context": config.context_length, "vocabulary": config.vocab_size}
    check_prompt(prompt, count, unfed=0, position=0, fix="shorten the prompt", **limits)
    goal = min(count, config.context_length - len(prompt) + 1)
    transformer = Transformer(model)
    tokens: list[int] = []
    pending = list(prompt)
    while len(tokens) < goal and not (tokens and tokens[-1] in config.eos_ids):
        logits = transformer.advance(pending)[-1]
        order = np.argsort(-logits, kind="stable")  # ties go to the lower id
        tokens.append(sampler.choose(tuple(zip(order.tolist(), logits[order].tolist(), strict=True))))
        if on_token:
            on_token(tokens[-1])
        pending = tokens[-1:]
    reason = "end" if tokens[-1] in config.eos_ids else "count" if len(tokens) == count else "context"
    return Generation(tuple(prompt), tuple(tokens), reason, ())
