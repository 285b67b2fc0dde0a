"""Waveforms that are whole or not there."""

import errno
import gzip
import os
import select
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_CHUNK = 1 << 20
_POLL_SECONDS = 0.05
_COMPRESSION = 1  # a VCD shrinks to a quarter at once; more effort would hold up the simulation


@contextmanager
def wave_file(path: Path | None) -> Iterator[Path | None]:
    """A path for the simulator to write a waveform to, which ends up at `path`, compressed if that ends in .gz.

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
    copy = _Copy(reading, target, compress=path.suffix == ".gz")
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
    """Copies a pipe to a file and closes both; after an error it only drains the pipe, so that the writer goes on."""

    def __init__(self, reading: int, target: int, *, compress: bool) -> None:
        super().__init__(daemon=True)
        file = os.fdopen(target, "wb")
        self._reading = reading
        self._layers: list[IO[bytes] | gzip.GzipFile] = [file]
        if compress:
            self._layers.append(gzip.GzipFile("", "wb", _COMPRESSION, file))
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
        for layer in reversed(self._layers):
            self._try(layer.close)

    def _write(self, data: bytes) -> None:
        if self.error is None:
            self._try(lambda: self._layers[-1].write(data))

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError as error:
            self.error = self.error or error

    def finish(self) -> None:
        """Everything that was written into the pipe is in the file."""
        self._over.set()
        self.join()
