"""The entry of the `celosia` command, also as `python -m celosia`: ends in order when told to, also while it loads."""

import signal
import sys

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended."""
SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""What else ends a command in order: exit code 128 and the signal's number, as shells have it."""


class Ended(SystemExit):
    """A signal came; everything unwinds, so that nothing partial is left behind."""


def _end(signum: int, _: object) -> None:
    signal.signal(signum, signal.SIG_IGN)  # once is enough: what cleans up is not to be stopped
    raise Ended(128 + signum)


def main() -> None:
    """Load and run the command."""
    for signum in SIGNALS:
        if signal.getsignal(signum) is signal.SIG_DFL:  # not if the caller, as nohup does, has it ignored
            signal.signal(signum, _end)
    try:
        from .cli import main as command

        command(prog_name="celosia")
    except Ended as end:
        print(f"celosia: ended by {signal.Signals(int(end.code or 0) - 128).name}", file=sys.stderr)
        raise
    except KeyboardInterrupt:
        print("celosia: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
