"""How commands talk to people: one-line errors, progress on stderr, tables."""

import errno
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.status import Status
from rich.table import Table

from .arch.config import ConfigError
from .boards.errors import BoardError, SynthesisError
from .driver.compiler import FitError
from .driver.device import AcceleratorError
from .driver.errors import ModelError
from .driver.requests import RequestError
from .sim.build import BuildError
from .sim.cache import CacheError
from .sim.rtl import SimulationError
from .sim.toolchain import ToolMissing

MISMATCH, BAD_INPUT, INTERRUPTED = 1, 2, 130
PATIENCE_SECONDS = 1.0
"""Work that takes longer shows progress."""
LINE_SECONDS, SAME_SECONDS = 10.0, 60.0
"""Where stderr is no terminal: between two lines, and between two that differ in their numbers only."""
LINE = 60
"""Characters of a bar's text: the bar needs the rest of the line."""

USER_ERRORS = (
    ModelError,
    ConfigError,
    FitError,
    RequestError,
    ToolMissing,
    BuildError,
    CacheError,
    SimulationError,
    SynthesisError,
    BoardError,
    AcceleratorError,
    OSError,
    MemoryError,
)
"""What a user can act on: one line, exit code 2. Anything else is a bug and shows its traceback."""


REMEDIES = {
    errno.ENOSPC: "free some space, or choose another place",
    errno.EDQUOT: "free some space, or choose another place",
    errno.EROFS: "choose another place",
    errno.EACCES: "choose another place, or change its permissions",
    errno.EPERM: "choose another place, or change its permissions",
    errno.ENOENT: "check the path",
    errno.EISDIR: "give a file",
    errno.ENOTDIR: "a file is in the way; choose another place",
    errno.EEXIST: "it is in the way; choose another place",
}
"""What to do about what the system refuses."""


def error_text(error: BaseException) -> str:
    """One line that says what is wrong and what to do."""
    if isinstance(error, OSError) and error.strerror:
        place = os.fspath(error.filename) if error.filename is not None else "the output"
        return f"{place}: {error.strerror.lower()}: {REMEDIES.get(error.errno or 0, 'choose another place')}"
    if isinstance(error, MemoryError):
        return f"out of memory{f' ({error})' if str(error) else ''}: choose a smaller model, config or context"
    return " ".join(str(error).split())


class UsageProblem(click.ClickException):
    """A command line that cannot be understood, in one line."""

    exit_code = BAD_INPUT

    def __init__(self, error: click.UsageError) -> None:
        command = error.ctx.command_path if error.ctx else "celosia"
        super().__init__(f"{' '.join(error.format_message().split()).rstrip('.')}; see `{command} --help`")

    def show(self, file: Any = None) -> None:
        """Print it as all errors are printed."""
        click.echo(f"celosia: {self.message}", file=file, err=True)


class CommandGroup(click.Group):
    """Turns errors that a user can act on into one line on stderr."""

    def make_context(self, *arguments: Any, **extra: Any) -> click.Context:
        """Parse what stands before the command; a bare `celosia` gets its help."""
        try:
            return super().make_context(*arguments, **extra)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise UsageProblem(error) from None

    def invoke(self, context: click.Context) -> Any:
        """Run the command; exit 2 for bad input, 130 for Ctrl-C."""
        try:
            return super().invoke(context)
        except BrokenPipeError:
            raise
        except click.UsageError as error:
            raise UsageProblem(error) from None
        except USER_ERRORS as error:
            click.echo(f"celosia: {error_text(error)}", err=True)
            sys.exit(BAD_INPUT)
        except (KeyboardInterrupt, click.Abort):
            click.echo("celosia: interrupted", err=True)
            sys.exit(INTERRUPTED)


class Reporter:
    """Progress of one piece of work: silent for the first second, a bar on stderr after that.

    Where stderr is no terminal, rich draws nothing: there it is a plain line now and then.
    """

    def __init__(self, label: str) -> None:
        self._label, self._started = label, time.perf_counter()
        self._console = Console(stderr=True)
        self._said, self._kind = self._started, ""
        self._bar: Progress | None = None
        self._spinner: Status | None = None

    def __call__(self, done: int, total: int, text: str | None = None) -> None:
        """`done` of `total` is finished; `text` says what is being done now."""
        if self._plain(f"{text or self._label} ({done} of {total})"):
            return
        if self._bar is None:
            if time.perf_counter() - self._started < PATIENCE_SECONDS:
                return
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=total)
        self._bar.update(self._task, completed=done, total=total, description=(text or self._label)[:LINE])

    def status(self, text: str) -> None:
        """What is being done, where nobody knows how much of it there is: a line that replaces itself."""
        if self._plain(text) or time.perf_counter() - self._started < PATIENCE_SECONDS:
            return
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if self._spinner is None:
            self._spinner = self._console.status(text)
            self._spinner.start()
        self._spinner.update(text)

    def _plain(self, text: str) -> bool:
        """Whether stderr is no terminal; then the text is a line there, if it is time for one."""
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            return False
        now, kind = time.perf_counter(), re.sub(r"\d+", "", text)
        if now - self._said >= (SAME_SECONDS if kind == self._kind else LINE_SECONDS):
            self._said, self._kind = now, kind
            with suppress(OSError):  # a log that cannot be written is no reason to stop the work
                click.echo(text, err=True)
        return True

    def stop(self) -> None:
        """Remove bar and status."""
        for shown in (self._bar, self._spinner):
            if shown is not None:
                shown.stop()
        self._bar = self._spinner = None


@contextmanager
def progress(label: str) -> Iterator[Reporter]:
    """A reporter that is gone when the work is."""
    reporter = Reporter(label)
    try:
        yield reporter
    finally:
        reporter.stop()


def table(title: str, rows: dict[str, Any]) -> None:
    """Names and values on stdout."""
    drawn = Table(title=title, title_justify="left", show_header=False)
    for name, value in rows.items():
        drawn.add_row(name.replace("_", " "), shown(value))
    Console().print(drawn)


def shown(value: object) -> str:
    """A value for people."""
    if isinstance(value, dict):
        return "\n".join(f"{k} {shown(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(shown, value)) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:,.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
