"""Tokenizers inside GGUF files: byte-level BPE from tokens and merges, scored pieces from tokens and scores."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from ...arch.model import ModelConfig, Tokenizer
from ..errors import ModelError
from ..tokenizer import LibraryTokenizer, PieceTokenizer
from .fields import Fields

# The split before byte-level BPE, by the name that GGUF files give it. The gpt-2 rule is the library's own.
_LLAMA3_SPLIT = "|".join(
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
_PRE_TOKENIZERS = ("gpt-2", "smollm", "llama-bpe")

# GGUF token types.
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6


def gguf_tokenizer(file: Path, fields: Fields, metadata: Mapping[str, Any], config: ModelConfig) -> Tokenizer | None:
    """The tokenizer inside a GGUF file, or None where it carries none.

    Raises
    ------
    ModelError
        An unsupported kind, or lists that do not fit together or the vocabulary.
    """
    kind = fields.text("tokenizer.ggml.model", "none")
    if kind in ("none", "no_vocab"):
        return None
    tokens = _strings(file, metadata, "tokenizer.ggml.tokens")
    if len(tokens) != config.vocab_size:
        raise ModelError(
            file, "length of tokenizer.ggml.tokens", len(tokens), f"the model has {config.vocab_size} tokens"
        )
    types = metadata.get("tokenizer.ggml.token_type") or [_NORMAL] * len(tokens)
    if not _are(types, int, len(tokens)):
        raise ModelError(file, "tokenizer.ggml.token_type", types, f"it must be {len(tokens)} integers")
    if kind == "gpt2":
        bos = config.bos_id if fields.flag("tokenizer.ggml.add_bos_token", False) else None
        split = fields.text("tokenizer.ggml.pre", "gpt-2")
        return _gguf_bpe(file, tokens, types, _strings(file, metadata, "tokenizer.ggml.merges"), split, bos)
    if kind == "llama":
        scores: Any = metadata.get("tokenizer.ggml.scores")
        if not _are(scores, float, len(tokens)) or any(math.isnan(score) for score in scores):
            raise ModelError(file, "tokenizer.ggml.scores", scores, f"it must be {len(tokens)} float32 numbers")
        bos = config.bos_id if fields.flag("tokenizer.ggml.add_bos_token", True) else None
        return _gguf_pieces(tokens, types, scores, bos, fields.flag("tokenizer.ggml.add_space_prefix", True))
    raise ModelError(file, "tokenizer.ggml.model", kind, "supported: gpt2, llama")


def _are(values: object, kind: type, length: int) -> bool:
    return isinstance(values, list) and len(values) == length and all(type(value) is kind for value in values)


def _strings(file: Path, metadata: Mapping[str, Any], key: str) -> list[str]:
    values = metadata.get(key)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ModelError(file, key, values, "it must be a list of strings")
    return values


def _gguf_bpe(
    file: Path, tokens: list[str], types: list[int], merges: list[str], split: str, bos: int | None
) -> LibraryTokenizer:
    vocabulary = {token: i for i, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens):
        double = next(token for i, token in enumerate(tokens) if vocabulary[token] != i)
        raise ModelError(file, "tokenizer.ggml.tokens", double, "this token appears twice")
    pairs = []
    for merge in merges:
        left, _, right = merge.partition(" ")
        if left not in vocabulary or right not in vocabulary or left + right not in vocabulary:
            raise ModelError(file, "tokenizer.ggml.merges", merge, "both parts and their union must be tokens")
        pairs.append((left, right))
    pipeline = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=pairs, ignore_merges=split == "llama-bpe"))
    pipeline.decoder = decoders.ByteLevel()
    if split == "gpt-2":
        pipeline.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    elif split == "smollm":
        pipeline.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    elif split == "llama-bpe":
        pipeline.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(tokenizers.Regex(_LLAMA3_SPLIT), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    else:
        raise ModelError(file, "tokenizer.ggml.pre", split, f"supported: {', '.join(_PRE_TOKENIZERS)}")
    named = [(token, kind) for token, kind in zip(tokens, types, strict=True) if kind in (_CONTROL, _USER_DEFINED)]
    pipeline.add_special_tokens([_added(token) for token, kind in named if kind == _CONTROL and token])
    pipeline.add_tokens([_added(token) for token, kind in named if kind == _USER_DEFINED and token])
    return LibraryTokenizer(pipeline, bos, file)


def _added(token: str) -> tokenizers.AddedToken:
    return tokenizers.AddedToken(token, normalized=False)


def _gguf_pieces(
    tokens: list[str], types: list[int], scores: list[float], bos: int | None, space_prefix: bool
) -> PieceTokenizer:
    named = {token: i for i, token in enumerate(tokens) if types[i] in (_CONTROL, _USER_DEFINED) and token}
    return PieceTokenizer(
        [token.replace("\N{LOWER ONE EIGHTH BLOCK}", " ").encode() for token in tokens],
        scores,
        {i for i, kind in enumerate(types) if kind in (_CONTROL, _UNKNOWN, _UNUSED)},
        bos_id=bos,
        space_prefix=space_prefix,
        unknown_id=types.index(_UNKNOWN) if _UNKNOWN in types else 0,
        named=named,
    )
