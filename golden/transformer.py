"""The float32 reference: a transformer's forward pass in plain numpy, from the dequantized weights of a model file.

It says what the model means; `golden.machine` says what the hardware computes. Nothing is shared with the hardware's
number rules on purpose. Letters in the shape comments: T new tokens, N positions in the cache so far, C = N + T,
D dim, F hidden_dim, H heads, G KV heads, S head size, V vocabulary.
"""

import math
from collections.abc import Sequence

import numpy as np

from ..arch.model import Model, ModelConfig

Weights = dict[str, np.ndarray]

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


class Transformer:
    """A model with its float32 weights and the keys and values of the positions seen so far.

    Parameters
    ----------
    model : Model
        Its weights are dequantized once, at 4 bytes each.

    Attributes
    ----------
    position : int
        Positions in the cache.
    """

    def __init__(self, model: Model) -> None:
        self.config = model.config
        self.weights: Weights = {name: tensor.dequantize() for name, tensor in model.tensors.items()}
        self.output = self.weights["embedding" if self.config.tied_embeddings else "output"]
        self.reset()

    def reset(self) -> None:
        """Forget all positions."""
        c = self.config
        self.position = 0
        self._keys = np.zeros((c.n_layers, 0, c.n_kv_heads, c.head_dim), np.float32)  # [layers, capacity, G, S]
        self._values = np.zeros_like(self._keys)

    def advance(self, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
        """Run tokens through the model after those seen so far.

        Parameters
        ----------
        tokens : int [T]
            At least one, each below the vocabulary size.

        Returns
        -------
        float32 [T, V]
            Logits after each token.

        Raises
        ------
        ValueError
            A token that is not in the vocabulary, none at all, or more positions than the context length.
        """
        c, w = self.config, self.weights
        ids = np.asarray(tokens, np.int64)  # [T]
        start, end = self.position, self.position + len(ids)
        if not len(ids) or ids.min() < 0 or ids.max() >= c.vocab_size:
            raise ValueError(f"tokens are {ids.tolist()}: there must be some, each 0 to {c.vocab_size - 1}")
        if end > c.context_length:
            raise ValueError(f"position is {end}: the context length is {c.context_length}")
        self._reserve(end)
        rotation = rope_rotation(c, np.arange(start, end))
        x = w["embedding"][ids]  # [T, D]
        for i in range(c.n_layers):
            layer = f"layers.{i}."
            h = norm(c, w, layer + "attention_norm", x)
            k = linear(w, layer + "wk", h).reshape(-1, c.n_kv_heads, c.head_dim)  # [T, G, S]
            v = linear(w, layer + "wv", h).reshape(-1, c.n_kv_heads, c.head_dim)
            q = linear(w, layer + "wq", h).reshape(-1, c.n_heads, c.head_dim)  # [T, H, S]
            self._keys[i, start:end] = rotate(c, k, rotation)
            self._values[i, start:end] = v
            mixed = attention(rotate(c, q, rotation), self._keys[i, :end], self._values[i, :end])  # [T, H * S]
            x = x + linear(w, layer + "wo", mixed)
            x = x + feed_forward(c, w, layer, norm(c, w, layer + "ffn_norm", x))
        self.position = end
        return norm(c, w, "final_norm", x) @ self.output.T  # [T, V]

    def _reserve(self, positions: int) -> None:
        """Grow the cache by doubling, so that decoding copies each position a constant number of times."""
        capacity = self._keys.shape[1]
        if positions > capacity:
            grow = ((0, 0), (0, max(positions, 2 * capacity) - capacity), (0, 0), (0, 0))
            self._keys, self._values = np.pad(self._keys, grow), np.pad(self._values, grow)


def forward(model: Model, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
    """Logits [T, V] after each of `tokens` [T], from an empty cache."""
    return Transformer(model).advance(tokens)


def generate(transformer: Transformer, prompt: Sequence[int], count: int) -> list[int]:
    """Up to `count` greedy tokens after `prompt`, ending after an end-of-text token; ties go to the lowest id."""
    logits = transformer.advance(prompt)
    generated: list[int] = []
    while len(generated) < count:
        generated.append(int(np.argmax(logits[-1])))
        if generated[-1] in transformer.config.eos_ids or len(generated) == count:
            break
        logits = transformer.advance(generated[-1:])
    return generated


def linear(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    """x W^T + bias: [T, K] to [T, rows]."""
    y = x @ w[name].T
    return y + w[name + ".bias"] if name + ".bias" in w else y


def norm(c: ModelConfig, w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    """RMSNorm or LayerNorm over D: [T, D] to [T, D]."""
    if c.norm == "layer":
        x = x - x.mean(axis=-1, keepdims=True)
    scale = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(c.norm_eps))  # [T, 1]
    y = x * scale * w[name]
    return y + w[name + ".bias"] if c.norm == "layer" else y


def feed_forward(c: ModelConfig, w: Weights, layer: str, x: np.ndarray) -> np.ndarray:
    """Gated or plain two-layer network: [T, D] to [T, D]."""
    up = linear(w, layer + "w_up", x)  # [T, F]
    if c.activation == "silu_gated":
        hidden = silu(linear(w, layer + "w_gate", x)) * up
    elif c.activation == "gelu_gated":
        hidden = gelu(linear(w, layer + "w_gate", x)) * up
    else:
        hidden = gelu(up)
    return linear(w, layer + "w_down", hidden)


def silu(x: np.ndarray) -> np.ndarray:
    """x * sigmoid(x), written with tanh, which saturates where exp would overflow."""
    return x * (np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5))


def gelu(x: np.ndarray) -> np.ndarray:
    """x times the Gaussian cumulative distribution; through erfc, which keeps its digits where x is far below 0."""
    distribution = 0.5 * _erfc(x * -np.sqrt(0.5))  # float64
    return (x * distribution).astype(np.float32)


def rope_rotation(c: ModelConfig, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of every position and pair, float32 [T, 1, S / 2]; the angle is float64."""
    angle = positions[:, None, None] * np.array(c.rope_frequencies)  # [T, 1, S / 2]
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def rotate(c: ModelConfig, x: np.ndarray, rotation: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Rotary embedding of [T, heads, S]; pairs are (2i, 2i + 1) or (i, i + S / 2)."""
    cosine, sine = rotation
    half = c.head_dim // 2
    first, second = (
        (slice(0, None, 2), slice(1, None, 2)) if c.rope_pairing == "neighbour" else (slice(half), slice(half, None))
    )
    a, b = x[..., first], x[..., second]  # [T, heads, S / 2]
    y = np.empty_like(x)
    y[..., first] = a * cosine - b * sine
    y[..., second] = a * sine + b * cosine
    return y


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Causal attention of the last T of C positions: q [T, H, S], k and v [C, G, S] to [T, H * S].

    Query heads h * H / G to (h + 1) * H / G - 1 share KV head h.
    """
    t, heads, size = q.shape
    c, groups, _ = k.shape
    q = q.reshape(t, groups, heads // groups, size).transpose(1, 2, 0, 3).reshape(groups, -1, size)  # [G, H/G * T, S]
    scores = q @ k.transpose(1, 2, 0) / np.float32(np.sqrt(size))  # [G, H/G * T, C]
    scores = scores.reshape(groups, -1, t, c)
    future = np.arange(c) > np.arange(c - t, c)[:, None]  # [T, C]
    scores = np.where(future, np.float32(-np.inf), scores)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mixed = weights.reshape(groups, -1, c) @ v.transpose(1, 0, 2)  # [G, H/G * T, S]
    return mixed.reshape(groups, -1, t, size).transpose(2, 0, 1, 3).reshape(t, heads * size)
