"""`celosia matmul`: a matrix product of two NumPy files."""

import json
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np

from .arch.config import load_config
from .arch.model import BLOCK_FORMATS
from .console import MISMATCH, progress, table
from .driver.requests import RequestError
from .matmul import DEVICES
from .matmul import matmul as multiply
from .options import config_option, json_option
from .sim.dram import load_dram


@click.command("matmul")
@click.argument("rows", type=click.Path(path_type=Path))
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="NumPy file to write.")
@config_option
@click.option("--format", "weight_format", type=click.Choice(BLOCK_FORMATS), default="Q8_0", show_default=True)
@click.option("--device", type=click.Choice(DEVICES), default="rtl", show_default=True)
@click.option("--dram", metavar="D", help="The RTL's memory: ideal, ddr4, hbm, or a TOML file (docs/dram.md).")
@json_option
def matmul(
    rows: Path,
    weights: Path,
    output: Path,
    config: str | None,
    weight_format: str,
    device: str,
    dram: str | None,
    as_json: bool,
) -> None:
    """Multiply ROWS [M, K] by the transpose of WEIGHTS [N, K], both .npy, on a device; the result is [M, N].

    On the RTL everything is compared with the golden machine (exit code 1: they differ).

    Example: celosia matmul hidden.npy weights.npy -o result.npy
    """
    if dram is not None and device != "rtl":
        raise RequestError(f"device is {device!r}: only rtl has a dram")
    if not output.absolute().parent.is_dir():
        raise RequestError(f"output: there is no folder {str(output.parent)!r}: make it first")
    chosen = load_config(config)
    left, right = _read(rows), _read(weights)
    with progress("multiplying") as report:
        found = multiply(
            left,
            right,
            chosen,
            weight_format=weight_format,
            device=device,
            memory=None if dram is None else load_dram(dram),
            status=report.status,
        )
    with output.open("wb") as file:
        np.save(file, found.result)
    shown: dict[str, Any] = {k: v for k, v in vars(found).items() if k not in ("result", "mismatch")}
    shown["shape"] = list(found.shape)
    if as_json:
        click.echo(json.dumps(shown))
    else:
        table(str(output), shown)
    if found.saturated:
        click.echo("celosia: warning: a number left the range of float32 and was saturated", err=True)
    if found.bit_exact is False:
        click.echo(f"celosia: RTL and golden differ: {found.mismatch}", err=True)
        sys.exit(MISMATCH)


def _read(file: Path) -> np.ndarray:
    """The array of a .npy file.

    Raises:
        OSError: no such file. RequestError: something else is in it.
    """
    try:
        with file.open("rb") as opened:
            array: np.ndarray = np.lib.format.read_array(opened, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise RequestError(f"{file}: not a NumPy .npy file of numbers ({error}); write one with numpy.save") from None
    return array
