"""The two weight grids that the model is trained for, as differentiable rounding in PyTorch.

Both follow GGUF: blocks of 32 along the input dimension (the last one), one fp16 scale each. A tensor already on the
grid is reproduced exactly, so that quantizing the exported weights once more changes nothing.
"""

import torch
from torch import Tensor

BLOCK = 32


def _half(scale: Tensor) -> Tensor:
    """`scale` rounded to fp16 and back; 0 becomes 1, so that it may divide (a block of zeros stays one)."""
    rounded = scale.half().float()
    return torch.where(rounded == 0, torch.ones_like(rounded), rounded)


def q4_0(weight: Tensor) -> Tensor:
    """`weight` [..., K] on the Q4_0 grid: scale = (value of largest magnitude) / -8, q in 0..15, (q - 8) * scale."""
    blocks = weight.unflatten(-1, (-1, BLOCK))
    peak = blocks.gather(-1, blocks.abs().argmax(-1, keepdim=True))
    scale = _half(peak / -8)
    q = torch.clamp(torch.floor(blocks / scale + 8.5), 0, 15)
    return ((q - 8) * scale).flatten(-2)


def q8_0(weight: Tensor) -> Tensor:
    """`weight` [..., K] on the Q8_0 grid: scale = largest magnitude / 127, q = round(x / scale), q * scale."""
    blocks = weight.unflatten(-1, (-1, BLOCK))
    scale = _half(blocks.abs().amax(-1, keepdim=True) / 127)
    q = torch.clamp(torch.round(blocks / scale), -127, 127)
    return (q * scale).flatten(-2)


def activations(x: Tensor, bits: int = 9) -> Tensor:
    """`x` [..., K] as integers of `bits` bits with one power-of-two scale per block of 32 (K a multiple of 32)."""
    blocks = x.unflatten(-1, (-1, BLOCK))
    limit = 2 ** (bits - 1) - 1
    peak = blocks.abs().amax(-1, keepdim=True).clamp_min(2.0**-100)
    step = torch.exp2(torch.floor(torch.log2(peak)) - (bits - 2))
    step = torch.where(torch.round(peak / step) > limit, step * 2, step)
    return (torch.round(blocks / step) * step).flatten(-2)


def straight_through(weight: Tensor, grid: Tensor) -> Tensor:
    """The value of `grid` in the forward pass, the gradient of `weight` in the backward pass."""
    return weight + (grid - weight).detach()
