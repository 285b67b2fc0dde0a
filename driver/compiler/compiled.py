"""The result of compilation: everything that a device needs, and names for people."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...arch.config import AcceleratorConfig
from ...arch.isa import INSTRUCTION_BYTES, Geometry, Instruction
from ...arch.model import ModelConfig
from .memory import MemoryMap, Placement, Region
from .program import Operand
from .weights import FormatPlan

MANIFEST_VERSION = 2
IMAGE_FILE, LISTING_FILE, MANIFEST_FILE = COMPILED_FILES = "image.bin", "program.txt", "manifest.json"


@dataclass(frozen=True)
class Note:
    """Names of one instruction's tensors.

    Attributes:
        reads, writes: on-chip tensors.
        memory: SPM, AM or PM if `writes` is a tensor there, else "".
        width: elements of a row of what it writes, 0 if nothing.
        operand: what it streams or gathers, "" if nothing.
    """

    reads: tuple[str, ...]
    writes: str
    memory: str
    width: int
    operand: str


@dataclass(frozen=True, eq=False)
class CompiledProgram:
    """What an accelerator runs.

    Attributes:
        config: what it was compiled for.
        context: positions that a sequence may have.
        memory: memory map; offsets are relative to the start of the image.
        program: instructions, also at the start of the image.
        notes: names, one per instruction.
        image: uint8 [memory.image_bytes].
    """

    config: AcceleratorConfig
    context: int
    memory: MemoryMap
    program: tuple[Instruction, ...]
    notes: tuple[Note, ...]
    image: np.ndarray

    @property
    def program_bytes(self) -> int:
        """Bytes of the program."""
        return len(self.program) * INSTRUCTION_BYTES


@dataclass(frozen=True, eq=False)
class CompiledModel(CompiledProgram):
    """A model on a config.

    Attributes:
        model, formats: what was compiled.
        geometry: geometry field of the attention instructions.
        seconds: time that compilation took.
    """

    model: ModelConfig
    formats: FormatPlan
    geometry: Geometry
    seconds: float = 0.0

    @property
    def streamed_bytes(self) -> int:
        """Bytes of weights, gains and tables that one decode step streams from the image, padding included."""
        return self.memory.streamed_bytes

    def listing(self) -> str:
        """The program for people: operands by name and address, shapes, bytes."""
        from .listing import listing

        return listing(self)

    def manifest(self) -> dict[str, Any]:
        """Everything but the image, as plain JSON data; the inverse of `from_manifest`."""
        memory = self.memory
        return {
            "version": MANIFEST_VERSION,
            "config": self.config.to_dict(),
            "model": asdict(self.model),
            "formats": {
                "embedding": self.formats.embedding,
                "output": self.formats.output,
                "linears": {name: list(formats) for name, formats in self.formats.linears.items()},
            },
            "geometry": asdict(self.geometry),
            "context": self.context,
            "memory": {
                "regions": [asdict(r) for r in memory.regions],
                "operands": [asdict(p) for p in memory.placements.values()],
                "image_bytes": memory.image_bytes,
                "kv_offset": memory.kv_offset,
                "kv_bytes": memory.kv_bytes,
                "total_bytes": memory.total_bytes,
            },
            "program": [instruction.encode().hex() for instruction in self.program],
            "notes": [asdict(note) for note in self.notes],
            "image_sha256": hashlib.sha256(self.image.data).hexdigest(),
        }

    def save(self, folder: Path | str) -> None:
        """Write image, listing and manifest into a folder: all of them or, where that fails, none.

        Raises:
            OSError: disk full, no permission, a file in the way; nothing is left behind.
        """
        files: dict[str, Callable[[Path], object]] = {
            IMAGE_FILE: lambda path: path.write_bytes(self.image.data),
            LISTING_FILE: lambda path: path.write_text(self.listing()),
            MANIFEST_FILE: lambda path: path.write_text(json.dumps(self.manifest(), indent=1) + "\n"),
        }
        write_folder(Path(folder), files)

    @classmethod
    def load(cls, folder: Path | str) -> "CompiledModel":
        """Read what `save` wrote.

        Raises:
            OSError: a file is missing or unreadable.
            ValueError: the folder holds something else, or the image is not the one of the manifest.
        """
        folder = Path(folder)
        try:
            data = json.loads((folder / MANIFEST_FILE).read_text())
            if data["version"] != MANIFEST_VERSION:
                raise ValueError(f"version {data['version']!r}, this is version {MANIFEST_VERSION}")
            compiled = cls._from_manifest(data)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{folder / MANIFEST_FILE}: not a manifest of a compiled model ({error}); compile again"
            ) from None
        image = np.fromfile(folder / IMAGE_FILE, np.uint8)
        if hashlib.sha256(image.data).hexdigest() != data["image_sha256"]:
            raise ValueError(f"{folder / IMAGE_FILE}: not the image that the manifest describes; compile again")
        return replace(compiled, image=image)

    @classmethod
    def _from_manifest(cls, data: dict[str, Any]) -> "CompiledModel":
        memory, formats = data["memory"], data["formats"]
        model: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data["model"].items()}
        placements = [
            Placement(**{**p, "operand": Operand(**{**p["operand"], "layers": tuple(p["operand"]["layers"])})})
            for p in memory["operands"]
        ]
        return cls(
            config=AcceleratorConfig.from_dict(data["config"]),
            model=ModelConfig(**model),
            formats=FormatPlan(
                formats["embedding"], formats["output"], {k: tuple(v) for k, v in formats["linears"].items()}
            ),
            geometry=Geometry(**data["geometry"]),
            context=data["context"],
            memory=MemoryMap(
                regions=tuple(Region(**r) for r in memory["regions"]),
                placements={p.operand.name: p for p in placements},
                image_bytes=memory["image_bytes"],
                kv_offset=memory["kv_offset"],
                kv_bytes=memory["kv_bytes"],
            ),
            program=tuple(Instruction.decode(bytes.fromhex(word)) for word in data["program"]),
            notes=tuple(Note(**{**note, "reads": tuple(note["reads"])}) for note in data["notes"]),
            image=np.zeros(0, np.uint8),
        )


def check_folder(folder: Path, files: Iterable[str] = ()) -> None:
    """Refuse what `write_folder` would refuse, before the work that makes the files.

    Args:
        files: names of those that will be written into the folder itself, as far as they are known.

    Raises:
        OSError: a file or a folder is in the way, or the folder cannot be written.
    """
    # A link that leads nowhere does not exist, and yet no folder can be made there.
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))
    if not existing.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(existing))
    if not os.access(existing, os.W_OK | os.X_OK):
        # A folder may be refused for its own sake or for its file system's; the latter is what root can meet.
        code = errno.EROFS if os.statvfs(existing).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(code, os.strerror(code), str(existing))
    for place in (folder / name for name in files):
        if place.is_dir():
            raise OSError(errno.EEXIST, "a folder stands where a file belongs", str(place))


def write_folder(folder: Path, files: dict[str, Callable[[Path], object]]) -> None:
    """Write files and folders of files into a folder, each by its function; nothing else in it is touched.

    Files of the folder change only once all are written, in a folder within it: it may be a mount point, and files do
    not move from one file system to another.

    Raises:
        OSError: from any of the functions, or something is in a file's way; what was written for this call is removed.
    """
    new = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _errors_name(folder):
            made = tempfile.TemporaryDirectory(prefix=".celosia.", dir=folder, ignore_cleanup_errors=True)
        with made:
            staging = Path(made.name)
            for name, write in files.items():
                with _errors_name(folder / name):
                    write(staging / name)
            written = [path for path in sorted(staging.rglob("*")) if path.is_file()]
            places = [folder / path.relative_to(staging) for path in written]
            for place in places:
                check_folder(place.parent, [place.name])
            for path, place in zip(written, places, strict=True):
                with _errors_name(place):
                    place.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(place)
    except BaseException:
        if new:
            shutil.rmtree(new[-1], ignore_errors=True)
        raise


@contextmanager
def _errors_name(place: Path) -> Iterator[None]:
    """Errors of the system name what the user asked for: a write that fails, unlike an open, names nothing, and what
    moves comes from a folder that the user has never heard of."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(place)) from None
