"""Options that several commands have."""

from collections.abc import Callable
from typing import Any

import click

from .sim.bench import PROMPT

Command = Callable[..., Any]


def model_option(command: Command) -> Command:
    text = "GGUF file, Hugging Face folder, llama2.c checkpoint, or a pulled name; default: the embedded model."
    return click.option("--model", "model", metavar="M", help=text)(command)


def config_option(command: Command) -> Command:
    text = "Preset, or a TOML file; default: the preset 'default'."
    return click.option("--config", "config", metavar="C", help=text)(command)


def json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def prompts_option(command: Command) -> Command:
    text = "Tokens of a prompt to run; may be given several times."
    return _lengths("--prompt", "prompts", text, default=(PROMPT,), show_default=True)(command)


def decodes_option(command: Command) -> Command:
    text = "Also decode N tokens one after the other, at positions 1 to N; may be given several times."
    return _lengths("--decode", "decodes", text)(command)


def _lengths(name: str, parameter: str, text: str, **more: Any) -> Callable[[Command], Command]:
    return click.option(name, parameter, type=click.IntRange(min=1), multiple=True, metavar="N", help=text, **more)


class TokenList(click.ParamType):
    """Token ids separated by spaces or commas."""

    name = "ids"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """The ids as integers."""
        try:
            return [int(part) for part in value.replace(",", " ").split()]
        except ValueError:
            self.fail(f"{value!r} are not token ids: integers separated by spaces, like '1 2 3'", param, ctx)
