"""The entry of the `celosia` command, also as `python -m celosia`: quiet if interrupted while it loads."""

import sys

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended."""


def main() -> None:
    """Load and run the command."""
    try:
        from .cli import main as command
    except KeyboardInterrupt:
        print("celosia: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    command(prog_name="celosia")


if __name__ == "__main__":
    main()
