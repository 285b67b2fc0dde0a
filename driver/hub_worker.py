"""Fetches a repository of the Hugging Face hub in a process that can be ended: `hub_worker.py NAME FOLDER PATTERN...`

The library may wait for ever for a hub that says nothing, and words its troubles in many lines: here the last line
printed says why it failed.
"""

import logging
import sys
import warnings


def main() -> None:
    """Fetch; exit with 1 and a line on stderr where that fails."""
    name, folder, *patterns = sys.argv[1:]
    try:
        from huggingface_hub import errors, snapshot_download, utils
    except ImportError:
        sys.exit("huggingface_hub is not installed")
    utils.disable_progress_bars()
    utils.logging.set_verbosity(logging.CRITICAL)
    warnings.filterwarnings("ignore")
    try:
        snapshot_download(name, local_dir=folder, allow_patterns=patterns)
    except errors.RepositoryNotFoundError:
        sys.exit("no such repository, or one that needs a login")
    except Exception as error:  # the library lets errors of its HTTP client through, which changed between releases
        sys.exit((str(error).strip() or type(error).__name__).splitlines()[0])


if __name__ == "__main__":
    main()
