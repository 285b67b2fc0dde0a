"""The embedded default model as committed: files that agree with each other, weights on their grid, sensible text."""

import json
import re
from importlib import resources
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from celosia.models.training import generator

Floats = NDArray[np.float32]

FOLDER = Path(str(resources.files("celosia.models"))) / "celosia-tiny"
CONFIG = json.loads((FOLDER / "config.json").read_text(encoding="ascii"))
TENSORS: dict[str, Floats] = load_file(FOLDER / "model.safetensors")
TOKENIZER = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
END = CONFIG["eos_token_id"]
VOCABULARY = {word for story in islice(generator.stories(3), 5000) for word in re.findall(r"[A-Za-z]+", story)}
PROMPTS = ("Once upon a time", "The little fox", "One day", "Lily", "The dragon", "There was", "A girl named", "")


def expected_shapes() -> dict[str, tuple[int, ...]]:
    """Tensor shapes by name, as a tied LlamaForCausalLM of `CONFIG` has them."""
    dim, hidden, head = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["head_dim"]
    queries, keys = CONFIG["num_attention_heads"] * head, CONFIG["num_key_value_heads"] * head
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (CONFIG["vocab_size"], dim),
        "model.norm.weight": (dim,),
    }
    for index in range(CONFIG["num_hidden_layers"]):
        layer = {
            "input_layernorm": (dim,),
            "post_attention_layernorm": (dim,),
            "self_attn.q_proj": (queries, dim),
            "self_attn.k_proj": (keys, dim),
            "self_attn.v_proj": (keys, dim),
            "self_attn.o_proj": (dim, queries),
            "mlp.gate_proj": (hidden, dim),
            "mlp.up_proj": (hidden, dim),
            "mlp.down_proj": (dim, hidden),
        }
        shapes |= {f"model.layers.{index}.{name}.weight": shape for name, shape in layer.items()}
    return shapes


def requantized_q4_0(weight: Floats) -> Floats:
    """`weight` [N, K] after GGUF's Q4_0 rule, in its own words: the block's extreme value becomes exactly -8 steps."""
    blocks = weight.reshape(-1, 32)
    extreme = blocks[np.arange(len(blocks)), np.abs(blocks).argmax(axis=1)]
    step = (extreme / np.float32(-8)).astype(np.float16).astype(np.float32)[:, None]
    q = np.floor(np.divide(blocks, step, out=np.zeros_like(blocks), where=step != 0) + np.float32(8.5)).clip(0, 15)
    return ((q - 8) * step).astype(np.float32).reshape(weight.shape)


def requantized_q8_0(weight: Floats) -> Floats:
    """`weight` [N, K] after GGUF's Q8_0 rule: the block's extreme value becomes 127 steps."""
    blocks = weight.reshape(-1, 32)
    step = (np.abs(blocks).max(axis=1) / np.float32(127)).astype(np.float16).astype(np.float32)[:, None]
    q = np.rint(np.divide(blocks, step, out=np.zeros_like(blocks), where=step != 0))
    return (q * step).astype(np.float32).reshape(weight.shape)


class Reader:
    """A float32 forward pass, one token at a time, that shares no code with the package."""

    def __init__(self) -> None:
        self.keys: list[list[Floats]] = [[] for _ in range(CONFIG["num_hidden_layers"])]
        self.values: list[list[Floats]] = [[] for _ in range(CONFIG["num_hidden_layers"])]

    def norm(self, x: Floats, name: str) -> Floats:
        scale = np.sqrt(np.mean(x * x) + np.float32(CONFIG["rms_norm_eps"]))
        return x / scale * TENSORS[f"{name}.weight"]

    def turn(self, x: Floats, position: int) -> Floats:
        """`x` [heads, 32] by rotate-half rope."""
        half = x.shape[-1] // 2
        angle = position * CONFIG["rope_theta"] ** (-np.arange(half) / half)
        low, high = x[:, :half], x[:, half:]
        cosine, sine = np.cos(angle), np.sin(angle)
        return np.concatenate([low * cosine - high * sine, high * cosine + low * sine], axis=1).astype(np.float32)

    def step(self, token: int) -> Floats:
        """Logits [256] after one more token."""
        x = TENSORS["model.embed_tokens.weight"][token]  # [128]
        for index in range(CONFIG["num_hidden_layers"]):
            x = x + self.attend(self.norm(x, f"model.layers.{index}.input_layernorm"), index)
            x = x + self.feed(self.norm(x, f"model.layers.{index}.post_attention_layernorm"), index)
        return TENSORS["model.embed_tokens.weight"] @ self.norm(x, "model.norm")

    def attend(self, x: Floats, index: int) -> Floats:
        weight = {part: TENSORS[f"model.layers.{index}.self_attn.{part}_proj.weight"] for part in "qkvo"}
        position, head = len(self.keys[index]), CONFIG["head_dim"]
        self.keys[index].append(self.turn((weight["k"] @ x)[None], position)[0])
        self.values[index].append(weight["v"] @ x)
        q = self.turn((weight["q"] @ x).reshape(-1, head), position)  # [4, 32]
        scores = q @ np.array(self.keys[index]).T / np.sqrt(np.float32(head))  # [4, positions]
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return weight["o"] @ (shares @ np.array(self.values[index])).reshape(-1)

    def feed(self, x: Floats, index: int) -> Floats:
        gate, up, down = (TENSORS[f"model.layers.{index}.mlp.{part}_proj.weight"] for part in ("gate", "up", "down"))
        gated = gate @ x
        return down @ (gated / (1 + np.exp(-gated)) * (up @ x))


def greedy(prompt: list[int], count: int) -> list[int]:
    """The `count` most likely tokens after `prompt`."""
    reader = Reader()
    for token in prompt:
        logits = reader.step(token)
    made = [int(logits.argmax())]
    while len(made) < count:
        made.append(int(reader.step(made[-1]).argmax()))
    return made


def test_config_is_the_architecture_that_was_asked_for() -> None:
    assert CONFIG["architectures"] == ["LlamaForCausalLM"]
    assert CONFIG["model_type"] == "llama"
    assert CONFIG["hidden_act"] == "silu"
    assert CONFIG["tie_word_embeddings"] is True
    assert (CONFIG["vocab_size"], CONFIG["max_position_embeddings"]) == (256, 512)
    assert (CONFIG["bos_token_id"], CONFIG["eos_token_id"]) == (0, 0)
    assert CONFIG["num_attention_heads"] % CONFIG["num_key_value_heads"] == 0


def test_tensors_are_those_of_the_config() -> None:
    assert {name: tensor.shape for name, tensor in TENSORS.items()} == expected_shapes()
    assert {tensor.dtype for tensor in TENSORS.values()} == {np.dtype(np.float32)}
    assert all(np.isfinite(tensor).all() for tensor in TENSORS.values())


def test_parameter_count() -> None:
    assert 250_000 <= sum(tensor.size for tensor in TENSORS.values()) <= 500_000


@pytest.mark.parametrize("name", [name for name in expected_shapes() if name.endswith("_proj.weight")])
def test_projection_is_reproduced_by_q4_0(name: str) -> None:
    assert np.array_equal(requantized_q4_0(TENSORS[name]), TENSORS[name])
    assert np.unique(TENSORS[name]).size > 100


def test_embedding_is_reproduced_by_q8_0() -> None:
    table = TENSORS["model.embed_tokens.weight"]
    assert np.array_equal(requantized_q8_0(table), table)
    assert np.unique(table).size > 100


@pytest.mark.parametrize(
    "text", ["", "The little fox.", '"Oh no!" said Tom.\n', "".join(map(chr, range(128))), "é ☃ Ā"]
)
def test_token_ids_are_the_bytes_of_the_text(text: str) -> None:
    ids = TOKENIZER.encode(text).ids
    assert ids == list(text.encode("utf-8"))
    assert TOKENIZER.decode(ids, skip_special_tokens=False) == text


def test_tokenizer_has_one_token_for_every_byte() -> None:
    assert TOKENIZER.get_vocab_size() == CONFIG["vocab_size"]
    assert sorted(TOKENIZER.get_vocab().values()) == list(range(256))


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_text_is_a_story_that_ends(prompt: str) -> None:
    ids = TOKENIZER.encode(prompt).ids
    made = greedy([END, *ids], 440)
    assert END in made
    story = bytes([*ids, *made[: made.index(END)]]).decode("ascii")
    assert generator.MIN_BYTES <= len(story) <= generator.MAX_BYTES
    assert set(re.findall(r"[A-Za-z]+", story)) <= VOCABULARY
    sentences = re.split(r"(?<=[.!?]) ", story)
    assert len(set(sentences)) == len(sentences) >= 4
    # What follows the end is the beginning of another story.
    following = bytes(made[made.index(END) + 1 :]).decode("ascii")
    assert re.match(r"[A-Z][a-z]+ [a-z]", following) or len(following) < 10


def test_loss_on_unseen_stories() -> None:
    bits, count = 0.0, 0
    for story in islice(generator.stories(77), 6):
        tokens = [END, *story.encode("ascii"), END]
        reader = Reader()
        for token, target in pairwise(tokens):
            logits = reader.step(token).astype(np.float64)
            bits += (np.logaddexp.reduce(logits) - logits[target]) / np.log(2)
            count += 1
    assert bits / count < 0.55
