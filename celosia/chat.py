"""A conversation with a model: its chat template around every message, and a cache that keeps what was said."""

import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, Protocol

import click

from .arch.config import AcceleratorConfig
from .arch.model import Model, Tokenizer
from .boards.host.board import BOARD_DEVICES, board_accelerator
from .boards.host.files import KernelFiles
from .driver.chat_template import Message, render_chat
from .driver.compiler import compile_model
from .driver.errors import ModelError
from .driver.golden_accelerator import GoldenAccelerator
from .driver.reference import FloatSession
from .driver.requests import RequestError
from .driver.runtime import Generation, OnToken, Session
from .driver.sampling import Sampling
from .driver.tokenizer import StreamDecoder
from .verified import VerifiedAccelerator


class Generator(Protocol):
    """A sequence that grows: `runtime.Session` or `reference.FloatSession`."""

    position: int

    def reset(self) -> None:
        """Forget the sequence."""

    def generate(
        self,
        prompt: Sequence[int],
        count: int,
        sampling: Sampling | None = None,
        on_token: OnToken | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Generation:
        """Continue the sequence with a prompt and generate."""


@dataclass(frozen=True)
class Answer:
    """One turn.

    Attributes:
        text: what the model said.
        reason: why it ended: "end", "count" (of tokens), "context" (full) or "stop" (Ctrl-C).
        prompt_tokens: tokens that were fed for it; earlier turns are in the cache.
        tokens: generated ones.
        position: positions of the context that are taken.
        cycles_per_token, tokens_per_second: in decode, at the config's clock; None where there is no clock.
    """

    text: str
    reason: str
    prompt_tokens: int
    tokens: int
    position: int
    cycles_per_token: float | None = None
    tokens_per_second: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


class Conversation:
    """Messages so far, on a generator that holds their tokens.

    Parameters
    ----------
    context : int
        Positions that the generator has.
    clock_mhz : float or None
        For tokens per second; None: the device has no clock.

    Raises
    ------
    RequestError
        The model has no tokenizer.
    """

    def __init__(
        self,
        model: Model,
        generator: Generator,
        *,
        context: int,
        system: str | None = None,
        sampling: Sampling | None = None,
        count: int = 256,
        clock_mhz: float | None = None,
    ) -> None:
        if model.tokenizer is None:
            raise RequestError(f"model {model.config.name!r} has no tokenizer: a conversation needs one")
        self._model, self._generator, self._tokenizer = model, generator, model.tokenizer
        self._context, self._sampling, self._count, self._clock = context, sampling, count, clock_mhz
        self._start: list[Message] = [] if system is None else [{"role": "system", "content": system}]
        self.clear()

    def clear(self) -> None:
        """Forget what was said; the system message stays."""
        self._messages, self._said, self._ended = list(self._start), "", False
        self._generator.reset()

    def ask(self, text: str, on_text: Callable[[str], None], stop: Callable[[], bool] = lambda: False) -> Answer:
        """Say something and hear the answer.

        Parameters
        ----------
        on_text : told the answer's text as it comes.
        stop : asked after every token whether to end the answer.

        Raises
        ------
        RequestError, ModelError
            The message does not fit the context, or cannot be rendered; the conversation is as before.
        """
        messages = [*self._messages, {"role": "user", "content": text}]
        rendered = render_chat(self._model, messages)
        prompt = self._unsaid(rendered)
        decoder, pieces = StreamDecoder(self._tokenizer), []

        def show(piece: str) -> None:
            pieces.append(piece)
            on_text(piece)

        generation = self._generator.generate(
            prompt, self._count, self._sampling, lambda token: show(decoder.push(token)), stop
        )
        show(decoder.finish())
        answer = "".join(pieces)
        self._messages = [*messages, {"role": "assistant", "content": answer}]
        self._said, self._ended = rendered + answer, generation.reason == "end"
        self._last = generation.tokens[-1]
        return self._measured(answer, prompt, generation)

    def _unsaid(self, rendered: str) -> list[int]:
        """Tokens of the part of the conversation that is not in the cache; all of it where the template rewrote it."""
        if self._said and rendered.startswith(self._said):
            new = _encode(self._tokenizer, rendered[len(self._said) :], begin=False)
            # The end of the answer is a token that the model gave itself.
            new = new[1:] if self._ended and new[:1] == [self._last] else new
            held = self._generator.position + 1
        else:
            new, held = _encode(self._tokenizer, rendered, begin=True), 0
        if held + len(new) > self._context:
            said = f"{held} of {self._context} positions are taken" if held else f"it has {self._context} positions"
            raise RequestError(
                f"the message has {len(new)} tokens and does not fit the context, {said}: shorten it, or /clear"
            )
        if not new:
            raise RequestError("the message is empty: write something")
        if not held:
            self._generator.reset()
        return new

    def _measured(self, text: str, prompt: list[int], generation: Generation) -> Answer:
        # Each token is a job; the first one includes the prompt.
        decode = [job.cycles[0] for job in generation.jobs[1:] if job.cycles]
        mean = sum(decode) / len(decode) if decode else None
        return Answer(
            text=text,
            reason=generation.reason,
            prompt_tokens=len(prompt),
            tokens=len(generation.tokens),
            position=self._generator.position,
            cycles_per_token=mean,
            tokens_per_second=self._clock * 1e6 / mean if mean and self._clock else None,
        )


@contextmanager
def conversation(
    model: Model,
    config: AcceleratorConfig,
    *,
    device: str,
    system: str | None = None,
    sampling: Sampling | None = None,
    count: int = 256,
    status: Callable[[str], None] | None = None,
) -> Iterator[tuple[Conversation, VerifiedAccelerator | None]]:
    """A conversation on one of `api.DEVICES`, and on the simulated RTL what compares it with the golden machine.

    Raises
    ------
    ConfigError, FitError, RequestError: bad input. ToolMissing, BuildError, CacheError: no simulator.
    BoardError: no board.
    """
    options: dict[str, Any] = {"system": system, "sampling": sampling, "count": count}
    if device == "float":
        yield Conversation(model, FloatSession(model), context=model.config.context_length, **options), None
        return
    compiled = compile_model(model, config)
    options["context"] = compiled.context
    clock = config.control.clock_mhz
    if device == "golden":
        yield Conversation(model, Session(GoldenAccelerator(), compiled), **options), None
        return
    if device in BOARD_DEVICES:
        with board_accelerator(device, compiled, KernelFiles()) as board:
            yield Conversation(model, Session(board, compiled), clock_mhz=clock, **options), None
        return
    with VerifiedAccelerator(compiled, report=status) as accelerator:
        yield Conversation(model, Session(accelerator, compiled), clock_mhz=clock, **options), accelerator


def _encode(tokenizer: Tokenizer, text: str, *, begin: bool) -> list[int]:
    """Tokens of a text, with exactly one begin token in front if the tokenizer wants one and `begin` is true."""
    prefix, ids = tokenizer.encode(""), tokenizer.encode(text)
    plain = ids[len(prefix) :] if prefix and ids[: len(prefix)] == prefix else ids
    if not begin:
        return plain
    return ids if plain[: len(prefix)] != prefix else plain


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """A question whether Ctrl-C was pressed; pressed again, it is a KeyboardInterrupt."""
    pressed = False

    def press(signum: int, frame: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


def converse(talk: Conversation, message: str, before: Callable[[], None], as_json: bool) -> None:
    """One turn on stdout; what cannot be answered is told, and the conversation goes on.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed a second time.
    """

    def show(text: str) -> None:
        before()
        if not as_json:
            click.echo(text, nl=False)

    if message.strip() == "/clear":
        talk.clear()
        return
    try:
        with stoppable() as stop:
            answer = talk.ask(message, show, stop)
    except (RequestError, ModelError) as error:
        before()
        click.echo(json.dumps({"error": str(error)}) if as_json else f"celosia: {error}", err=not as_json)
        return
    if as_json:
        click.echo(json.dumps(answer.to_json()))
        return
    click.echo()
    if answer.cycles_per_token is not None and answer.tokens_per_second is not None:
        cycles, speed = answer.cycles_per_token, answer.tokens_per_second
        click.echo(f"({answer.tokens} tokens, {cycles:,.0f} cycles/token: {speed:,.1f} tokens/s)", err=True)
    if answer.reason == "context":
        click.echo("(the context is full: /clear starts anew)", err=True)


@contextmanager
def leaving() -> Iterator[None]:
    """Ctrl-C pressed twice is how one leaves, not an error: it ends the line and the conversation."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo()


def messages(prompt: str, before: Callable[[], None]) -> Iterator[str]:
    """Lines of stdin until its end, or until Ctrl-C is pressed twice; `prompt` is shown to a person."""
    interactive, pressed = sys.stdin.isatty(), False
    if interactive:
        with suppress(ImportError):  # editing and history; not every Python has it
            import_module("readline")
    while True:
        try:
            before()
            line = input(prompt if interactive else "")
        except EOFError:
            break
        except KeyboardInterrupt:
            if pressed or not interactive:
                break
            pressed = True
            sys.stderr.write("\n(Ctrl-C again or Ctrl-D leaves, /clear starts anew)\n")
            continue
        pressed = False
        if line.strip():
            yield line
    if interactive:
        click.echo()
