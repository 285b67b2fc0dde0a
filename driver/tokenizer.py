"""Tokenizers of model files behind one interface: `encode`, `decode`, and streaming decode.

Three kinds: `LibraryTokenizer` runs `tokenizer.json` and byte-level BPE out of GGUF files in the `tokenizers` library;
`PieceTokenizer` merges scored pieces (SentencePiece vocabularies in GGUF and llama2.c files); `ByteTokenizer` is one id
per byte. Chat templates are rendered in `chat_template`.
"""

import heapq
import json
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from ..arch.model import MAX_VOCABULARY, Tokenizer
from .errors import ModelError

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_BYTE_PIECE = re.compile(rb"<0x([0-9A-Fa-f]{2})>")
_LARGEST_PIECE = 1 << 16


class StreamDecoder:
    """Text of a growing list of ids, piece by piece; a character appears when its last byte has arrived.

    The pieces of `push` and `finish` together are `tokenizer.decode` of all ids.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._context: list[int] = []  # ids whose text is out; they decide about spaces before the next
        self._held: list[int] = []  # ids whose text ends inside a character

    def push(self, token: int) -> str:
        """Text that `token` completes; empty while a character is unfinished."""
        self._held.append(token)
        text = self._new_text()
        if text.endswith(_REPLACEMENT):
            return ""
        if text:
            self._context, self._held = self._held, []
        return text

    def finish(self) -> str:
        """What is left: an unfinished character becomes U+FFFD."""
        text = self._new_text()
        self._context, self._held = [], []
        return text

    def _new_text(self) -> str:
        before = self._tokenizer.decode(self._context)
        return self._tokenizer.decode(self._context + self._held)[len(before) :]


def _utf8(text: str) -> bytes:
    """The bytes of `text`, which may hold what was not Unicode on the command line."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ModelError("text", f"character {error.start}", text[error.start], "the text must be UTF-8") from None


class ByteTokenizer:
    """One id per byte of UTF-8; ids above 255 are control tokens without text."""

    def __init__(self, bos_id: int | None = None) -> None:
        self.bos_id = bos_id

    def encode(self, text: str) -> list[int]:
        """The bytes of `text`, after the begin token if there is one."""
        return ([] if self.bos_id is None else [self.bos_id]) + list(_utf8(text))

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`; what is not UTF-8 becomes U+FFFD."""
        return bytes(i for i in ids if i < 256).decode(errors="replace")


class LibraryTokenizer:
    """A pipeline of the `tokenizers` library.

    Parameters
    ----------
    pipeline : tokenizers.Tokenizer
        Encodes control tokens that stand in the text as such.
    bos_id : int or None
        Put before every encoded text, unless the pipeline already did.
    file : Path
        Where it came from, for messages.
    """

    def __init__(self, pipeline: tokenizers.Tokenizer, bos_id: int | None, file: Path) -> None:
        self.pipeline, self.bos_id, self.file = pipeline, bos_id, file

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`.

        Raises
        ------
        ModelError
            The vocabulary cannot express the text.
        """
        _utf8(text)
        try:
            ids: list[int] = self.pipeline.encode(text).ids
        except Exception as error:  # the library raises plain Exception
            raise ModelError(self.file, "tokenizer", str(error), "it cannot express this text") from None
        return ids if self.bos_id is None or ids[:1] == [self.bos_id] else [self.bos_id, *ids]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`; control tokens and ids beyond the vocabulary give none."""
        text: str = self.pipeline.decode(list(ids), skip_special_tokens=True)
        return text


class PieceTokenizer:
    """A vocabulary of scored pieces: neighbours merge, the best-scored piece first, the leftmost of equals.

    Parameters
    ----------
    pieces : sequence of bytes
        By id; a space is a space. `<0x00>` to `<0xFF>` stand for single bytes.
    scores : sequence of float
        By id; larger merges earlier.
    control : set of int
        Ids without text.
    bos_id : int or None
        Put before every encoded text.
    space_prefix : bool
        A space is put before the text on encoding and taken off on decoding.
    unknown_id : int
        For bytes that have no piece.
    named : mapping of str to int
        Tokens recognised in the text as a whole, before anything merges.
    """

    def __init__(
        self,
        pieces: Sequence[bytes],
        scores: Sequence[float],
        control: set[int],
        *,
        bos_id: int | None,
        space_prefix: bool = True,
        unknown_id: int = 0,
        named: Mapping[str, int] | None = None,
    ) -> None:
        self._scores, self._control, self._unknown = scores, control, unknown_id
        self.bos_id, self.space_prefix = bos_id, space_prefix
        self._text_of = [b"" if i in control else piece for i, piece in enumerate(pieces)]
        self._id_of: dict[bytes, int] = {}
        self._byte_ids: dict[int, int] = {}
        for i, piece in enumerate(pieces):
            if match := _BYTE_PIECE.fullmatch(piece):
                value = int(match[1], 16)
                self._text_of[i] = bytes([value])
                self._byte_ids.setdefault(value, i)
            elif i not in control:
                self._id_of.setdefault(piece, i)
        self.named = dict(named or {})
        longest_first = sorted(self.named, key=len, reverse=True)
        self._split = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")") if longest_first else None

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`."""
        _utf8(text)
        ids = [] if self.bos_id is None else [self.bos_id]
        first = True
        for part in self._split.split(text) if self._split else [text]:
            if part in self.named:
                ids.append(self.named[part])
            elif part:
                ids += self._merge((" " if first and self.space_prefix else "") + part)
            first = first and not part
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`; what is not UTF-8 becomes U+FFFD, control tokens and unknown ids give no text."""
        text = b"".join(self._text_of[i] for i in ids if 0 <= i < len(self._text_of)).decode(errors="replace")
        return text[1:] if self.space_prefix and text.startswith(" ") else text

    def _merge(self, text: str) -> list[int]:
        """Ids of one stretch of ordinary text: a doubly linked list of pieces and a heap of possible merges."""
        pieces: list[bytes | None] = [character.encode() for character in text]
        after = list(range(1, len(pieces) + 1))
        before = list(range(-1, len(pieces) - 1))
        heap: list[tuple[float, int, bytes]] = []

        def consider(left: int) -> None:
            right = after[left] if left >= 0 else len(pieces)
            if right < len(pieces):
                joined = (pieces[left] or b"") + (pieces[right] or b"")
                token = self._id_of.get(joined)
                if token is not None:
                    heapq.heappush(heap, (-self._scores[token], left, joined))

        for left in range(len(pieces) - 1):
            consider(left)
        while heap:
            _, left, joined = heapq.heappop(heap)
            right = after[left]
            if pieces[left] is None or right >= len(pieces) or (pieces[left] or b"") + (pieces[right] or b"") != joined:
                continue  # one of the two has merged with another piece since
            pieces[left], pieces[right] = joined, None
            after[left] = after[right]
            if after[left] < len(pieces):
                before[after[left]] = left
            consider(left)
            consider(before[left])
        return [i for piece in pieces if piece is not None for i in self._ids_of_piece(piece)]

    def _ids_of_piece(self, piece: bytes) -> list[int]:
        if piece in self._id_of:
            return [self._id_of[piece]]
        return [self._byte_ids.get(byte, self._unknown) for byte in piece]


def load_tokenizer_json(file: Path, vocab_size: int) -> LibraryTokenizer:
    """The pipeline of a `tokenizer.json`.

    Raises
    ------
    ModelError
        Not a tokenizer, or with ids beyond the model's vocabulary.
    """
    try:
        contents = file.read_text(encoding="utf-8")
        pipeline = tokenizers.Tokenizer.from_str(contents)
        templates = _templates(json.loads(contents).get("post_processor"))
    except Exception as error:  # the library raises plain Exception
        raise ModelError(
            file, "contents", str(error), "it must be a tokenizer.json of the tokenizers library"
        ) from None
    pipeline.no_padding()
    pipeline.no_truncation()
    largest = max(pipeline.get_vocab().values(), default=0)
    if largest >= vocab_size:
        raise ModelError(file, "largest token id", largest, f"the model has {vocab_size} tokens")
    for template in templates:
        _check_template(file, template, vocab_size)
    return LibraryTokenizer(pipeline, None, file)


def _templates(processor: Any) -> list[dict[str, Any]]:
    """The templates in a post-processor, which may be a sequence of them."""
    if not isinstance(processor, dict):
        return []
    if processor.get("type") == "Sequence":
        return [template for part in processor["processors"] for template in _templates(part)]
    return [processor] if processor.get("type") == "TemplateProcessing" else []


def _check_template(file: Path, template: dict[str, Any], vocab_size: int) -> None:
    """The library checks neither when it loads, and panics when it encodes."""
    for piece in [*template["single"], *template["pair"]]:
        name = piece.get("SpecialToken", {}).get("id")
        if name is not None and name not in template["special_tokens"]:
            raise ModelError(file, "post_processor", name, "the template must define every token that it uses")
    for token in template["special_tokens"].values():
        for i in token["ids"]:
            if i >= vocab_size:
                raise ModelError(file, "post_processor", i, f"it must be a token id of 0 to {vocab_size - 1}")


def load_llama2c_tokenizer(file: Path, vocab_size: int) -> PieceTokenizer:
    """A llama2.c `tokenizer.bin`: int32 longest piece, then per token float32 score, int32 length, bytes.

    Ids 0, 1 and 2 are unknown, begin and end of text.

    Raises
    ------
    ModelError
        Truncated, too long, or a length out of range.
    """
    data = file.read_bytes()
    at = 4
    pieces, scores = [], []
    for i in range(min(vocab_size, MAX_VOCABULARY)):
        if at + 8 > len(data):
            raise ModelError(file, "size", len(data), f"it ends before token {i} of the model's {vocab_size}")
        score, length = struct.unpack_from("<fi", data, at)
        at += 8
        if not 0 <= length <= min(_LARGEST_PIECE, len(data) - at):
            raise ModelError(file, f"length of token {i}", length, f"it must be 0 to the {len(data) - at} bytes left")
        if score != score:
            raise ModelError(file, f"score of token {i}", score, "it must be a number")
        pieces.append(data[at : at + length])
        scores.append(score)
        at += length
    if at != len(data):
        raise ModelError(
            file, "size", len(data), f"the model's {vocab_size} tokens end at {at}; is it another model's?"
        )
    return PieceTokenizer(pieces, scores, {0, 1, 2}, bos_id=1)
