"""A cache for what takes no time, that a test can look into."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from celosia.boards.placement import Cached


def cached_in(root: Path) -> Cached:
    """One that keeps the folder of each key in `root`."""

    def cached(kind: str, key: str, fill: Callable[[Path], None]) -> Path:
        folder = root / key
        if not folder.exists():
            folder.mkdir()
            fill(folder)
        return folder

    return cached
