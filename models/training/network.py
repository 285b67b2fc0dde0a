"""The LLaMA-architecture network in PyTorch, with Hugging Face tensor names and the rotate-half rope convention."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import quantize

CONFIG: dict[str, object] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 256,
    "hidden_size": 128,
    "intermediate_size": 224,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "mlp_bias": False,
    "attention_dropout": 0.0,
    "initializer_range": 0.02,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "torch_dtype": "float32",
    "use_cache": True,
}
VOCABULARY, DIM, HIDDEN, LAYERS = 256, 128, 224, 3
HEADS, HEAD_DIM, CONTEXT = 4, 32, 512
EPSILON, THETA = 1e-5, 10000.0


class Precision:
    """What is rounded in a forward pass: `weights` to Q4_0 (embedding Q8_0), `activations` to 9-bit blocks."""

    def __init__(self, *, weights: bool = False, activations: bool = False) -> None:
        self.weights = weights
        self.activations = activations


class Linear(nn.Linear):
    """A projection without bias that knows how to round its weight."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        nn.init.normal_(self.weight, std=inputs**-0.5)

    def rounded(self, precision: Precision) -> Tensor:
        """[outputs, inputs] weight as the forward pass sees it."""
        return quantize.straight_through(self.weight, quantize.q4_0(self.weight)) if precision.weights else self.weight


class Norm(nn.Module):
    """RMSNorm with a gain."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(DIM))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (DIM,), self.weight, EPSILON)


class Attention(nn.Module):
    """Four query heads that share one key and value head."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = Linear(DIM, HEADS * HEAD_DIM)
        self.k_proj = Linear(DIM, HEAD_DIM)
        self.v_proj = Linear(DIM, HEAD_DIM)
        self.o_proj = Linear(HEADS * HEAD_DIM, DIM)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], precision: Precision) -> Tensor:
        batch, length, _ = x.shape
        weight = torch.cat([p.rounded(precision) for p in (self.q_proj, self.k_proj, self.v_proj)])
        heads = F.linear(x, weight).view(batch, length, HEADS + 2, HEAD_DIM).transpose(1, 2)
        turned = rotate(heads[:, : HEADS + 1], rope)  # [batch, heads and key, length, 32]
        q, k, v = turned[:, :HEADS], turned[:, HEADS:], heads[:, HEADS + 1 :]
        shape = (batch, HEADS, length, HEAD_DIM)
        y = F.scaled_dot_product_attention(q, k.expand(shape), v.expand(shape), is_causal=True)
        y = y.transpose(1, 2).reshape(batch, length, HEADS * HEAD_DIM)
        y = quantize.activations(y) if precision.activations else y
        return F.linear(y, self.o_proj.rounded(precision))


class GatedUnit(nn.Module):
    """The feed-forward part: down(silu(gate(x)) * up(x))."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_proj = Linear(DIM, HIDDEN)
        self.up_proj = Linear(DIM, HIDDEN)
        self.down_proj = Linear(HIDDEN, DIM)

    def forward(self, x: Tensor, precision: Precision) -> Tensor:
        weight = torch.cat([self.gate_proj.rounded(precision), self.up_proj.rounded(precision)])
        gate, up = F.linear(x, weight).split(HIDDEN, dim=-1)
        y = F.silu(gate) * up
        y = quantize.activations(y) if precision.activations else y
        return F.linear(y, self.down_proj.rounded(precision))


class Layer(nn.Module):
    """Attention and feed-forward part, each behind a norm and added to the residual stream."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = Norm(), Norm()
        self.self_attn, self.mlp = Attention(), GatedUnit()

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], precision: Precision) -> Tensor:
        y = self.input_layernorm(x)
        x = x + self.self_attn(quantize.activations(y) if precision.activations else y, rope, precision)
        y = self.post_attention_layernorm(x)
        return x + self.mlp(quantize.activations(y) if precision.activations else y, precision)


class Decoder(nn.Module):
    """Embedding, layers and final norm: everything that Hugging Face files keep under `model.`."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, DIM)
        nn.init.normal_(self.embed_tokens.weight, std=0.05)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = Norm()


class Network(nn.Module):
    """Byte-level language model: tokens [batch, length] to logits [batch, length, 256]."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Decoder()

    def forward(self, tokens: Tensor, precision: Precision) -> Tensor:
        table = self.model.embed_tokens.weight
        if precision.weights:
            table = quantize.straight_through(table, quantize.q8_0(table))
        x = F.embedding(tokens, table)
        rope = rope_tables(tokens.shape[1])
        for layer in self.model.layers:
            x = layer(x, rope, precision)
        x = self.model.norm(x)
        return F.linear(quantize.activations(x) if precision.activations else x, table)


def rope_tables(length: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine [length, 32] in float32; the angles of a pair stand at i and i + 16."""
    frequency = THETA ** -(torch.arange(0, HEAD_DIM, 2, dtype=torch.float64) / HEAD_DIM)
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency).repeat(1, 2)
    return angle.cos().float(), angle.sin().float()


def rotate(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """`x` [batch, heads, length, 32] turned by its position, pairs (i, i + 16)."""
    cosine, sine = rope
    low, high = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-high, low), dim=-1) * sine
