"""A waveform's way from the simulator's pipe to a file: whole or not there."""

import gzip
import os
from pathlib import Path

import pytest

from celosia.waves import wave_file

DATA = bytes(range(256)) * 4096  # more than a pipe holds


def write(pipe: Path) -> None:
    with pipe.open("wb") as stream:
        stream.write(DATA)


def test_a_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "a.vcd"
    file.write_text("an older one")
    with wave_file(file) as pipe:
        assert pipe is not None
        write(pipe)
        assert file.read_text() == "an older one"
    assert file.read_bytes() == DATA
    other = tmp_path / "other"
    other.touch()
    assert file.stat().st_mode == other.stat().st_mode
    other.unlink()
    assert list(tmp_path.iterdir()) == [file]


def test_compressed_by_name(tmp_path: Path) -> None:
    file = tmp_path / "a.vcd.gz"
    with wave_file(file) as pipe:
        assert pipe is not None
        write(pipe)
    assert file.stat().st_size < len(DATA) // 4
    assert gzip.decompress(file.read_bytes()) == DATA


def test_no_waves() -> None:
    with wave_file(None) as pipe:
        assert pipe is None


def stopped_by(error: BaseException, file: Path) -> None:
    """Write half a waveform, then stop; the simulation has not closed its side."""
    with wave_file(file) as pipe:
        assert pipe is not None
        os.write(os.open(pipe, os.O_WRONLY), b"half")
        raise error


def test_a_full_disk_ends_nobody_and_is_told() -> None:
    reached = []

    def simulate() -> None:
        with wave_file(Path("/dev/full")) as pipe:
            assert pipe is not None
            write(pipe)
            reached.append(True)

    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        simulate()
    assert reached


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        stopped_by(KeyboardInterrupt(), tmp_path / "a.vcd")
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_simulation_keeps_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a hang"):
        stopped_by(RuntimeError("a hang"), tmp_path / "a.vcd")
    assert (tmp_path / "a.vcd").read_bytes() == b"half"


def test_a_folder_that_is_missing_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone/a\.vcd"):
        stopped_by(RuntimeError(), tmp_path / "gone" / "a.vcd")
