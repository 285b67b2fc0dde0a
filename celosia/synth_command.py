"""`celosia synth`: one unit, the tables of a document, or a check against them."""

import json
import sys
from pathlib import Path

import click

from .arch.config import load_config
from .boards.check import changed, read_tables
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
@click.option("--target", metavar="T", help=f"FPGA family (ecp5 if not given): {', '.join(TARGETS)}.")
@click.option(
    "--table",
    "document",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Instead: renew FILE's tables; with --unit, its rows only.",
)
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Instead: compare with FILE's tables (exit code 1: a unit changed by more than 5 % LUT or DSP).",
)
@json_option
def synth(
    config: str | None,
    unit: str | None,
    target: str | None,
    document: Path | None,
    check: Path | None,
    as_json: bool,
) -> None:
    """Area of a unit on an FPGA and, where nextpnr places it, its fmax, critical path and what shortens that.

    Example: celosia synth --config ecp5 --unit engine --target ecp5
    """
    if document is not None:
        _refuse("--table", {"--check": check, "--config": config, "--target": target, "--json": as_json or None})
        with progress("synthesizing") as report:
            write_tables(document, cached=cached_build, progress=report, unit=unit)
    elif check is not None:
        _refuse("--check", {"--config": config, "--target": target})
        _check(check, unit, as_json)
    else:
        chosen = load_config(config)
        with progress("synthesizing") as report:
            result = synthesize(chosen, unit or ACCELERATOR, target or "ecp5", cached=cached_build, progress=report)
        if as_json:
            click.echo(json.dumps(result.to_json()))
        else:
            table(f"{result.unit} on {result.device}", result.rows())


def _refuse(option: str, others: dict[str, object]) -> None:
    """Options that would be ignored beside one that decides all of it."""
    given = [name for name, value in others.items() if value is not None]
    if given:
        raise click.UsageError(f"{option} does not go with {' and '.join(given)}", click.get_current_context())


def _check(document: Path, unit: str | None, as_json: bool) -> None:
    """Compare with the tables of a document: what changed on stderr and exit code 1, or that nothing did."""
    rows = read_tables(document, unit)
    with progress("synthesizing") as report:
        found = changed(rows, cached=cached_build, progress=report)
    if as_json:
        click.echo(json.dumps({"rows": len(rows), "changed": [change.to_json() for change in found]}))
    elif not found:
        click.echo(f"{document}: {len(rows)} row{'s' * (len(rows) > 1)} checked, all within 5 % of LUTs and DSPs")
    for change in found:
        click.echo(f"celosia: {change}", err=True)
    if found:
        sys.exit(MISMATCH)
