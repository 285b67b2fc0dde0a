"""llama2.c checkpoints: the legacy float file, and versions 1 (float32) and 2 (int8 groups) behind the ak42 magic.

All integers and floats are little endian. Rotary pairs are neighbours, the base is 10000, the norm's epsilon 1e-5.
Version 2 scales groups of any size by float32, which no block format holds: it is widened to float32.
"""

import struct
from pathlib import Path

import numpy as np

from ...arch.model import (
    HEAD_SIZES,
    MAX_WIDTH,
    Model,
    ModelConfig,
    Tokenizer,
    WeightTensor,
    expected_shapes,
    rope_frequencies,
)
from ..errors import ModelError
from ..tokenizer import ByteTokenizer, load_llama2c_tokenizer
from .fields import configure
from .weights import clean_floats

MAGIC = 0x616B3432
_THETA = 10000.0
_HEADER = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "context_length")
_HEADER_BYTES = 256  # of versions 1 and 2, zero padded
_LINEARS = ("wq", "wk", "wv", "wo", "w_gate", "w_down", "w_up")  # llama2.c: wq wk wv wo w1 w2 w3
_BYTE_VOCABULARY = range(256, 260)  # bytes and up to three control tokens


def recognised(head: bytes) -> bool:
    """Whether a file that begins with these four bytes may be a checkpoint: the magic, or a possible `dim`."""
    first: int = struct.unpack("<I", head)[0]
    return first == MAGIC or 1 <= first <= MAX_WIDTH


def load(file: Path) -> Model:
    """Read one checkpoint, with `tok{vocab_size}.bin` or `tokenizer.bin` beside it if there is one.

    Raises
    ------
    ModelError
        A header value out of range, or a size that is not what the header says.
    """
    data = file.read_bytes()
    if len(data) < 4 * len(_HEADER):
        raise ModelError(
            file, "size", len(data), f"a llama2.c checkpoint begins with {4 * len(_HEADER)} bytes of header"
        )
    versioned = struct.unpack_from("<I", data)[0] == MAGIC
    tensors, config = _load_versioned(file, data) if versioned else _load_legacy(file, data)
    return Model(config, tensors, _tokenizer(file, config))


def _config(file: Path, header: tuple[int, ...], tied: bool) -> ModelConfig:
    values = dict(zip(_HEADER, header, strict=True))
    head_dim = values["dim"] // values["n_heads"] if values["n_heads"] > 0 else 0
    if values["n_heads"] > 0 and values["dim"] % values["n_heads"]:
        raise ModelError(file, "n_heads", values["n_heads"], f"it must divide dim, {values['dim']}")
    return configure(
        file,
        name=file.stem,
        head_dim=head_dim,
        rope_pairing="neighbour",
        rope_theta=_THETA,
        rope_frequencies=rope_frequencies(min(head_dim, HEAD_SIZES[1]), _THETA),
        tied_embeddings=tied,
        bos_id=1 if values["vocab_size"] > 2 else None,
        eos_ids=(1, 2) if values["vocab_size"] > 2 else (),  # llama2.c ends a text at its begin token
        **values,
    )


def _names(config: ModelConfig, kind: str) -> list[str]:
    return [f"layers.{i}.{kind}" for i in range(config.n_layers)]


def _load_legacy(file: Path, data: bytes) -> tuple[dict[str, WeightTensor], ModelConfig]:
    header = struct.unpack_from("<7i", data)
    config = _config(file, (*header[:5], abs(header[5]), header[6]), tied=header[5] > 0)
    order = ["embedding", *_names(config, "attention_norm")]
    order += [name for kind in _LINEARS[:4] for name in _names(config, kind)] + _names(config, "ffn_norm")
    order += [name for kind in _LINEARS[4:] for name in _names(config, kind)] + ["final_norm"]
    shapes = expected_shapes(config)
    tables = config.context_length * config.head_dim  # cosines and sines of every position: ours come from theta
    count = sum(int(np.prod(shape)) for shape in shapes.values()) + tables
    _check_size(file, data, 4 * len(_HEADER) + 4 * count)
    floats = np.frombuffer(data, "<f4", offset=4 * len(_HEADER)).astype(np.float32, copy=False)
    tensors, at = {}, 0
    for name in order + ([] if config.tied_embeddings else ["output"]):
        if name == "output":
            at += tables
        tensors[name] = _take(file, name, shapes[name], floats, at)
        at += int(np.prod(shapes[name]))
    return tensors, config


def _load_versioned(file: Path, data: bytes) -> tuple[dict[str, WeightTensor], ModelConfig]:
    if len(data) < _HEADER_BYTES:
        raise ModelError(file, "size", len(data), f"the header alone takes {_HEADER_BYTES} bytes")
    version, *header, shared, group = struct.unpack_from("<i7iBi", data, 4)
    if version not in (1, 2):
        raise ModelError(file, "version", version, "llama2.c versions 1 and 2 are supported")
    if shared not in (0, 1):
        raise ModelError(file, "shared classifier", shared, "it must be 0 or 1")
    config = _config(file, tuple(header), tied=bool(shared))
    norms = [*_names(config, "attention_norm"), *_names(config, "ffn_norm"), "final_norm"]
    matrices = ["embedding", *(name for kind in _LINEARS for name in _names(config, kind))]
    matrices += [] if shared else ["output"]
    shapes = expected_shapes(config)
    sizes = {name: int(np.prod(shapes[name])) for name in norms + matrices}
    if version == 2:
        return _load_groups(file, data, config, norms, matrices, group), config
    _check_size(file, data, _HEADER_BYTES + 4 * sum(sizes.values()))
    floats = np.frombuffer(data, "<f4", offset=_HEADER_BYTES).astype(np.float32, copy=False)
    tensors, at = {}, 0
    for name in norms + matrices:
        tensors[name] = _take(file, name, shapes[name], floats, at)
        at += sizes[name]
    return tensors, config


def _load_groups(
    file: Path, data: bytes, config: ModelConfig, norms: list[str], matrices: list[str], group: int
) -> dict[str, WeightTensor]:
    """Version 2: float32 norms, then for each matrix int8 values and one float32 scale per `group` of them."""
    shapes = expected_shapes(config)
    if group < 1 or any(int(np.prod(shapes[name])) % group for name in matrices):
        raise ModelError(file, "group size", group, "it must be positive and divide every matrix")
    norm_count = config.dim * len(norms)
    sizes = {name: int(np.prod(shapes[name])) for name in matrices}
    _check_size(file, data, _HEADER_BYTES + 4 * norm_count + sum(n + 4 * (n // group) for n in sizes.values()))
    floats = np.frombuffer(data, "<f4", norm_count, _HEADER_BYTES).astype(np.float32, copy=False)
    tensors = {name: _take(file, name, shapes[name], floats, i * config.dim) for i, name in enumerate(norms)}
    at = _HEADER_BYTES + 4 * norm_count
    for name, size in sizes.items():
        quants = np.frombuffer(data, np.int8, size, at).reshape(-1, group)
        scales = clean_floats(file, f"scales of {name}", np.frombuffer(data, "<f4", size // group, at + size).copy())
        with np.errstate(over="ignore"):
            values = (quants * scales[:, None]).astype(np.float32).reshape(shapes[name])
        tensors[name] = WeightTensor(name, "F32", shapes[name], clean_floats(file, name, values))
        at += size + 4 * (size // group)
    return tensors


def _check_size(file: Path, data: bytes, expected: int) -> None:
    if len(data) != expected:
        raise ModelError(file, "size", len(data), f"its header asks for {expected} bytes; truncated, or not llama2.c")


def _take(file: Path, name: str, shape: tuple[int, ...], floats: np.ndarray, at: int) -> WeightTensor:
    values = floats[at : at + int(np.prod(shape))].reshape(shape)
    return WeightTensor(name, "F32", shape, clean_floats(file, name, values))


def _tokenizer(file: Path, config: ModelConfig) -> Tokenizer | None:
    candidates = [file.with_name(f"tok{config.vocab_size}.bin"), file.with_name("tokenizer.bin")]
    for candidate in candidates:
        if candidate.is_file() and candidate != file:
            return load_llama2c_tokenizer(candidate, config.vocab_size)
    return ByteTokenizer() if config.vocab_size in _BYTE_VOCABULARY else None
