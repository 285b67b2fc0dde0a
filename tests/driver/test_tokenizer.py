"""Every tokenizer kind: round trips, known ids, streaming, and lists that do not fit together."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np
import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors

from celosia.arch.model import Tokenizer
from celosia.driver.errors import ModelError
from celosia.driver.importers import load_model
from celosia.driver.tokenizer import (
    ByteTokenizer,
    LibraryTokenizer,
    PieceTokenizer,
    StreamDecoder,
    load_llama2c_tokenizer,
    load_tokenizer_json,
)

from .importers import files

TEXTS = ("hello world", " hello", "12 or 3", "héllo wörld 😀", "a\nb\t  c", "", "日本")


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    folder = tmp_path_factory.mktemp("tokenizers")
    found: dict[str, Tokenizer] = {"bytes": ByteTokenizer()}
    for kind in ("gpt2", "llama"):
        files.write_gguf(folder / f"{kind}.gguf", tokenizer=kind)
        tokenizer = load_model(folder / f"{kind}.gguf").tokenizer
        assert tokenizer is not None
        found[kind] = tokenizer
    files.write_llama2c_tokenizer(
        folder / "tok.bin", [(b" he", -1.0), (b" ", -2.0), (b"he", -3.0), ("é".encode(), -4.0)]
    )
    found["llama2c"] = load_llama2c_tokenizer(folder / "tok.bin", 263)
    assert isinstance(found["gpt2"], LibraryTokenizer)
    (folder / "tokenizer.json").write_text(found["gpt2"].pipeline.to_str())
    found["json"] = load_tokenizer_json(folder / "tokenizer.json", files.VOCABULARY)
    return found


KINDS = ("bytes", "gpt2", "llama", "llama2c", "json")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", TEXTS)
def test_decode_inverts_encode(every_kind: dict[str, Tokenizer], kind: str, text: str) -> None:
    tokenizer = every_kind[kind]
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_stream_decodes_whole_characters(every_kind: dict[str, Tokenizer], kind: str) -> None:
    tokenizer = every_kind[kind]
    stream = StreamDecoder(tokenizer)
    ids = tokenizer.encode("hé wörld 😀 日本 x")
    pieces = [stream.push(token) for token in ids]
    assert "".join(pieces) + stream.finish() == "hé wörld 😀 日本 x"
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)
    assert sum(bool(piece) for piece in pieces) > 8  # as it comes, not all at the end


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_stream_of_random_ids_equals_decode(every_kind: dict[str, Tokenizer], kind: str, seed: int) -> None:
    """A model without sense emits broken UTF-8: the pieces still add up."""
    tokenizer = every_kind[kind]
    ids = np.random.RandomState(seed).randint(0, 263, 60).tolist()
    stream = StreamDecoder(tokenizer)
    assert "".join(stream.push(token) for token in ids) + stream.finish() == tokenizer.decode(ids)


def test_stream_ends_inside_a_character() -> None:
    stream = StreamDecoder(ByteTokenizer())
    assert [stream.push(byte) for byte in "😀".encode()[:3]] == ["", "", ""]
    assert stream.finish() == "\N{REPLACEMENT CHARACTER}"
    assert [stream.push(byte) for byte in b"ok"] == ["o", "k"]


def test_byte_level_merges_and_control_tokens(every_kind: dict[str, Tokenizer]) -> None:
    tokens, _ = files.byte_level_vocabulary()
    tokenizer = every_kind["gpt2"]
    ids = tokenizer.encode("<|im_start|>hello hello world 123<|im_end|>")
    expected = ["<|im_start|>", "hello", "Ġhello", "Ġwor", "l", "d", "Ġ", "1", "2", "3", "<|im_end|>"]  # digits apart
    assert [tokens[i] for i in ids] == expected
    assert tokenizer.decode(ids) == "hello hello world 123"


def reference_merges(text: str, scores: dict[str, float]) -> list[str]:
    """The rule in its slowest form: search all neighbours for the best merge until there is none."""
    pieces = list(text)
    while True:
        found = [(-scores[a + b], i) for i, (a, b) in enumerate(pairwise(pieces)) if a + b in scores]
        if not found:
            return pieces
        _, i = min(found)
        pieces[i : i + 2] = [pieces[i] + pieces[i + 1]]


@pytest.mark.parametrize("seed", range(20))
def test_scored_merges_follow_the_rule(seed: int) -> None:
    random = np.random.RandomState(seed)
    pieces = sorted({"".join(random.choice(list("abc"), random.randint(2, 5))) for _ in range(25)})
    pieces = [*"abc", *pieces]
    scores = [float(random.randint(-6, 0)) for _ in pieces]  # equal scores among them
    tokenizer = PieceTokenizer([p.encode() for p in pieces], scores, set(), bos_id=None, space_prefix=False)
    text = "".join(random.choice(list("abc"), 60))
    expected = reference_merges(text, dict(zip(pieces, scores, strict=True)))
    assert [pieces[i] for i in tokenizer.encode(text)] == expected


def test_scored_pieces_known_ids(every_kind: dict[str, Tokenizer]) -> None:
    tokenizer = every_kind["llama"]
    first = 259
    names = [piece for piece, _ in files.SCORED]
    assert tokenizer.encode("hello") == [1, first + names.index("▁hello")]
    # "o" has no piece of its own: alone it is a byte.
    assert tokenizer.encode("helo") == [
        1,
        first + names.index("▁he"),
        first + len(names) + "hel".index("l"),
        3 + ord("o"),
    ]
    assert tokenizer.encode("é")[1:] == [first + names.index("▁"), first + names.index("é")]
    assert tokenizer.encode("ü")[1:] == [first + names.index("▁"), *(3 + byte for byte in "ü".encode())]
    assert tokenizer.encode("</s>") == [1, 2]
    assert tokenizer.decode([1, 2, 0, 3 + ord("x"), 99999]) == "x"


def test_long_text_is_fast(every_kind: dict[str, Tokenizer]) -> None:
    """Quadratic merging would take minutes here."""
    text = "hello " * 5000
    for kind in ("llama", "llama2c"):
        assert every_kind[kind].decode(every_kind[kind].encode(text)) == text


def write_json(file: Path, **changes: object) -> None:
    pipeline = tokenizers.Tokenizer(models.BPE(vocab={"<s>": 0, "a": 1, "b": 2, "ab": 3}, merges=[("a", "b")]))
    pipeline.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pipeline.decoder = decoders.ByteLevel()
    pipeline.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    pipeline.add_special_tokens(["<s>"])
    pipeline.enable_padding(length=9, pad_token="a", pad_id=1)
    pipeline.enable_truncation(2)
    file.write_text(json.dumps({**json.loads(pipeline.to_str()), **changes}))


def test_json_pads_and_cuts_nothing(tmp_path: Path) -> None:
    write_json(tmp_path / "tokenizer.json")
    tokenizer = load_tokenizer_json(tmp_path / "tokenizer.json", 4)
    assert tokenizer.encode("abba") == [0, 3, 2, 1]
    assert tokenizer.decode([0, 3, 2, 1, 7]) == "abba"


def test_json_wrong(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    write_json(file)
    with pytest.raises(ModelError, match=r"tokenizer\.json: largest token id is 3: the model has 3 tokens$"):
        load_tokenizer_json(file, 3)
    write_json(file, model={"type": "?"})
    with pytest.raises(
        ModelError, match=r"tokenizer\.json: contents is .*: it must be a tokenizer\.json of the tokenizers lib"
    ):
        load_tokenizer_json(file, 4)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match=r"tokenizer\.json: contents is "):
        load_tokenizer_json(file, 4)


def test_json_template_wrong(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    write_json(file)
    template = json.loads(file.read_text())["post_processor"]
    wrong = {**template, "special_tokens": {}}
    message = r"tokenizer\.json: post_processor is '<s>': the template must define every token that it uses$"
    for processor in (wrong, {"type": "Sequence", "processors": [wrong]}):
        write_json(file, post_processor=processor)
        with pytest.raises(ModelError, match=message):
            load_tokenizer_json(file, 4)
    defined = {"<s>": {"id": "<s>", "ids": [4], "tokens": ["<s>"]}}
    write_json(file, post_processor={**template, "special_tokens": defined})
    with pytest.raises(ModelError, match=r"post_processor is 4: it must be a token id of 0 to 3$"):
        load_tokenizer_json(file, 4)


def test_text_that_the_vocabulary_lacks(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    pipeline = tokenizers.Tokenizer(models.WordLevel(vocab={"a": 0}, unk_token="?"))
    file.write_text(pipeline.to_str())
    with pytest.raises(ModelError, match=r"tokenizer\.json: tokenizer is .*: it cannot express this text$"):
        load_tokenizer_json(file, 4).encode("b")


@pytest.mark.parametrize("kind", KINDS)
def test_text_that_is_not_unicode(every_kind: dict[str, Tokenizer], kind: str) -> None:
    with pytest.raises(ModelError, match=r"^text: character 1 is '\\udcff': the text must be UTF-8$"):
        every_kind[kind].encode("a\udcff")


def gguf_with(file: Path, kind: str, tokens: Sequence[str], **lists: list[str] | list[float] | list[int]) -> Path:
    """A tiny model whose tokenizer lists are given; the vocabulary is padded with fillers."""

    def add(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model(kind)
        writer.add_token_list([*tokens, *(f"<filler{i}>" for i in range(files.VOCABULARY - len(tokens)))])
        for key, values in lists.items():
            writer.add_array(f"tokenizer.ggml.{key}", values)

    files.write_gguf(file, add_tokenizer=add)
    return file


@pytest.mark.parametrize(
    ("kind", "tokens", "lists", "message"),
    [
        ("gpt2", ["a", "a"], {"merges": ["a a"]}, "tokenizer.ggml.tokens is 'a': this token appears twice"),
        ("gpt2", ["a", "b"], {"merges": ["a b"]}, "tokenizer.ggml.merges is 'a b': both parts and their union must be"),
        ("gpt2", ["a", "b"], {"merges": ["ab"]}, "tokenizer.ggml.merges is 'ab': both parts"),
        ("gpt2", ["a", "b"], {}, "tokenizer.ggml.merges is missing: it must be a list of strings"),
        ("gpt2", ["a"] + ["x"] * 300, {"merges": ["a b"]}, "length of tokenizer.ggml.tokens is 301: the model has 300"),
        (
            "gpt2",
            ["a"],
            {"merges": ["a b"], "token_type": [1]},
            "tokenizer.ggml.token_type is [1]: it must be 300 integers",
        ),
        ("llama", ["a"], {}, "tokenizer.ggml.scores is missing: it must be 300 float32 numbers"),
        ("llama", ["a"], {"scores": [1.0]}, "tokenizer.ggml.scores is [1.0]: it must be 300 float32 numbers"),
        ("llama", ["a"], {"scores": [float("nan")] * 300}, "tokenizer.ggml.scores is [nan, nan"),
        ("llama", ["a"], {"scores": [1] * 300}, "tokenizer.ggml.scores is [1, 1,"),
        ("bert", ["a"], {}, "tokenizer.ggml.model is 'bert': supported: gpt2, llama"),
    ],
)
def test_gguf_lists_wrong(
    tmp_path: Path, kind: str, tokens: list[str], lists: dict[str, list[str]], message: str
) -> None:
    file = gguf_with(tmp_path / "m.gguf", kind, tokens, **lists)
    with pytest.raises(ModelError) as caught:
        load_model(file)
    assert str(caught.value).startswith(f"{file}: {message}")


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("gpt-2", ["hello", "Ġw", "12"]),
        ("smollm", ["hello", "Ġw", "1", "2"]),
        ("llama-bpe", ["hello", "Ġw", "12"]),
    ],
)
def test_gguf_splits(tmp_path: Path, split: str, expected: list[str]) -> None:
    tokens, _ = files.byte_level_vocabulary()
    file = tmp_path / "m.gguf"
    files.write_gguf(file, add_tokenizer=lambda writer: files.add_byte_level_tokenizer(writer, split))
    tokenizer = load_model(file).tokenizer
    assert tokenizer is not None
    assert [tokens[i] for i in tokenizer.encode("hello w12")] == expected


def test_gguf_split_wrong(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    files.write_gguf(file, add_tokenizer=lambda writer: files.add_byte_level_tokenizer(writer, "qwen2"))
    with pytest.raises(ModelError, match=r"tokenizer\.ggml\.pre is 'qwen2': supported: gpt-2, smollm, llama-bpe$"):
        load_model(file)
