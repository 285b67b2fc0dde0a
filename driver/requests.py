"""Requests that cannot be served, and the checks that every device shares."""

from collections.abc import Sequence


class RequestError(ValueError):
    """A request that this model on this config cannot serve: names what was asked for, and what is possible."""


CONTEXT_FIX = "shorten the prompt or raise cache.pages_per_sequence and cache.pages"
"""How to get a longer prompt onto a device."""


def check_prompt(
    prompt: Sequence[int], count: int, *, unfed: int, position: int, context: int, vocabulary: int, fix: str
) -> None:
    """Check what a user asks a device to generate.

    Parameters
    ----------
    prompt : token ids.
    count : tokens to generate.
    unfed : tokens of an earlier request that are fed before the prompt.
    position : positions in the cache.
    context, vocabulary : limits.
    fix : how to raise the context.

    Raises
    ------
    RequestError
        No prompt, an id beyond the vocabulary, a prompt longer than the context, or nothing to generate.
    """
    if not prompt:
        raise RequestError("the prompt has no tokens: it must have one at least")
    if count < 1:
        raise RequestError(f"the number of tokens to generate is {count}: it must be 1 or more")
    for index, token in enumerate(prompt):
        if not 0 <= token < vocabulary:
            raise RequestError(f"prompt token {index} is {token}: the model has tokens 0 to {vocabulary - 1}")
    length = unfed + len(prompt)
    if position + length > context:
        before = f" after {position} positions" if position else ""
        raise RequestError(f"the prompt has {length} tokens{before}: the context is {context} positions; {fix}")
