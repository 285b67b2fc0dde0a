"""`celosia synth`: one unit, the tables of a document, or a check against them."""

import json
import sys
from pathlib import Path

import click

from .arch.config import load_config
from .boards.check import grown, read_table
from .boards.families import TARGETS
from .boards.synth import synthesize
from .boards.table import write_tables
from .boards.units import ACCELERATOR
from .console import MISMATCH, progress, table
from .options import config_option, json_option
from .sim.cache import cached_build


@click.command("synth")
@config_option
@click.option("--unit", metavar="NAME", help=f"A unit ({ACCELERATOR} if not given); a wrong name lists all.")
@click.option("--target", default="ecp5", show_default=True, help=f"FPGA family: {', '.join(TARGETS)}.")
@click.option(
    "--table",
    "document",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Instead: renew FILE's tables; with --unit, its row only.",
)
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Instead: compare with FILE's table (exit code 1: a unit grew by more than 5 % LUT or DSP).",
)
@json_option
def synth(
    config: str | None, unit: str | None, target: str, document: Path | None, check: Path | None, as_json: bool
) -> None:
    """Area of a unit on an FPGA and, where nextpnr places it, its fmax, critical path and what shortens that.

    Example: celosia synth --config ecp5 --unit engine --target ecp5
    """
    chosen = load_config(config)
    with progress("synthesizing") as report:
        if document is not None:
            write_tables(document, cached=cached_build, progress=report, unit=unit)
            return
        if check is not None:
            found = grown(read_table(check, unit), cached=cached_build, progress=report)
        else:
            result = synthesize(chosen, unit or ACCELERATOR, target, cached=cached_build, progress=report)
    if check is None:
        if as_json:
            click.echo(json.dumps(result.to_json()))
        else:
            table(f"{result.unit} on {result.device}", result.rows())
        return
    for growth in found:
        click.echo(f"celosia: {growth}", err=True)
    if found:
        sys.exit(MISMATCH)
