"""What a model would take on a config: decode at a few contexts and a prompt, in cycles and in tokens per second."""

from typing import Any

from ..compiler import CompiledModel, Plan
from ..device import Job
from .choice import chunk_for
from .predict import Prediction, predict

CONTEXTS = (16, 256, 2048)
PROMPT = 128


def decode_at(compiled: Plan | CompiledModel, context: int) -> Prediction:
    """A job whose only decode step takes the token at the last of `context` positions, as in `celosia bench`.

    Raises:
        ValueError: the sequence cannot have so many positions.
    """
    if not 2 <= context <= compiled.context:
        raise ValueError(f"context = {context}: must be from 2 to {compiled.context}")
    return predict(compiled, Job(0, context - 2, (0,), 2))


def prompt_of(compiled: Plan | CompiledModel, tokens: int) -> Prediction:
    """A job that samples one token after a prompt, in the chunks that the driver would choose.

    Raises:
        ValueError: the sequence cannot have so many positions.
    """
    if not 1 <= tokens <= compiled.context:
        raise ValueError(f"tokens = {tokens}: must be from 1 to {compiled.context}")
    return predict(compiled, Job(0, 0, (0,) * tokens, 1, chunk=chunk_for(compiled, 0, tokens)))


def forecast(compiled: Plan | CompiledModel) -> dict[str, Any]:
    """Plain data for "decode" at each context (the longest instead of those that no sequence can have) and "prompt".

    Each has `cycles`, `tokens_per_second` at the config's clock, `limit` (the resource that is busy for most of the
    cycles: bus, array or vector) and `busy`, its share of the cycles.
    """
    decode = []
    for context in sorted({min(context, compiled.context) for context in CONTEXTS}):
        step = decode_at(compiled, context)
        limit, busy = step.limit("decode")
        decode.append(_row("context", context, step.decode[0], step.tokens_per_second(), limit, busy))
    tokens = min(PROMPT, compiled.context)
    prompt = prompt_of(compiled, tokens)
    limit, busy = prompt.limit("prefill")
    per_second = tokens * prompt.config.control.clock_mhz * 1e6 / prompt.prefill
    return {"decode": decode, "prompt": _row("tokens", tokens, prompt.prefill, per_second, limit, busy)}


def _row(name: str, size: int, cycles: float, per_second: float, limit: str, busy: float) -> dict[str, Any]:
    return {
        name: size,
        "cycles": round(cycles),
        "tokens_per_second": round(per_second, 2),
        "limit": limit,
        "busy": round(min(busy, 1.0), 4),
    }
