"""`celosia build`: a board's bitstream with a model in it."""

import json
from pathlib import Path

import click

from . import api
from .boards.board import BOARDS
from .boards.build import build
from .console import progress, table
from .options import json_option, model_option
from .sim.cache import cached_build


@click.command("build")
@click.option("--board", required=True, metavar="NAME", help=f"A board: {', '.join(BOARDS)}.")
@model_option
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Folder to write.")
@json_option
def build_(board: str, model: str | None, output: Path, as_json: bool) -> None:
    """Everything from a model to a board's bitstream: synthesis, place and route, the model in its block RAM.

    The first time takes an hour or so; another model, or the same once more, takes seconds, since the design knows
    none. docs/boards.md says how to load it and how to talk to it.

    Example: celosia build --board ulx3s -o build/ulx3s
    """
    loaded = api.load(model)
    with progress("building") as report:
        built = build(board, loaded, output, cached=cached_build, progress=report)
    if as_json:
        click.echo(json.dumps(built.to_json()))
    else:
        table(f"{built.model} on {board}", {"output": str(output), **built.rows()})
