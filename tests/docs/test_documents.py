"""Documents do not rot: links lead somewhere, files that are named exist, and commands are commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from celosia.cli import main

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)(?:#[^)]*)?\)")
FOLDERS = "arch|golden|hdl|driver|sim|boards|models|celosia|tests|docs|examples"
NAMED = re.compile(rf"(?<![\w./-])((?:{FOLDERS})/[\w./-]*[\w/])(?![\w*<{{])")


def _ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _commands(text: str) -> list[str]:
    """Lines of fenced blocks and inline code that start with `celosia `, without comments."""
    blocks = [line for block in FENCE.findall(text) for line in block.splitlines()]
    inline = re.findall(r"`(celosia [a-z][^`]*)`", FENCE.sub("", text))
    return [line.split(" #")[0].strip() for line in [*blocks, *inline] if re.match(r"celosia [a-z]", line)]


def parses(command: str) -> bool:
    """Whether click accepts options and values, without running it; of a synopsis (`[...]`) only the options."""
    words = shlex.split(command)[1:]
    found = main.commands.get(words[0])
    if found is None:
        return False
    if len(words) == 1 or "[" in command:
        return set(re.findall(r"--[a-z-]+", command)) <= {o for p in found.params for o in p.opts} | {"--help"}
    try:
        found.make_context(words[0], words[1:])
    except click.UsageError:
        return False
    return True


@pytest.mark.parametrize("path", DOCUMENTS, ids=_ids)
def test_links_lead_somewhere(path: Path) -> None:
    assert [link for link in LINK.findall(path.read_text()) if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=_ids)
def test_files_that_are_named_exist(path: Path) -> None:
    named = {
        name for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", path.read_text())) for name in NAMED.findall(code)
    }
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=_ids)
def test_commands_parse(path: Path) -> None:
    assert [command for command in _commands(path.read_text()) if not parses(command)] == []


def test_every_command_is_shown() -> None:
    shown = {shlex.split(command)[1] for path in DOCUMENTS for command in _commands(path.read_text())}
    assert set(main.commands) - shown == {"demo"}, "README starts with make demo instead"


def test_every_page_is_linked() -> None:
    """A page that no other document leads to is not found."""
    linked = {(p.parent / link).resolve() for p in DOCUMENTS for link in LINK.findall(p.read_text())}
    assert [page.name for page in DOCUMENTS[3:] if page.resolve() not in linked] == []


@pytest.mark.parametrize(
    ("command", "good"),
    [
        ("celosia run -n 4 --json", True),
        ("celosia run --nonsense", False),
        ("celosia run -n four", False),
        ("celosia frobnicate", False),
        ("celosia compile [--model M] -o DIR", True),
        ("celosia compile [--modell M] -o DIR", False),
        ("celosia generate --config kria", False),
    ],
)
def test_parser_tells_good_from_bad(command: str, good: bool) -> None:
    assert parses(command) is good
