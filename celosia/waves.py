"""Waveforms that are whole or not there."""

import errno
import os
import select
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CHUNK = 1 << 20
_POLL_SECONDS = 0.05


@contextmanager
def wave_file(path: Path | None) -> Iterator[Path | None]:
    """A path for the simulator to write a waveform to, which ends up at `path`.

    The simulator ends the whole process when a write fails, so it writes into a pipe, and a thread copies that to a
    file beside `path`, which gets its name at the end. It is removed when the disk is full or the work is
    interrupted, and kept when the simulation stops with an error: that is when people look at waves.

    Raises:
        OSError: the file cannot be written.
    """
    if path is None:
        yield None
        return
    target, temporary = _open(path)
    reading, writing = os.pipe()
    copy = _Copy(reading, target)
    copy.start()
    keep = True
    try:
        yield Path(f"/dev/fd/{writing}")
    except (KeyboardInterrupt, SystemExit):
        keep = False
        raise
    finally:
        os.close(writing)
        copy.finish()
        os.close(target)
        if temporary is not None and keep and copy.error is None:
            temporary.replace(path)
        elif temporary is not None:
            temporary.unlink()
    if copy.error is not None:
        raise OSError(copy.error.errno, copy.error.strerror, str(path))


def _open(path: Path) -> tuple[int, Path | None]:
    """Descriptor to write to, and the file's name until it is whole: None for a device or a pipe."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        return os.open(path, os.O_WRONLY), None
    try:
        target, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    mask = os.umask(0)
    os.umask(mask)
    Path(name).chmod(0o666 & ~mask)  # as any other file; a temporary one is its owner's alone
    return target, Path(name)


class _Copy(threading.Thread):
    """Copies a pipe to a file; after an error it only drains the pipe, so that the writer goes on."""

    def __init__(self, reading: int, target: int) -> None:
        super().__init__(daemon=True)
        self._reading, self._target = reading, target
        self._over = threading.Event()
        self.error: OSError | None = None

    def run(self) -> None:
        """Copy until the pipe ends, or is empty after `finish`: a simulation that failed may still hold its side."""
        while True:
            if not select.select([self._reading], [], [], _POLL_SECONDS)[0]:
                if self._over.is_set():
                    break
                continue
            data = os.read(self._reading, _CHUNK)
            if not data:
                break
            self._write(data)
        os.close(self._reading)

    def _write(self, data: bytes) -> None:
        while data and self.error is None:
            try:
                data = data[os.write(self._target, data) :]
            except OSError as error:
                self.error = error

    def finish(self) -> None:
        """Everything that was written into the pipe is in the file."""
        self._over.set()
        self.join()
