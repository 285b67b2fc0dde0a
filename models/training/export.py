"""Writes the three files of a Hugging Face model folder: weights on their quantization grid, config, byte tokenizer."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from . import quantize
from .network import CONFIG, Network


def snapped(network: Network) -> dict[str, Tensor]:
    """Tensors by Hugging Face name, float32: projections on the Q4_0 grid, the embedding on Q8_0, norms as they are."""
    tensors = {}
    for name, value in network.state_dict().items():
        if name.endswith("_proj.weight"):
            value = quantize.q4_0(value)
        elif name.endswith("embed_tokens.weight"):
            value = quantize.q8_0(value)
        tensors[name] = value.detach().float().contiguous()
    return tensors


def byte_alphabet() -> list[str]:
    """The printable character that byte-level tokenizers use for each byte value 0..255.

    Bytes that print in Latin-1 stand for themselves; the others take the characters from U+0100 on, in ascending order.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def tokenizer() -> dict[str, object]:
    """`tokenizer.json` of a byte-pair encoding without merges whose ids are the UTF-8 byte values."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {character: byte for byte, character in enumerate(byte_alphabet())},
            "merges": [],
        },
    }


def write(network: Network, folder: Path) -> None:
    """Write `config.json`, `tokenizer.json` and `model.safetensors` into `folder`, which is created if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("config.json", CONFIG), ("tokenizer.json", tokenizer())):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="ascii")
    with torch.no_grad():
        save_file(snapped(network), folder / "model.safetensors", metadata={"format": "pt"})
