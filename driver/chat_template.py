"""Chat templates: from messages to the text that a model was trained on."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..arch.model import Model
from .errors import ModelError
from .tokenizer import LibraryTokenizer, PieceTokenizer

LARGEST_TEMPLATE = 64 << 10
PATIENCE_SECONDS = 60.0
PLAIN = "{% for message in messages %}{{ message['content'] }}{{ '\\n' }}{% endfor %}"
"""For a model without a template: each message is a line of its own, and the answer follows the last one."""

Message = dict[str, str]
"""`role` (system, user or assistant) and `content`."""

_WORKER = Path(__file__).with_name("template_worker.py")


def render_chat(model: Model, messages: Sequence[Message]) -> str:
    """The text of a conversation, up to where the model's next answer begins.

    The template runs in jinja2's immutable sandbox, in a process with limited time and memory: it came with the file.

    Raises
    ------
    ModelError
        The template is too long, malformed, refuses the messages, or exceeds a limit.
    """
    name, template = model.config.name, model.config.chat_template or PLAIN
    if len(template) > LARGEST_TEMPLATE:
        raise ModelError(name, "length of chat_template", len(template), f"at most {LARGEST_TEMPLATE} are rendered")
    request = {
        "template": template,
        "messages": list(messages),
        "bos_token": _text_of(model, model.config.bos_id),
        "eos_token": _text_of(model, next(iter(model.config.eos_ids), None)),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(_WORKER)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
            start_new_session=True,  # Ctrl-C is for us
        )
    except subprocess.TimeoutExpired:
        done = None
    fix = "it must be a chat template; another copy of the model may have one"
    if done is None or done.returncode:
        raise ModelError(name, "chat_template", template, f"rendering it takes too much time or memory; {fix}")
    answer: dict[str, str] = json.loads(done.stdout)
    if "error" in answer:
        raise ModelError(name, "chat_template", answer["error"], fix)
    return answer["text"]


def _text_of(model: Model, token: int | None) -> str:
    """How a control token is written in a text; empty where there is none."""
    tokenizer = model.tokenizer
    if token is not None and isinstance(tokenizer, LibraryTokenizer):
        return tokenizer.pipeline.id_to_token(token) or ""
    if isinstance(tokenizer, PieceTokenizer):
        return next((text for text, i in tokenizer.named.items() if i == token), "")
    return ""
