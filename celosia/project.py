"""`celosia build` for a board whose bitstream Vivado makes: the project, and whether a model fits its memory."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .arch.model import Model
from .boards.projects.project import PROJECTS, SCRIPT_FILE, project_files
from .driver.compiler import AUTO, check_folder, choose_formats, plan, write_folder
from .driver.requests import RequestError
from .generate import design_of, generate
from .hdl.verilog import accelerator_ports

ACCELERATOR = "accelerator"
"""Folder of the generated accelerator in that of the project."""


@dataclass(frozen=True)
class BuiltProject:
    """A project that Vivado has not seen.

    Attributes:
        context: positions of a text of the model; image_bytes, cache_bytes: what it takes of memory_bytes.
        device: how the host reaches the board.
        script: what the user has Vivado run.
        files: written into the folder.
    """

    board: str
    model: str
    config: str
    context: int
    image_bytes: int
    cache_bytes: int
    memory_bytes: int
    clock_mhz: float
    device: str
    script: str
    files: list[str]

    def to_json(self) -> dict[str, Any]:
        """One object."""
        return asdict(self)


def build_project(
    board: str, model: Model, folder: Path, status: Callable[[str], None] = lambda _: None
) -> BuiltProject:
    """Write the accelerator, Vivado's script, address map, instructions and, for a Zynq, a device tree overlay.

    No model is in it: `celosia run --device` loads one. The one given here is checked.

    Raises:
        FitError, RequestError: the model does not fit the board's config or memory.
        OSError: the folder cannot be written; nothing is left behind.
    """
    project = PROJECTS[board]
    config, addresses = project.config, project.address_map
    texts = project_files(project, design_of(config, accelerator_ports(config)))
    check_folder(folder, texts)
    check_folder(folder / ACCELERATOR)
    made = plan(config, model.config, choose_formats(model, config, AUTO, "Q8_0"))
    needed, there = made.memory.total_bytes, addresses.memory_bytes
    if needed > there:
        raise RequestError(
            f"model {model.config.name!r} takes {needed:,} bytes with its cache: {needed - there:,} more than the "
            f"{there:,} of the accelerator on {board}; choose a smaller model or lower cache.pages"
        )
    write_folder(
        folder,
        {
            ACCELERATOR: lambda place: generate(config, place, status=status),
            **{name: partial(Path.write_text, data=text) for name, text in texts.items()},
        },
    )
    return BuiltProject(
        board=board,
        model=model.config.name,
        config=config.name,
        context=made.context,
        image_bytes=made.memory.image_bytes,
        cache_bytes=made.memory.kv_bytes,
        memory_bytes=there,
        clock_mhz=config.control.clock_mhz,
        device=addresses.device,
        script=SCRIPT_FILE,
        files=[ACCELERATOR, *texts],
    )
