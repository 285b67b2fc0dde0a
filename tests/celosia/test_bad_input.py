"""What a command says when the command line, the disk or the machine is not as it should be: one line, exit code 2."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from celosia.cli import main
from celosia.console import error_text


def refused(*arguments: str) -> str:
    """The one line on stderr of a command that must exit with 2 and print nothing else."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr.rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--bar",), "celosia: No such option '--bar'; see `"),
        (("foo",), "celosia: No such command 'foo'; see `"),
        (("run", "--confg", "x"), "celosia: No such option '--confg'. (Did you mean one of: '--config'"),
        (("run", "-n", "x"), "celosia: Invalid value for '-n': 'x' is not a valid integer; see `"),
        (("run", "--device", "gpu"), "celosia: Invalid value for '--device': 'gpu' is not one of 'rtl', 'golden'"),
        (("pull",), "celosia: Missing argument 'NAME'; see `"),
        (("compile",), "celosia: Missing option '-o' / '--output'; see `"),
    ],
)
def test_command_lines_wrong(arguments: tuple[str, ...], line: str) -> None:
    assert refused(*arguments).startswith(line)


def test_models_that_are_not_there() -> None:
    assert refused("info", "--model", "/nope") == (
        "celosia: /nope: model is missing: no such file or folder; "
        "pulled models are smollm2-135m and owner/name of a Hugging Face repository"
    )


def test_the_system_refuses(tmp_path: Path) -> None:
    assert refused("eval", "--text", str(tmp_path)) == f"celosia: {tmp_path}: is a directory: give a file"
    gone = tmp_path / "gone"
    assert refused("eval", "--text", str(gone)) == f"celosia: {gone}: no such file or directory: check the path"


@pytest.mark.parametrize("command", ["generate", "compile"])
def test_output_that_cannot_be_is_refused_before_the_work(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celosia.generate.accelerator_verilog", None)
    monkeypatch.setattr("celosia.api.compile_model", None)
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "out"):
        expected = f"celosia: {tmp_path / 'file'}: not a directory: a file is in the way; choose another place"
        assert refused(command, "-o", str(place)) == expected


@pytest.mark.parametrize(
    ("arguments", "mine", "message"),
    [
        (("compile",), "program.txt/mine", "program.txt: a folder stands where a file belongs: it is in the way;"),
        (("build", "--board", "kv260"), "address_map.json/mine", "address_map.json: a folder stands where a file be"),
        (("build", "--board", "kv260"), "accelerator", "accelerator: not a directory: a file is in the way; choose"),
    ],
)
def test_what_is_in_the_way_in_the_folder_is_found_before_the_work(
    arguments: tuple[str, ...], mine: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celosia.project.generate", None)
    monkeypatch.setattr("celosia.api.compile_model", None)
    (tmp_path / mine).parent.mkdir(exist_ok=True)
    (tmp_path / mine).write_text("kept")
    assert refused(*arguments, "-o", str(tmp_path)).startswith(f"celosia: {tmp_path}/{message}")


def test_a_full_disk_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    place = tmp_path / "a" / "b"
    expected = f"celosia: {place / 'image.bin'}: no space left on device: free some space, or choose another place"
    assert refused("compile", "-o", str(place)) == expected
    assert list(tmp_path.iterdir()) == []


def test_waves_are_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("celosia.api.compile_model", None)
    assert refused("run", "--waves", str(tmp_path)) == f"celosia: {tmp_path}: is a directory: give a file"


def test_errors_without_a_text() -> None:
    assert error_text(MemoryError()) == "out of memory: choose a smaller model, config or context"
    assert error_text(OSError(errno.ENOSPC, "No space left on device")) == (
        "the output: no space left on device: free some space, or choose another place"
    )


def test_an_interrupt_while_the_command_loads() -> None:
    code = """
import sys
import time

class Interrupted:
    def find_spec(self, name, *_):
        if name == "celosia.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
from celosia.__main__ import main
main()
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "celosia: interrupted\n")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_a_command_in_order(signum: signal.Signals, tmp_path: Path) -> None:
    """During a compilation: one line, the code that shells expect, no compiler left at work, nothing in the cache.

    Whoever started pytest may have had signals ignored, as nohup does, which a command respects: not this one.
    """
    beat, cache = tmp_path / "beat", tmp_path / "cache"
    code = f"""
import signal
import sys
import time
from pathlib import Path
signal.signal(signal.{signum.name}, signal.default_int_handler if {signum == signal.SIGINT} else signal.SIG_DFL)
from celosia.driver import processes
run = processes.run_logged

def slow(command, log, **options):
    if "--getenv" in command:
        return run(command, log, **options)
    return run(["sh", "-c", "(while :; do echo > {beat}; sleep 0.02; done) & wait"], log, **options)

processes.run_logged = slow
from celosia.sim import build
build._verilog = lambda *_, **__: "module top; endmodule"
sys.argv = ["celosia", "run", "-n", "1"]
from celosia.__main__ import main
main()
"""
    environment = os.environ | {"CELOSIA_CACHE": str(cache)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True, env=environment) as process:
        while not beat.exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signum)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    expected = "interrupted" if signum == signal.SIGINT else f"ended by {signum.name}"
    assert (process.returncode, out, err) == (128 + signum, "", f"celosia: {expected}\n")
    # On a busy machine what was killed may have its last beat a little later.
    for _ in range(20):
        beat.unlink(missing_ok=True)
        time.sleep(0.3)
        if not beat.exists():
            break
    assert not beat.exists()
    assert [path.name for path in cache.glob("*/*") if path.suffix == ".partial"] == []
