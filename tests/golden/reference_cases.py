"""The tiny models that the float reference is compared on: shapes and seeded weights, shared with make_reference.py."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Case:
    """One model and one run: `family` names the transformers class that computes its logits."""

    name: str
    seed: int
    dim: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    layers: int = 2
    vocabulary: int = 37
    tokens: int = 11
    theta: float = 10000.0
    tied: bool = False
    bias: bool = False
    activation: str = "silu"
    family: str = "llama"
    rope: dict[str, float | int | str] = field(default_factory=dict)

    def prompt(self) -> list[int]:
        return np.random.RandomState(self.seed).randint(0, self.vocabulary, self.tokens).tolist()

    def weights(self) -> dict[str, np.ndarray]:
        """Float32 weights under our canonical names, from the legacy generator, whose stream is frozen."""
        random = np.random.RandomState(self.seed + 1000)
        shapes = {"embedding": (self.vocabulary, self.dim), "final_norm": (self.dim,)}
        if not self.tied:
            shapes["output"] = (self.vocabulary, self.dim)
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        linears = {"wq": (q, self.dim), "wk": (kv, self.dim), "wv": (kv, self.dim), "wo": (self.dim, q)}
        linears |= {"w_up": (self.hidden, self.dim), "w_down": (self.dim, self.hidden)}
        if self.family == "llama":
            linears["w_gate"] = (self.hidden, self.dim)
        for i in range(self.layers):
            for norm in ("attention_norm", "ffn_norm"):
                shapes[f"layers.{i}.{norm}"] = (self.dim,)
            for name, shape in linears.items():
                shapes[f"layers.{i}.{name}"] = shape
        weights = {}
        for name in sorted(shapes):
            shape = shapes[name]
            scale = 0.3 if "norm" in name else 1.5 / np.sqrt(shape[-1])
            values = random.standard_normal(shape) * scale + ("norm" in name)
            weights[name] = values.astype(np.float32)
            is_norm = "norm" in name
            if (is_norm and self.family == "neox") or (self.bias and not is_norm and name.startswith("layers")):
                weights[f"{name}.bias"] = (random.standard_normal(shape[:1]) * 0.3).astype(np.float32)
        return weights


LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}

CASES = (
    Case("heads_of_8_tied", seed=1, dim=32, hidden=64, heads=4, kv_heads=4, head_dim=8, tied=True),
    Case("multi_query_odd_sizes", seed=2, dim=45, hidden=51, heads=5, kv_heads=1, head_dim=10),
    Case("grouped_query", seed=3, dim=48, hidden=40, heads=6, kv_heads=2, head_dim=12, theta=100000.0),
    Case("llama3_rope", 4, 32, 48, heads=2, kv_heads=1, head_dim=32, tokens=48, theta=500000.0, rope=LLAMA3),
    Case("linear_rope", 5, 24, 32, 3, 3, 16, rope={"rope_type": "linear", "factor": 4.0}, tokens=24),
    Case("biases", seed=6, dim=32, hidden=40, heads=4, kv_heads=2, head_dim=8, bias=True, tied=True),
    Case("gelu_gate", seed=7, dim=32, hidden=40, heads=2, kv_heads=2, head_dim=16, activation="gelu"),
    Case("layer_norm_plain_gelu", 8, 32, 72, 4, 4, 8, bias=True, activation="gelu", family="neox"),
    Case("heads_of_256", seed=9, dim=20, hidden=24, heads=1, kv_heads=1, head_dim=256, layers=1),
    Case("one_token", seed=10, dim=16, hidden=16, heads=2, kv_heads=1, head_dim=8, layers=1, tokens=1),
)
