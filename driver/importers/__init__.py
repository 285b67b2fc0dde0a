"""Model files in, one model description out: GGUF files, Hugging Face folders, llama2.c checkpoints."""

import os
from pathlib import Path

from ...arch.model import Model
from ..errors import ModelError
from ..pull import CATALOG, cached, can_pull
from . import from_gguf, from_huggingface, from_llama2c
from .gguf_container import MAGIC
from .weights import quantize

__all__ = ["load_model", "quantize"]

_PICKLE_MAGICS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def load_model(path_or_name: str | os.PathLike[str]) -> Model:
    """Read a model.

    Parameters
    ----------
    path_or_name : path
        A `.gguf` file (told by its first bytes), a Hugging Face folder, a llama2.c `.bin` checkpoint, a folder with
        one `.gguf` file, or a name that `pull` has fetched.

    Raises
    ------
    ModelError
        Nothing is there, or it cannot be used; one line that names file, field, value and what would be right.
    """
    path = Path(path_or_name)
    try:
        if not path.exists():
            path = _pulled(os.fspath(path_or_name))
        if path.is_dir():
            return _load_folder(path)
        return _load_file(path)
    except (OSError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(path, "file", str(error), "it must be a readable model file") from None


def _pulled(name: str) -> Path:
    found = cached(name)
    if found is None:
        known = f"pulled models are {', '.join(CATALOG)} and owner/name of a Hugging Face repository"
        fix = f"run `celosia pull {name}` first" if can_pull(name) else f"no such file or folder; {known}"
        raise ModelError(name, "model", None, fix)
    return found


def _load_folder(folder: Path) -> Model:
    ggufs = sorted(folder.glob("*.gguf"))
    if not (folder / "config.json").is_file() and len(ggufs) == 1:
        return from_gguf.load(ggufs[0])
    return from_huggingface.load(folder)


def _load_file(file: Path) -> Model:
    with file.open("rb") as stream:
        head = stream.read(len(MAGIC))
    if len(head) < len(MAGIC):  # mapping an empty file fails, too
        raise ModelError(file, "size", file.stat().st_size, "it is too short to be a model")
    if head == MAGIC or file.suffix == ".gguf":
        return from_gguf.load(file)
    if file.name == "config.json" or file.suffix == ".safetensors":
        return from_huggingface.load(file.parent)
    if head.startswith(_PICKLE_MAGICS):
        raise ModelError(file, "contents", head, "pickle files can run code and are not read; convert to safetensors")
    if file.suffix != ".bin" and not from_llama2c.recognised(head):
        raise ModelError(
            file, "contents", head, f"a GGUF file begins with {MAGIC!r}, a llama2.c checkpoint has the ending .bin"
        )
    return from_llama2c.load(file)
