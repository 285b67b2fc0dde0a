"""`celosia build`: a board's bitstream with a model in it, or a project of which Vivado makes one."""

import json
from pathlib import Path

import click

from . import api
from .boards.board import BOARDS
from .boards.build import build
from .boards.projects.project import PROJECTS
from .console import progress, table
from .options import json_option, model_option
from .project import build_project
from .sim.cache import cached_build


@click.command("build")
@click.option("--board", required=True, metavar="NAME", help=f"A board: {', '.join([*BOARDS, *PROJECTS])}.")
@model_option
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Folder to write.")
@json_option
def build_(board: str, model: str | None, output: Path, as_json: bool) -> None:
    """Everything from a model to a board's bitstream: synthesis, place and route, the model in its memory.

    The first time takes an hour or so; another model, or the same once more, takes seconds, since the design knows
    none (on tang-mega-138k a quarter of an hour, for its bitstream). For kv260 and u280 it writes a project: Vivado,
    which you run, makes the bitstream, and `celosia run --device` loads a model. docs/boards.md says how to go on.

    Example: celosia build --board ulx3s -o build/ulx3s
    """
    loaded = api.load(model)
    if board in PROJECTS:
        with progress("generating") as report:
            project = build_project(board, loaded, output, report.status)
        result, rows = project.to_json(), project.to_json()
    else:
        with progress("building") as report:
            built = build(board, loaded, output, cached=cached_build, progress=report)
        result, rows = built.to_json(), built.rows()
    if as_json:
        click.echo(json.dumps(result))
        return
    table(f"{result['model']} on {board}", {"output": str(output), **rows})
    if board in PROJECTS:
        click.echo(f"No bitstream yet: Vivado makes it. {output / 'README.md'} says how.", err=True)
