"""Renders one chat template in a process of its own: a template comes from a stranger, and may loop or grow for ever.

Run as a file, with a JSON object on stdin: template, messages, bos_token, eos_token. It prints a JSON object with
either `text` or `error`. Needs jinja2 alone.
"""

import json
import resource
import sys
from typing import Any

import jinja2
import jinja2.sandbox

CPU_SECONDS = 5
MEMORY_BYTES = 512 << 20
LARGEST_TEXT = 1 << 20


class TemplateProblem(jinja2.TemplateError):
    """What a template says itself, or a text that grows too long."""


def main() -> None:
    """Render what stdin says."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    request = json.load(sys.stdin)
    try:
        answer = {"text": _render(**request)}
    except (jinja2.TemplateError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        answer = {"error": str(error) or type(error).__name__}
    except MemoryError:
        answer = {"error": f"it needs more than {MEMORY_BYTES >> 20} MB"}
    json.dump(answer, sys.stdout)


def _render(template: str, messages: list[dict[str, str]], bos_token: str, eos_token: str) -> str:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _json
    environment.globals["raise_exception"] = _refuse
    compiled = environment.from_string(template)
    parts, length = [], 0
    for part in compiled.generate(
        messages=messages, bos_token=bos_token, eos_token=eos_token, add_generation_prompt=True
    ):
        length += len(part)
        if length > LARGEST_TEXT:
            raise TemplateProblem(f"its text is longer than {LARGEST_TEXT} characters")
        parts.append(part)
    return "".join(parts)


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: object) -> None:
    raise TemplateProblem(str(message))


if __name__ == "__main__":
    main()
