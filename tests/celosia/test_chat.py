"""Conversations: what is fed once and never again, how they end, and what a person and a script see."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from celosia import api
from celosia.arch.config import load_config
from celosia.arch.model import Model
from celosia.chat import Conversation, conversation, stoppable
from celosia.cli import main
from celosia.driver.compiler import CompiledModel
from celosia.driver.device import Job, JobResult
from celosia.driver.golden_accelerator import GoldenAccelerator
from celosia.driver.requests import RequestError


def chat(lines: str, *options: str) -> Result:
    return CliRunner().invoke(main, ("chat", *options), input=lines)


@pytest.fixture(params=["golden", "float"])
def talk(request: pytest.FixtureRequest) -> Iterator[Conversation]:
    model, config = api.load(), load_config(None)
    model = Model(replace(model.config, chat_template="{{ messages | map(attribute='content') | join('~') }}~"),
                  model.tensors, model.tokenizer)  # fmt: skip
    with conversation(model, config, device=request.param, count=12) as (made, _):
        yield made


def nothing(text: str) -> None:
    """Nobody reads it."""


def test_only_new_tokens_are_fed(talk: Conversation) -> None:
    first = talk.ask("Once", nothing)
    assert (first.prompt_tokens, first.tokens, first.position) == (5, 12, 16)
    second = talk.ask("upon", nothing)
    # "~upon~" and, from before, the token that was sampled last.
    assert (second.prompt_tokens, second.position) == (6, 34)
    talk.clear()
    whole = talk.ask(f"Once~{first.text}~upon", nothing)
    assert whole.text == second.text
    assert whole.prompt_tokens == 5 + 12 + 6


def test_a_template_that_rewrites_what_was_said_is_fed_again() -> None:
    model = api.load()
    template = "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}"
    model = Model(replace(model.config, chat_template=template), model.tensors, model.tokenizer)
    with conversation(model, load_config(None), device="golden", count=4) as (made, _):
        made.ask("ab", nothing)
        assert made.ask("cd", nothing).prompt_tokens == 1 + 2 + 4 + 2


def test_an_answer_that_is_stopped_stays_in_the_conversation(talk: Conversation) -> None:
    seen: list[str] = []
    answer = talk.ask("Once", seen.append, lambda: len(seen) >= 3)
    assert (answer.reason, answer.tokens, answer.text) == ("stop", 3, "".join(seen))
    assert talk.ask("upon", nothing).prompt_tokens == 6


def test_a_full_context(talk: Conversation) -> None:
    with pytest.raises(RequestError, match=r"^the message has 601 tokens and does not fit the context, it has 512 pos"):
        talk.ask("a" * 600, nothing)
    assert talk.ask("a" * 506, nothing).reason == "context"
    with pytest.raises(RequestError, match=r"513 of 512 positions are taken: shorten it, or /clear$"):
        talk.ask("more", nothing)
    talk.clear()
    assert talk.ask("a", nothing).position == 13


def test_lines_in_objects_out() -> None:
    result = chat("Hello\n\n/clear\nHello\n" + "a" * 600 + "\n", "-n", "5", "--json")
    assert result.exit_code == 0, result.output
    first, second, refused = map(json.loads, result.stdout.splitlines())
    assert first == second
    assert (first["tokens"], first["reason"], first["tokens_per_second"]) == (5, "count", None)
    assert "does not fit the context" in refused["error"]
    assert result.stderr == ""


def test_text_for_people_and_what_is_refused_on_stderr() -> None:
    answer = json.loads(chat("Hello\n", "-n", "5", "--json").stdout)["text"]
    result = chat("Hello\n" + "a" * 600 + "\n", "-n", "5")
    assert (result.exit_code, result.stdout) == (0, f"{answer}\n")
    assert result.stderr.startswith("celosia: the message has 602 tokens and does not fit the context, 11 of 512")


def test_a_system_message_comes_first() -> None:
    with_system = json.loads(chat("Hello\n", "-n", "5", "--json", "--system", "Be brief.").stdout)
    assert with_system["prompt_tokens"] == len("Be brief.\nHello\n")


def test_the_second_ctrl_c_during_an_answer_leaves_without_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Conversation, "ask", twice)
    result = chat("Hello\nHello\n")
    assert (result.exit_code, result.output) == (0, "\n")


def test_the_second_ctrl_c_is_an_interrupt() -> None:
    with stoppable() as pressed:
        assert not pressed()
        os.kill(os.getpid(), signal.SIGINT)
        assert pressed()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_the_answer_and_not_the_conversation() -> None:
    command = [sys.executable, "-c", "from celosia.cli import main; main()", "chat", "-n", "100", "--device", "golden"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"Once upon a time\n")
        process.stdin.flush()
        assert process.stdout.read(1)  # the answer has begun
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        out, err = process.communicate(b"The cat\n", timeout=300)
    assert process.returncode == 0, err
    assert err == b""
    first, _, second = out.partition(b"\n")
    assert len(first) < 90
    assert second.strip()


def test_a_model_without_a_tokenizer() -> None:
    model = api.load()
    with pytest.raises(RequestError, match=r"has no tokenizer: a conversation needs one$"):
        conversation(Model(model.config, model.tensors, None), load_config(None), device="golden").__enter__()


def test_tokens_per_second_at_the_clock_of_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clocked(GoldenAccelerator):
        """The golden machine with the RTL's interface: 1,000 cycles for every token, 5,000 for a prompt."""

        comparison = SimpleNamespace(mismatch=None)

        def __init__(self, compiled: CompiledModel, report: object) -> None:
            super().__init__()

        def __enter__(self) -> "Clocked":
            return self

        def __exit__(self, *_: object) -> None: ...

        def run(self, job: Job, on_token: Callable[[int], None] | None = None) -> JobResult:
            return replace(super().run(job, on_token), cycles=(1000 if len(job.tokens) == 1 else 5000,))

    monkeypatch.setattr("celosia.chat.VerifiedAccelerator", Clocked)
    options = ("--config", "kria", "--device", "rtl", "-n", "5")
    answer = json.loads(chat("Hello\n", *options, "--json").stdout)
    assert (answer["cycles_per_token"], answer["tokens_per_second"]) == (1000, 250_000)
    assert chat("Hello\n", *options).stderr == "(5 tokens, 1,000 cycles/token: 250,000.0 tokens/s)\n"
    monkeypatch.setattr(Clocked, "comparison", SimpleNamespace(mismatch="pass 0"))
    differs = chat("Hello\n", *options)
    assert (differs.exit_code, differs.stderr.splitlines()[-1]) == (1, "celosia: RTL and golden differ: pass 0")
